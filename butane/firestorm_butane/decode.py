"""From nodes to a document: types checked against the field table, aliases and merge keys resolved.

The reference's rules: null means absent, an element of a list that is null is dropped, unknown keys are passed over
(and warned of), keys may not repeat, explicit keys win over merged ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import messages as m
from . import scalars
from .messages import Problem
from .schema import Field, Path, Scalar, Shape, Tree, View
from .yamltree import AliasNode, MappingNode, Node, ScalarNode, SequenceNode

Complain = Callable[[Path, Node, Problem], None]

_WANTED = {Scalar.STR: "a string", Scalar.INT: "an integer", Scalar.BOOL: "true or false"}
_FOUND = {
    scalars.BOOL: "a boolean",
    scalars.INT: "an integer out of range",
    scalars.FLOAT: "a number out of range",
    scalars.STR: "a string",
    scalars.TIMESTAMP: "a date",
}
_MERGE_DEPTH = 50
_MOST_ALIASED = 100_000
# Bounds of yaml.v3 on how much of a document may come from aliases; the one above is ours.
_ALIAS_FREE, _DECODE_FREE = 100, 1000
_SCALE_LOW, _SCALE_HIGH = 400_000, 4_000_000


class UnsafeError(Exception):
    """The document must not be read on."""

    def __init__(self, node: Node, problem: Problem) -> None:
        super().__init__(problem.text)
        self.node, self.problem = node, problem


class Decoder:
    """Decodes one document; problems go to ``complain``."""

    def __init__(self, view: View, complain: Complain) -> None:
        self._structs = view.butane
        self._complain = complain
        self._decoded = 0
        self._aliased = 0
        self._alias_depth = 0
        self._merge_depth = 0

    def document(self, node: Node | None) -> Tree:
        """The whole document.

        Raises:
            UnsafeError: aliases that contain themselves or multiply without bound.
        """
        if node is None:
            return {}
        value = self._struct(node, "Config", ())
        return value if value is not None else {}

    def common(self, node: Node | None) -> Tree:
        """Only what every variant has: ``variant`` and ``version``.

        Raises:
            UnsafeError: as :meth:`document`.
        """
        return (self._struct(node, "Common", ()) if node is not None else None) or {}

    # -- nodes -------------------------------------------------------------------------------------------------------

    def _enter(self, node: Node) -> Node:
        """Counts the step and follows an alias, which is another one; callers leave by :meth:`_leave`."""
        self._step(node)
        if isinstance(node, AliasNode):
            if node.inside_target:
                raise UnsafeError(node, m.ALIAS_LOOP.fill(name=node.name))
            self._alias_depth += 1
            self._step(node)
            return node.target
        return node

    def _step(self, node: Node) -> None:
        self._decoded += 1
        if self._alias_depth:
            self._aliased += 1
        if self._aliased > _ALIAS_FREE and self._decoded > _DECODE_FREE and self._is_bomb():
            raise UnsafeError(node, m.ALIAS_BOMB)

    def _leave(self, node: Node) -> None:
        if isinstance(node, AliasNode):
            self._alias_depth -= 1

    def _is_bomb(self) -> bool:
        return self._aliased > _MOST_ALIASED or self._aliased / self._decoded > self._share()

    def _share(self) -> float:
        if self._decoded <= _SCALE_LOW:
            return 0.99
        if self._decoded >= _SCALE_HIGH:
            return 0.10
        return 0.99 - 0.89 * (self._decoded - _SCALE_LOW) / (_SCALE_HIGH - _SCALE_LOW)

    def _resolve(self, node: ScalarNode, path: Path) -> tuple[str, scalars.Value] | None:
        try:
            return scalars.resolve(node.tag, node.value, plain=node.plain)
        except scalars.ScalarError as exc:
            self._complain(path, node, m.YAML_TAG.fill(detail=str(exc)))
            return None

    def _is_null(self, node: Node, path: Path) -> bool:
        if not isinstance(node, ScalarNode):
            return False
        resolved = self._resolve(node, path)
        return resolved is None or resolved[1] is None

    def _mismatch(self, node: Node, path: Path, expected: str) -> None:
        if isinstance(node, MappingNode):
            found = "a mapping"
        elif isinstance(node, SequenceNode):
            found = "a list"
        elif isinstance(node, ScalarNode) and (resolved := self._resolve(node, path)):
            found = _FOUND.get(resolved[0], "a value of another type")
            if resolved[0] == scalars.INT and expected != _WANTED[Scalar.INT]:
                found = "an integer"
            elif resolved[0] == scalars.FLOAT and expected != _WANTED[Scalar.INT]:
                found = "a number"
        else:
            return
        self._complain(path, node, m.WRONG_TYPE.fill(expected=expected, found=found))

    # -- values ------------------------------------------------------------------------------------------------------

    def _value(self, node: Node, field: Field, path: Path) -> Any:
        if field.shape is Shape.LIST:
            return self._list(node, field, path)
        if field.shape is Shape.STRUCT:
            assert isinstance(field.of, str)
            return self._labels(node, path) if field.of == "Labels" else self._struct(node, field.of, path)
        assert isinstance(field.of, Scalar)
        return self._scalar(node, field.of, path)

    def _scalar(self, node: Node, of: Scalar, path: Path) -> Any:
        target = self._enter(node)
        try:
            if not isinstance(target, ScalarNode):
                self._mismatch(target, path, _WANTED[of])
                return None
            resolved = self._resolve(target, path)
            if resolved is None or resolved[1] is None:
                return None
            tag, value = resolved
            if of is Scalar.STR:
                return value if tag == scalars.BINARY else target.value
            result = scalars.to_int(value) if of is Scalar.INT else scalars.to_bool(value)
            if result is None:
                self._mismatch(target, path, _WANTED[of])
            return result
        finally:
            self._leave(node)

    def _list(self, node: Node, field: Field, path: Path) -> list[Any] | None:
        target = self._enter(node)
        try:
            if self._is_null(target, path):
                return None
            if not isinstance(target, SequenceNode):
                self._mismatch(target, path, "a list")
                return None
            values: list[Any] = []
            for item in target.items:
                place = (*path, len(values))
                if isinstance(field.of, Scalar):
                    value = self._scalar(item, field.of, place)
                else:
                    value = self._struct(item, field.of, place)
                if value is not None:
                    values.append(value)
            return values
        finally:
            self._leave(node)

    def _labels(self, node: Node, path: Path) -> dict[str, str] | None:
        """A mapping of strings to strings, whose keys are the user's."""
        target = self._enter(node)
        try:
            if self._is_null(target, path):
                return None
            if not isinstance(target, MappingNode):
                self._mismatch(target, path, "a mapping")
                return None
            self._check_unique(target, path)
            labels: dict[str, str] = {}
            for key, value in target.pairs:
                name = self._scalar(key, Scalar.STR, path)
                if name is not None:
                    labels[name] = self._scalar(value, Scalar.STR, (*path, name)) or ""
            return labels
        finally:
            self._leave(node)

    def _struct(self, node: Node, of: str, path: Path) -> Tree | None:
        target = self._enter(node)
        try:
            if self._is_null(target, path):
                return None
            if not isinstance(target, MappingNode):
                self._mismatch(target, path, "a mapping")
                return None
            value: Tree = {}
            self._fill(target, of, path, value, set())
            return value
        finally:
            self._leave(node)

    def _fill(self, node: MappingNode, of: str, path: Path, into: Tree, seen: set[str]) -> None:
        """Decodes a mapping into ``into``, passing over keys already ``seen``; merged mappings come last."""
        if not self._check_unique(node, path):
            return
        known = self._structs[of]
        merged: Node | None = None
        for key, value in node.pairs:
            if isinstance(key, ScalarNode) and key.value == "<<" and _is_merge(key):
                merged = value
                continue
            name = self._key(key, path)
            if name is None or name in seen:
                continue
            field = known.get(name)
            if field is None:
                continue
            seen.add(name)
            decoded = self._value(value, field, (*path, name))
            if decoded is None or (not field.optional and field.shape is not Shape.LIST and not decoded):
                continue  # what is absent and what is zero are the same here
            into[name] = decoded
        if merged is not None:
            self._merge(merged, of, path, into, seen)

    def _key(self, key: Node, path: Path) -> str | None:
        if isinstance(key, ScalarNode) and not key.tag:  # the usual one; what it might resolve to is no field's name
            self._step(key)
            return key.value
        name: str | None = self._scalar(key, Scalar.STR, path)
        return name

    def _merge(self, node: Node, of: str, path: Path, into: Tree, seen: set[str]) -> None:
        self._merge_depth += 1
        if self._merge_depth > _MERGE_DEPTH:
            raise UnsafeError(node, m.MERGE_DEPTH)
        items = node.items if isinstance(node, SequenceNode) else [node]
        for item in items:
            target = self._enter(item)
            if isinstance(target, MappingNode):
                self._fill(target, of, path, into, seen)
            else:
                self._complain(path, item, m.MERGE_VALUE)
            self._leave(item)
        self._merge_depth -= 1

    def _check_unique(self, node: MappingNode, path: Path) -> bool:
        by_text: dict[str, Node] = {}
        others: dict[tuple[type[Node], str], Node] = {}
        good = True
        for key, _ in node.pairs:
            if isinstance(key, ScalarNode):
                text = key.value
                earlier = by_text.setdefault(text, key)
            else:
                text = key.name if isinstance(key, AliasNode) else ""
                earlier = others.setdefault((type(key), text), key)
            if earlier is not key:
                self._complain((*path, text), key, m.DUPLICATE_KEY.fill(key=text, line=earlier.line))
                good = False
        return good


def _is_merge(key: ScalarNode) -> bool:
    tag = scalars.short_tag(key.tag)
    return tag == scalars.MERGE or (tag in ("", "!") and key.plain)
