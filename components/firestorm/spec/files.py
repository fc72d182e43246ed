"""Reading `cluster.yaml`: YAML with the line and column of every field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from firestorm.errors import Problem, SpecError
from firestorm.spec.host import HostFacts
from firestorm.spec.model import ClusterSpec
from firestorm.spec.parse import parse
from firestorm.spec.plain import ALIAS, MAX_DEPTH, MAX_VALUES
from firestorm.spec.source import FieldPath, Source, dotted

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"


def load(path: str | Path, *, host: HostFacts | None = None) -> ClusterSpec:
    """The specification in a YAML file; relative paths in it start at its directory.

    Raises:
        SpecError: the file cannot be read, is not YAML, or has problems, each with `file:line:column`.
    """
    file = Path(path)
    return loads(_text(file), name=str(path), directory=file.absolute().parent, host=host)


def read(path: str | Path) -> tuple[dict[str, object], Source]:
    """The document in a YAML file, unchecked, and the places of its fields: for who completes it before `parse`.

    Raises:
        SpecError: the file cannot be read, is not YAML, is no map or has repeated keys.
    """
    file = Path(path)
    document, marks, problems = _read(_text(file), str(path))
    if not isinstance(document, dict):
        problems = problems or (_no_map(str(path)),)
    if problems:
        raise SpecError(problems)
    assert isinstance(document, dict)
    return document, Source(name=str(path), directory=file.absolute().parent, marks=marks)


def loads(text: str, *, name: str, directory: Path | None = None, host: HostFacts | None = None) -> ClusterSpec:
    """The specification in YAML text that messages call `name`.

    Raises:
        SpecError: the text is not YAML or has problems, each with `name:line:column`.
    """
    document, marks, problems = _read(text, name)
    source = Source(name=name, directory=directory or Path.cwd(), marks=marks)
    if not isinstance(document, dict):
        problems = problems or (_no_map(name),)
        raise SpecError(problems)
    try:
        spec = parse(document, source=source, host=host)
    except SpecError as error:
        raise SpecError((*problems, *error.problems)) from None
    if problems:
        raise SpecError(problems)
    return spec


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _error(str(file), "is not UTF-8 text", "save it as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _error(str(file), f"cannot be read: {reason}", "give the path of a cluster file") from None


def _no_map(name: str) -> Problem:
    return Problem(path="", text="is not a map", remedy="begin with name:", location=name)


def _error(where: str, text: str, remedy: str) -> SpecError:
    return SpecError((Problem(path="", text=text, remedy=remedy, location=where),))


def _read(text: str, name: str) -> tuple[object, dict[FieldPath, tuple[int, int]], tuple[Problem, ...]]:
    """The document, the 1-based line and column of every field, and its repeated keys."""
    try:
        loader = _LOADER(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise _error(name, "is empty", "begin with name:")
            reader = _Marks(name)
            reader.visit(node, ())
            if reader.too_large:
                raise _error(name, "is too large or nested too deeply", ALIAS)
            return loader.construct_document(node), reader.marks, tuple(reader.problems)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        said = ": ".join(part for part in (error.context, error.problem) if part)
        raise _error(where, f"is not YAML: {said}", "correct it there or just before") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _error(name, f"is not YAML: {error}", "correct it") from None


class _Marks:
    """Walks YAML nodes for the place of every field and for keys that are written twice."""

    def __init__(self, name: str) -> None:
        self.marks: dict[FieldPath, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self.too_large = False
        self._name = name
        self._visits = 0

    def visit(self, node: yaml.Node, path: FieldPath, key: yaml.Node | None = None) -> None:
        self._visits += 1
        if len(path) > MAX_DEPTH or self._visits > MAX_VALUES:
            self.too_large = True
            return
        mark = (key or node).start_mark
        self.marks.setdefault(path, (mark.line + 1, mark.column + 1))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.visit(item, (*path, index))
        elif isinstance(node, yaml.MappingNode):
            self._visit_map(node, path)

    def _visit_map(self, node: yaml.MappingNode, path: FieldPath) -> None:
        merged: list[yaml.Node] = []
        seen: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                merged.extend(value.value if isinstance(value, yaml.SequenceNode) else [value])
            elif isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if key.value in seen:
                    self.problems.append(
                        Problem(
                            path=dotted((*path, key.value)),
                            text=f"is given twice, first in line {seen[key.value]}",
                            remedy="remove one",
                            location=f"{self._name}:{line}:{key.start_mark.column + 1}",
                        )
                    )
                seen.setdefault(key.value, line)
                self.visit(value, (*path, key.value), key)
        for other in merged:
            if isinstance(other, yaml.MappingNode):
                self.visit(other, path)
