"""Warnings for keys that no version of the table knows: they are passed over, which is rarely what was meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import messages as m
from .messages import Problem
from .schema import Field, Path, Shape, Tree, View
from .yamltree import MappingNode, Node, ScalarNode, SequenceNode

_HINTS = 50
"""Suggestions of a known key, which take time, are made for so many keys of a document."""

Complain = Callable[[Path, Node, Problem], None]


def check_unused(root: Node | None, document: Tree, view: View, complain: Complain) -> None:
    """Compares the nodes with the decoded document; what came through an alias or a merge cannot be compared."""
    hints = _HINTS

    def told(path: Path, node: Node, key: str, known: Mapping[str, Field]) -> None:
        nonlocal hints
        hints -= 1
        complain(path, node, unused(key, known if hints >= 0 else {}))

    if root is not None:
        _struct(root, document, "Config", (), view, complain, told)


def _struct(
    node: Node,
    value: Tree,
    of: str,
    path: Path,
    view: View,
    complain: Complain,
    told: Callable[[Path, Node, str, Mapping[str, Field]], None],
) -> None:
    if not isinstance(node, MappingNode):
        complain(path, node, m.EMPTY_SECTION)
        return
    fields = view.butane[of]
    for key, _ in node.pairs:
        if isinstance(key, ScalarNode) and key.value not in fields:
            told((*path, key.value), key, key.value, fields)
    for name, field in fields.items():
        pair = node.get(name)
        if pair is None or not isinstance(field.of, str) or field.of == "Labels":
            continue
        item = value.get(name)
        if field.shape is Shape.STRUCT:
            if item is not None or not field.optional:
                _struct(pair[1], item or {}, field.of, (*path, name), view, complain, told)
        elif isinstance(pair[1], SequenceNode):
            for i, (child, entry) in enumerate(zip(pair[1].items, item or (), strict=False)):
                _struct(child, entry, field.of, (*path, name, i), view, complain, told)


def unused(key: str, known: Mapping[str, Field]) -> Problem:
    """The warning, with a suggestion if a known key is spelled nearly the same."""
    hint = ""
    if known and len(key) < 64:
        import difflib  # rarely needed

        close = difflib.get_close_matches(key, known, 1, 0.75)
        hint = f"; did you mean {close[0]!r}?" if close else ""
    return m.UNUSED_KEY.fill(key=key[:80].encode(errors="replace").decode(), hint=hint)


def unused_json(raw: Mapping[str, Any], view: View, complain: Callable[[Path, Problem], None]) -> None:
    """The same for Ignition JSON."""
    _json_struct(raw, "Config", (), view, complain)


def _json_struct(
    raw: Mapping[str, Any], of: str, path: Path, view: View, complain: Callable[[Path, Problem], None]
) -> None:
    fields = view.ignition[of]
    for key, value in raw.items():
        field = fields.get(key)
        place = (*path, key)
        if field is None:
            complain(place, unused(str(key), fields))
        elif isinstance(field.of, str):
            for i, item in enumerate(value) if isinstance(value, list) else ((None, value),):
                if isinstance(item, Mapping):
                    _json_struct(item, field.of, place if i is None else (*place, i), view, complain)
