"""Merging Ignition configs by the rules of ``ignition.config.merge``, and bringing older specs up.

Entries with the same identity merge, field by field, the child's winning; lists without identities are appended; an
entry of the child removes the parent's entry of the same path even from another list of nodes. Every step is told to a
recorder, so that a caller can follow each field to where it came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from .fields import TABLE
from .model import identity
from .schema import Field, Path, Shape, Tree, View

Side = Literal["parent", "child"]
Recorder = Callable[[Side, Path, Path], None]
"""Called with the side, the path in it and the path in the result; children before parents, the parent's side first."""


def merge_trees(parent: Tree, child: Tree, view: View, record: Recorder) -> Tree:
    """The merge of two configs in normal form and of the same spec."""
    return _Merger(view, record).struct("Config", parent, (), child, (), ())


class _Merger:
    def __init__(self, view: View, record: Recorder) -> None:
        self._fields = view.ignition
        self._record = record

    def struct(self, of: str, parent: Tree, at_p: Path, child: Tree, at_c: Path, to: Path) -> Tree:
        result: Tree = {}
        fields = self._fields[of]
        lists = self._children(fields, child)
        for name, field in fields.items():
            p, c = parent.get(name), child.get(name)
            paths = ((*at_p, name), (*at_c, name), (*to, name))
            if of == "Link" and name == "target" and not field.optional and not (c or "hard" in child):
                # Before spec 3.3.0 a child with neither takes both from its parent.
                merged = self._take("parent", field, p, paths[0], paths[2])
            elif field.shape is Shape.LIST:
                merged = self._list(field, p, c, *paths, lists)
            else:
                merged = self._single(field, p, c, *paths)
            if merged is not None:
                result[name] = merged
        return result

    def _single(self, field: Field, p: Any, c: Any, at_p: Path, at_c: Path, to: Path) -> Any:
        if field.shape is Shape.SCALAR:
            if not field.optional:
                return self._take("child", field, c, at_c, to)
        elif isinstance(field.of, str) and p is not None and c is not None:
            merged = self.struct(field.of, p, at_p, c, at_c, to)
            self._record("parent", at_p, to)
            self._record("child", at_c, to)
            return merged
        if c is None:
            return self._take("parent", field, p, at_p, to)
        return self._take("child", field, c, at_c, to)

    def _children(self, fields: Any, child: Tree) -> dict[tuple[str, str], tuple[str, int]]:
        """The child's entries by handle and identity: the list that holds them and their index."""
        found: dict[tuple[str, str], tuple[str, int]] = {}
        for name, field in fields.items():
            if field.shape is Shape.LIST and not field.appended:
                for i, item in enumerate(child.get(name) or ()):
                    found[field.together or name, _identity(item, field)] = (name, i)
        return found

    def _list(
        self,
        field: Field,
        p: list[Any] | None,
        c: list[Any] | None,
        at_p: Path,
        at_c: Path,
        to: Path,
        children: dict[tuple[str, str], tuple[str, int]],
    ) -> list[Any] | None:
        parent, child = p or [], c or []
        if not parent and not child:
            return None
        result: list[Any] = []
        if field.appended:
            for i, item in enumerate(parent):
                result.append(self._entry("parent", field, item, (*at_p, i), (*to, i)))
            for i, item in enumerate(child):
                result.append(self._entry("child", field, item, (*at_c, i), (*to, len(parent) + i)))
            from_parent, from_child = bool(parent), bool(child)
        else:
            from_parent, from_child = self._keyed(field, parent, child, at_p, at_c, to, children, result)
        if from_parent:
            self._record("parent", at_p, to)
        if from_child:
            self._record("child", at_c, to)
        return result

    def _keyed(
        self,
        field: Field,
        parent: list[Any],
        child: list[Any],
        at_p: Path,
        at_c: Path,
        to: Path,
        children: dict[tuple[str, str], tuple[str, int]],
        result: list[Any],
    ) -> tuple[bool, bool]:
        name = to[-1]
        from_parent = from_child = False
        known = set()
        for i, item in enumerate(parent):
            key = _identity(item, field)
            known.add(key)
            found = children.get((field.together or str(name), key))
            place = (*to, len(result))
            if found is None:
                result.append(self._entry("parent", field, item, (*at_p, i), place))
                from_parent = True
            elif found[0] == name:
                from_parent = from_child = True
                other, at_other = child[found[1]], (*at_c, found[1])
                if not isinstance(field.of, str):
                    result.append(self._entry("child", field, other, at_other, place))
                elif field.of == "HTTPHeader" and "value" not in other:
                    continue  # a header without a value removes the parent's
                else:
                    result.append(self.struct(field.of, item, (*at_p, i), other, at_other, place))
                    self._record("parent", (*at_p, i), place)
                    self._record("child", at_other, place)
        for i, item in enumerate(child):
            if _identity(item, field) not in known:
                result.append(self._entry("child", field, item, (*at_c, i), (*to, len(result))))
                from_child = True
        return from_parent, from_child

    # -- taking a side whole -----------------------------------------------------------------------------------------

    def _take(self, side: Side, field: Field, value: Any, at: Path, to: Path) -> Any:
        if value is None:
            return None
        if field.shape is Shape.SCALAR:
            self._record(side, at, to)
        else:
            self._trace(side, field, value, at, to)
        return value

    def _entry(self, side: Side, field: Field, item: Any, at: Path, to: Path) -> Any:
        if not isinstance(field.of, str):
            if item != "":
                self._record(side, at, to)
        elif self._trace_struct(side, field.of, item, at, to):
            self._record(side, at, to)
        return item

    def _trace(self, side: Side, field: Field, value: Any, at: Path, to: Path) -> bool:
        """Records every populated leaf of a subtree that is taken whole; whether there was one."""
        if field.shape is Shape.SCALAR:
            self._record(side, at, to)
            return True
        if field.shape is Shape.STRUCT:
            assert isinstance(field.of, str)
            any_ = self._trace_struct(side, field.of, value, at, to)
        else:
            any_ = False
            for i, item in enumerate(value):
                if isinstance(field.of, str):
                    one = self._trace_struct(side, field.of, item, (*at, i), (*to, i))
                else:
                    one = item != ""
                if one:
                    self._record(side, (*at, i), (*to, i))
                any_ = any_ or one
        if any_:
            self._record(side, at, to)
        return any_

    def _trace_struct(self, side: Side, of: str, value: Tree, at: Path, to: Path) -> bool:
        fields = self._fields[of]
        any_ = False
        for key, item in value.items():
            any_ = self._trace(side, fields[key], item, (*at, key), (*to, key)) or any_
        return any_


def _identity(item: Any, field: Field) -> str:
    return identity(item, TABLE[field.of].identity) if isinstance(field.of, str) else str(item)
