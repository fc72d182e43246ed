"""The normal form of a document, and what can be asked of it.

A document is nested dicts and lists under the field table. In the normal form a key that is absent and a key that is
zero are told apart only where the table says so (``Field.optional``): a required scalar that is empty, and a struct
without content, are left out. A list that is absent differs from an empty one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .schema import Field, Path, Scalar, Shape, Tree, View


class ShapeError(ValueError):
    """A value does not have the type that the specification gives it."""

    def __init__(self, path: Path, expected: str) -> None:
        super().__init__(f"{expected} expected at {path}")
        self.path, self.expected = path, expected


# Half a character, which an escape in JSON can make; Go reads it so too.
_SURROGATE = re.compile("[\ud800-\udfff]")
_CLASSES: dict[Scalar, tuple[type, str]] = {
    Scalar.STR: (str, "a string"),
    Scalar.INT: (int, "an integer"),
    Scalar.BOOL: (bool, "true or false"),
}


def normalize(raw: Mapping[str, Any], view: View, of: str = "Config", path: Path = ()) -> Tree:
    """The normal form of parsed Ignition JSON; unknown keys are dropped, ``null`` is absence.

    Raises:
        ShapeError: a value of the wrong type.
    """
    if not isinstance(raw, Mapping):
        raise ShapeError(path, "an object")
    result: Tree = {}
    for name, field in view.ignition[of].items():
        value = raw.get(name)
        if value is None:
            continue
        place = (*path, name)
        if field.shape is Shape.LIST:
            if not isinstance(value, list):
                raise ShapeError(place, "a list")
            result[name] = [_item(v, field, view, (*place, i)) for i, v in enumerate(value)]
            continue
        item = _item(value, field, view, place)
        if field.optional or item:
            result[name] = item
    return result


def _item(value: Any, field: Field, view: View, path: Path) -> Any:
    if isinstance(field.of, str):
        return normalize({} if value is None else value, view, field.of, path)
    wanted, text = _CLASSES[field.of]
    if value is None:
        return wanted()
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ShapeError(path, text)
    if isinstance(value, str) and not value.isascii():
        return _SURROGATE.sub("\ufffd", value)
    return value


def is_empty(value: Any, field: Field, view: View) -> bool:
    """Whether JSON leaves the value out: absent, zero, an empty list, or a struct of nothing but such."""
    if value is None:
        return True
    if field.shape is Shape.LIST:
        return not value
    if field.optional:
        return False
    if field.shape is Shape.STRUCT:
        assert isinstance(field.of, str)
        fields = view.ignition[field.of]
        return all(is_empty(v, fields[k], view) for k, v in value.items())
    return not value


def emit(value: Tree, view: View, of: str = "Config") -> dict[str, Any]:
    """The JSON document of a config in normal form, keys in the order of the specification's types."""
    result: dict[str, Any] = {}
    for name, field in view.ignition[of].items():
        item = value.get(name)
        if is_empty(item, field, view) and not field.always:
            continue
        result[name] = _emit_value(item, field, view)
    return result


def _emit_value(value: Any, field: Field, view: View) -> Any:
    if field.shape is Shape.LIST:
        if value is None:
            return None
        return [emit(v, view, field.of) if isinstance(field.of, str) else v for v in value]
    if isinstance(field.of, str):
        return emit(value or {}, view, field.of)
    if value is None and not field.optional:
        return _CLASSES[field.of][0]()
    return value


def identity(value: Any, by: str) -> str:
    """What identifies an entry of a list in merges and among duplicates."""
    if isinstance(value, str):
        return value
    if by == "partition":
        if value.get("number"):
            return f"number:{value['number']}"
        return f"label:{value['label']}" if "label" in value else ""
    return str(value.get(by, ""))
