"""From a Butane document to an Ignition config: the base that all variants share.

Most of it is the field table applied: same structs, other spelling. The rest is here: contents of files and units, SSH
keys from local files. Every path of the result is mapped to the path in the source that it came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import messages as m
from .encoding import data_url, plain_url
from .files import Files, FilesError, text
from .merging import Side, merge_trees
from .messages import Problem
from .report import Severity
from .schema import Path, Shape, Tree, View, spec_version

Complain = Callable[[Path, Problem, Severity], None]
"""Called with a path of the Butane document."""

_LINES = re.compile("\r?\n")


@dataclass(slots=True)
class Draft:
    """An Ignition config in the making: its tree in normal form and, for its paths, those of the source."""

    tree: Tree = field(default_factory=dict)
    origin: dict[Path, Path] = field(default_factory=dict)

    def put(self, to: Path, value: Any, source: Path) -> None:
        """Sets a subtree that comes from one place of the source; missing parents are made."""
        node: Any = self.tree
        for i, part in enumerate(to[:-1]):
            empty: Any = [] if isinstance(to[i + 1], int) else {}
            if isinstance(node, list) and part == len(node):
                node.append(empty)
            elif isinstance(node, dict):
                node.setdefault(part, empty)
            node = node[part]
            self.origin.setdefault(to[: i + 1], source)
        if isinstance(node, list) and to[-1] == len(node):
            node.append(value)
        else:
            node[to[-1]] = value
        self._mark(to, value, source)

    def _mark(self, to: Path, value: Any, source: Path) -> None:
        self.origin[to] = source
        if isinstance(value, dict):
            for key, item in value.items():
                self._mark((*to, key), item, source)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                self._mark((*to, i), item, source)


def merged(parent: Draft, child: Draft, view: View) -> Draft:
    """``child`` merged over ``parent``; where both made a field, it is the child's."""
    result = Draft()
    from_child: set[Path] = set()
    origins = {"parent": parent.origin, "child": child.origin}

    def record(side: Side, at: Path, to: Path) -> None:
        source = origins[side].get(at)
        if source is None or (side == "parent" and to in from_child):
            return
        if side == "child":
            from_child.add(to)
        result.origin[to] = source

    result.tree = merge_trees(parent.tree, child.tree, view, record)
    return result


class Base:
    """The translation of one document."""

    def __init__(self, view: View, files: Files, complain: Complain, *, compress: bool = True) -> None:
        self.view = view
        self.files = files
        self._compress = compress
        self.complain = complain
        self._hooks: dict[str, Callable[[Tree, Tree, Path, Path], None]] = {
            "Resource": self._resource,
            "PasswdUser": self._ssh_keys,
            "Unit": self._unit_contents,
            "Dropin": self._unit_contents,
        }
        self._origin: dict[Path, Path] = {}

    def translate(self, document: Tree) -> Draft:
        self._origin = {}
        tree = self._struct("Config", document, (), ())
        tree.setdefault("ignition", {})["version"] = spec_version(self.view.level.spec)
        self._origin["ignition", "version"] = ("version",)
        self._origin.setdefault(("ignition",), ("version",))  # which is all that it holds
        return Draft(tree, self._origin)

    def copy(self, of: str, value: Tree, source: Path, to: Path) -> Draft:
        """One struct translated by itself, for sugar that embeds it."""
        self._origin = {}
        tree = self._struct(of, value, source, to)
        return Draft(tree, self._origin)

    def _struct(self, of: str, value: Tree, source: Path, to: Path) -> Tree:
        result: Tree = {}
        origin = self._origin
        for name, field_ in self.view.ignition[of].items():
            item = value.get(field_.key)
            if item is None:
                continue
            at, place = (*source, field_.key), (*to, name)
            if field_.shape is Shape.SCALAR:
                result[name] = item
            elif field_.shape is Shape.STRUCT:
                assert isinstance(field_.of, str)
                made = self._struct(field_.of, item, at, place)
                if not made and not field_.optional:
                    continue
                result[name] = made
            else:
                result[name] = self._list(field_.of, item, at, place)
            origin[place] = at
        if hook := self._hooks.get(of):
            hook(value, result, source, to)
        return result

    def _list(self, of: Any, items: list[Any], source: Path, to: Path) -> list[Any]:
        for i in range(len(items)):
            self._origin[(*to, i)] = (*source, i)
        if isinstance(of, str):
            return [self._struct(of, item, (*source, i), (*to, i)) for i, item in enumerate(items)]
        return list(items)

    # -- sugar -------------------------------------------------------------------------------------------------------

    def read(self, path: str, source: Path) -> bytes | None:
        """A local file's contents; ``None`` after a complaint."""
        try:
            return self.files.read(path)
        except FilesError as exc:
            self.complain(source, exc.problem, Severity.ERROR)
            return None

    def data_url(self, data: bytes, compressed_by_user: bool) -> tuple[str, bool]:
        """The data URL of contents, and whether they were compressed for it."""
        return data_url(data, may_compress=self._compress and not compressed_by_user)

    def _resource(self, value: Tree, result: Tree, source: Path, to: Path) -> None:
        if (local := value.get("local")) is not None:
            key = "local"
            data = self.read(local, (*source, key))
            if data is None:
                return
        elif (inline := value.get("inline")) is not None:
            key, data = "inline", inline.encode()
        else:
            return
        at = (*source, key)
        self._origin[(*to, "source")] = at
        if self.view.level.spec == 0:
            result["source"] = plain_url(data)
            return
        compressed_by_user = bool(result.get("compression"))
        result["source"], packed = self.data_url(data, compressed_by_user)
        if not compressed_by_user:
            # Written also when empty, so that a merge does not take the parent's compression.
            result["compression"] = "gzip" if packed else ""
            self._origin[(*to, "compression")] = at

    def _ssh_keys(self, value: Tree, result: Tree, source: Path, to: Path) -> None:
        paths = value.get("ssh_authorized_keys_local")
        if not paths:
            return
        at, place = (*source, "ssh_authorized_keys_local"), (*to, "sshAuthorizedKeys")
        if not self.files.given:
            self.complain(at, m.NO_FILES_DIR, Severity.ERROR)
            return
        self._origin[place] = at
        keys = result.setdefault("sshAuthorizedKeys", [])
        for i, path in enumerate(paths):
            data = self.read(path, (*at, i))
            for line in _LINES.split(text(data)) if data is not None else ():
                if line:
                    self._origin[(*place, len(keys))] = (*at, i)
                    keys.append(line)

    def _unit_contents(self, value: Tree, result: Tree, source: Path, to: Path) -> None:
        if local := value.get("contents_local"):
            at = (*source, "contents_local")
            data = self.read(local, at)
            if data is not None:
                result["contents"] = text(data)
                self._origin[(*to, "contents")] = at
