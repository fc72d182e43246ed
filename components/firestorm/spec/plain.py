"""From whatever a caller passes to plain data: dicts, lists and scalars, bounded in depth and size."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from firestorm.spec.document import DOCUMENT, ListOf, Record, Type
from firestorm.spec.problems import shown
from firestorm.spec.source import FieldPath

MAX_DEPTH = 32
MAX_VALUES = 20_000
#: Longer integers cannot even be printed (sys.set_int_max_str_digits), and no field needs them.
_MAX_INTEGER = 2**63
ALIAS = "a cluster document is small: look for a YAML alias gone wrong"


@dataclass(slots=True)
class Plain:
    """Copies a document without what JSON cannot say, which it keeps as (path, text, remedy) in `problems`.

    Optional fields that are null are left out, as null means their default. Depth and size are bounded because YAML's
    aliases make endless documents of small files.
    """

    problems: list[tuple[FieldPath, str, str]] = field(default_factory=list[tuple[FieldPath, str, str]])
    endless: bool = False
    """Whether a bound was hit; the copy then has only the beginning of the document."""
    _values: int = 0

    def copy(self, value: object, kind: Type | None = DOCUMENT, path: FieldPath = ()) -> object:
        """`value` as plain data; `kind` is what the document's table expects there, if anything."""
        self._values += 1
        if self.endless:
            return None
        if len(path) > MAX_DEPTH or self._values > MAX_VALUES:
            self.endless = True
            return self._refuse((), "is too large or nested too deeply", ALIAS)
        match value:
            case Mapping():
                return self._copy_map(value, kind, path)
            case list() | tuple():
                item = kind.item if isinstance(kind, ListOf) else None
                return [self.copy(part, item, (*path, index)) for index, part in enumerate(value)]
            case bool() | str() | None:
                return value
            case int() if abs(value) < _MAX_INTEGER:
                return value
            case int():
                return self._refuse(path, "is a number beyond all bounds", "give a smaller one")
            case float() if math.isfinite(value):
                return value
            case _:
                return self._refuse(path, f"is {_say(value)}", "if it is meant as text, write it in quotes")

    def _copy_map(self, value: Mapping[object, object], kind: Type | None, path: FieldPath) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, part in value.items():
            if not isinstance(key, str):
                self._refuse(path, f"has the key {_say(key)}, which is not text", "write the key in quotes")
            elif part is not None or not isinstance(kind, Record):
                result[key] = self.copy(part, _field_type(kind, key), (*path, key))
        return result

    def _refuse(self, path: FieldPath, text: str, remedy: str) -> object:
        """Keeps a problem; null stands in for the value."""
        self.problems.append((path, text, remedy))
        return None


def _say(value: object) -> str:
    match value:
        case int() if abs(value) >= _MAX_INTEGER:
            return "a number beyond all bounds"
        case bool() | int() | float() | None:
            return shown(value)
        case datetime.date():
            return f"the date {value}"
        case _:
            return f"a Python {type(value).__name__}, which a document cannot hold"


def _field_type(kind: Type | None, name: str) -> Type | None:
    if not isinstance(kind, Record):
        return None
    return next((field.type for field in kind.fields if field.name == name), None)


def walk(data: object, path: FieldPath = ()) -> Iterator[FieldPath]:
    """Every field path of plain data, in document order."""
    yield path
    if isinstance(data, dict):
        for key, part in data.items():
            yield from walk(part, (*path, key))
    elif isinstance(data, list):
        for index, part in enumerate(data):
            yield from walk(part, (*path, index))
