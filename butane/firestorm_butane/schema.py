"""The vocabulary of the field table: what a field is, and the view of the table that one version sees.

A field is described once, for Butane (its key in YAML) and for Ignition (its name in JSON). ``since`` and ``until``
count Ignition's minor version (``6`` means spec 3.6.0); every Butane version targets one Ignition spec, so the same
number serves both languages. Keys that belong to a variant and not to the base (``boot_device``, ``grub``,
``openshift``) count that variant's own minor version instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

Path = tuple[str | int, ...]
"""A path from the root of a document: keys and list indexes."""

Tree = dict[str, Any]
"""A document in the normal form described in :mod:`firestorm_butane.model`."""

LATEST = 99

EXPERIMENTAL_SPEC = 7
"""Ignition's minor version that is not stable: its format may still change."""


def spec_version(minor: int) -> str:
    """``6`` -> ``3.6.0``."""
    return f"3.{minor}.0" + ("-experimental" if minor >= EXPERIMENTAL_SPEC else "")


class Scalar(Enum):
    STR = "string"
    INT = "integer"
    BOOL = "boolean"


class Shape(Enum):
    SCALAR = "scalar"
    STRUCT = "struct"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Level:
    """What a version knows: an Ignition minor version and, where it applies, a variant's own minor version."""

    spec: int
    fcos: int = -1
    openshift: int = -1


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``name`` is ``None`` for sugar (Butane only), ``key`` is empty for what only Ignition has."""

    key: str
    name: str | None
    shape: Shape
    of: Scalar | str
    """A scalar type or the name of a struct; for a list, that of its elements."""
    optional: bool = True
    """Absent differs from the zero value (a pointer in the reference); otherwise absent means zero."""
    always: bool = False
    """Written to JSON also when zero."""
    since: int = 0
    until: int = LATEST
    scope: str = "spec"
    """Which number of :class:`Level` the two above count."""
    appended: bool = False
    """A list whose entries have no key: a merge appends them and duplicates are allowed."""
    together: str = ""
    """Lists of one struct with the same word here share one set of keys."""
    rule: str = ""
    """The validation rule of a list's scalar elements."""
    doc: str = ""

    def known_to(self, level: Level) -> bool:
        number: int = getattr(level, self.scope)
        return self.since <= number <= self.until


@dataclass(frozen=True, slots=True)
class Struct:
    name: str
    fields: tuple[Field, ...]
    identity: str = ""
    """The field whose value identifies an entry in a list; ``partition`` has a rule of its own."""


_CAPITAL = re.compile(r"_([a-z0-9])")
_HUMP = re.compile(r"MiB|[A-Z]")


def camel(key: str) -> str:
    """The Ignition spelling of a Butane key: ``size_mib`` -> ``sizeMiB``."""
    if key.endswith("_mib"):
        key = key.removesuffix("_mib") + "MiB"
    return _CAPITAL.sub(lambda m: m.group(1).upper(), key)


def snake(name: str) -> str:
    """The Butane spelling of an Ignition name: ``sizeMiB`` -> ``size_mib``."""
    return _HUMP.sub(lambda m: "_" + m.group(0), name).lower()


def snake_path(path: Path) -> Path:
    return tuple(snake(p) if isinstance(p, str) else p for p in path)


class Table:
    """All structs by name."""

    __slots__ = ("structs",)

    def __init__(self, *structs: Struct) -> None:
        self.structs: Mapping[str, Struct] = {s.name: s for s in structs}

    def __getitem__(self, name: str) -> Struct:
        return self.structs[name]


@dataclass(frozen=True, slots=True)
class View:
    """The table as one version sees it, by struct: Butane fields by key, Ignition fields by name, both in order."""

    level: Level
    butane: Mapping[str, Mapping[str, Field]]
    ignition: Mapping[str, Mapping[str, Field]]


@cache
def view(level: Level) -> View:
    from .fields import TABLE  # the table imports this module

    butane: dict[str, dict[str, Field]] = {}
    ignition: dict[str, dict[str, Field]] = {}
    for struct in TABLE.structs.values():
        known = [f for f in struct.fields if f.known_to(level)]
        butane[struct.name] = {f.key: f for f in known if f.key}
        ignition[struct.name] = {f.name: f for f in known if f.name is not None}
    return View(level, butane, ignition)
