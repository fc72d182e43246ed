"""The difference of two Ignition configs by meaning: what a machine made from the one lacks of the other.

Entries are matched by what identifies them (a file by its path, a unit by its name). Contents are compared decoded, so
that another encoding of the same bytes is no difference.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .contents import ContentsError, as_text, contents
from .document import Config
from .fields import TABLE
from .ignition import read, upgrade
from .model import identity
from .schema import Field, Level, Shape, Tree, View, view
from .secrecy import FIELDS, is_secret_file, masked

Kind = Literal["added", "removed", "changed"]

_MARKS = {"added": "+", "removed": "-", "changed": "~"}
_COLOURS = {"added": "\033[32m", "removed": "\033[31m", "changed": "\033[33m"}
_RESET = "\033[0m"
_SECRET = "(secret)"
# What each list's entries are called; a list that is not here is compared as a whole.
_WORDS = {
    "Directory": "directory",
    "File": "file",
    "Link": "link",
    "Disk": "disk",
    "Partition": "partition",
    "Filesystem": "filesystem",
    "Luks": "LUKS volume",
    "Raid": "RAID",
    "Unit": "unit",
    "Dropin": "drop-in",
    "PasswdUser": "user",
    "PasswdGroup": "group",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field of an entry. ``old`` and ``new`` are as Ignition writes them, ``None`` where the field is absent."""

    name: str
    old: Any = None
    new: Any = None
    lines: tuple[str, ...] = ()
    """A unified diff, where both sides are text of more than one line."""
    secret: bool = False
    """The values were left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry: a file, unit, user, disk and so on, or a section that has no entries, such as ``ignition``."""

    kind: Kind
    what: str
    name: str
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """All changes, in the order of the specification. An empty one is false."""

    changes: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __str__(self) -> str:
        return self.text()

    def text(self, *, colour: bool = False) -> str:
        """For people: a line per entry, its fields below it, texts as unified diffs."""
        return "\n".join(line for change in self.changes for line in _draw(change, colour))

    def json(self) -> str:
        """For programs: a list of objects with the fields of :class:`Change` and :class:`FieldChange`."""
        return json.dumps([_plain(change) for change in self.changes], indent=2, ensure_ascii=False)


def diff(old: Config, new: Config, *, show_secrets: bool = False) -> Diff:
    """What changes from ``old`` to ``new``.

    Args:
        old: A config, as an object or as JSON text.
        new: Another one, of the same spec or another.
        show_secrets: Show contents of files that only their owner may read, private keys, key files and hashes of
            passwords. Otherwise only that they changed is told.

    Raises:
        IgnitionError: an argument is not an Ignition config.
    """
    (spec_old, tree_old), (spec_new, tree_new) = read(old, "<old>"), read(new, "<new>")
    spec = max(spec_old, spec_new)
    versions = [tree["ignition"]["version"] for tree in (tree_old, tree_new)]
    comparison = _Comparison(view(Level(spec)), show_secrets)
    comparison.run(upgrade(tree_old, spec_old, spec), upgrade(tree_new, spec_new, spec), *versions)
    return Diff(tuple(comparison.changes))


class _Comparison:
    def __init__(self, view: View, show_secrets: bool) -> None:
        self._fields = view.ignition
        self._show_secrets = show_secrets
        self.changes: list[Change] = []

    def run(self, old: Tree, new: Tree, old_version: str, new_version: str) -> None:
        old["ignition"]["version"], new["ignition"]["version"] = old_version, new_version
        for name, field in self._fields["Config"].items():
            assert isinstance(field.of, str)
            self._section(name, field.of, old.get(name, {}), new.get(name, {}))

    def _section(self, name: str, of: str, old: Tree, new: Tree) -> None:
        """A top-level section: its lists of entries one by one, all else as fields of the section."""
        rest: list[FieldChange] = []
        for key, field in self._fields[of].items():
            if field.of in _WORDS:
                self._entries(field, old.get(key) or [], new.get(key) or [], "")
            else:
                rest += self._field(of, key, field, old.get(key), new.get(key), key)
        if rest:
            self.changes.append(Change(kind="changed", what="section", name=name, fields=tuple(rest)))

    def _entries(self, field: Field, old: list[Tree], new: list[Tree], within: str) -> None:
        assert isinstance(field.of, str)
        by = TABLE[field.of].identity
        before, after = _by_identity(old, by), _by_identity(new, by)
        for key in dict.fromkeys([*before, *after]):
            self._entry(field.of, within + key, before.get(key), after.get(key))

    def _entry(self, of: str, name: str, old: Tree | None, new: Tree | None) -> None:
        kind: Kind = "added" if old is None else "removed" if new is None else "changed"
        found: list[FieldChange] = []
        nested: list[tuple[Field, list[Tree], list[Tree]]] = []
        for key, field in self._fields[of].items():
            a, b = (old or {}).get(key), (new or {}).get(key)
            if field.of in _WORDS:
                nested.append((field, a or [], b or []))
            elif key != TABLE[of].identity:
                found += self._field(of, key, field, a, b, key, (old, new))
        if found or kind != "changed":
            self.changes.append(Change(kind=kind, what=_WORDS[of], name=name, fields=tuple(found)))
        for field, a_list, b_list in nested:
            self._entries(field, a_list, b_list, f"{name} ")

    # -- fields ------------------------------------------------------------------------------------------------------

    def _field(
        self, of: str, key: str, field: Field, old: Any, new: Any, name: str, owners: tuple[Any, Any] = (None, None)
    ) -> Iterator[FieldChange]:
        if old == new:
            return
        if key in FIELDS and not self._show_secrets:
            yield _hidden(name, old, new)
        elif field.of == "Resource" and field.shape is Shape.STRUCT:
            yield from self._resource(name, old or {}, new or {}, owners)
        elif field.of == "Resource" and of == "File":
            yield from self._appended(name, old or [], new or [], owners)
        elif field.shape is Shape.STRUCT and isinstance(field.of, str):
            for sub, inner in self._fields[field.of].items():
                a, b = (old or {}).get(sub), (new or {}).get(sub)
                yield from self._field(field.of, sub, inner, a, b, f"{name}.{sub}")
        elif key == "mode":
            yield FieldChange(name=name, old=_octal(old), new=_octal(new))
        elif isinstance(old or new, list) and not self._show_secrets:
            before, after = masked(old), masked(new)
            yield _hidden(name, old, new) if before == after else self._values(name, before, after)
        else:
            yield self._values(name, old, new)

    def _values(self, name: str, old: Any, new: Any) -> FieldChange:
        lines: tuple[str, ...] = ()
        if isinstance(old or "", str) and isinstance(new or "", str) and "\n" in f"{old or ''}{new or ''}":
            lines = _unified(old or "", new or "")
        return FieldChange(name=name, old=old, new=new, lines=lines)

    def _resource(self, name: str, old: Tree, new: Tree, owners: tuple[Any, Any]) -> Iterator[FieldChange]:
        """Contents, decoded; where they are fetched, the URL, hash and headers."""
        before, after = _read(old), _read(new)
        if before is None and after is None:
            for key in dict.fromkeys([*old, *new]):
                if old.get(key) == new.get(key):
                    continue
                make = _hidden if key in FIELDS and not self._show_secrets else self._values
                yield make(f"{name}.{key}", old.get(key), new.get(key))
            return
        if before == after:
            return  # another encoding of the same bytes
        # What belongs to no file is a config, a certificate or a key.
        secret = owners == (None, None) or _secret(owners[0], before) or _secret(owners[1], after)
        if secret and not self._show_secrets:
            yield _hidden(name, before, after)
            return
        yield self._values(name, _show(old, before), _show(new, after))

    def _appended(self, name: str, old: list[Tree], new: list[Tree], owners: tuple[Any, Any]) -> Iterator[FieldChange]:
        for i in range(max(len(old), len(new))):
            a, b = old[i] if i < len(old) else {}, new[i] if i < len(new) else {}
            yield from self._resource(f"{name}.{i}", a, b, owners)


def _by_identity(entries: Iterable[Tree], by: str) -> dict[str, Tree]:
    """Entries by name; a valid config has no two of one name, an invalid one is compared by what comes last."""
    found = {}
    for entry in entries:
        key = identity(entry, by)
        found[key.replace("number:", "number ").replace("label:", "label ") if by == "partition" else key] = entry
    return found


def _read(resource: Tree) -> bytes | None:
    try:
        return contents(resource)
    except ContentsError:
        return None


def _secret(owner: Mapping[str, Any] | None, data: bytes | None) -> bool:
    return owner is not None and is_secret_file(owner, data)


def _show(resource: Tree, data: bytes | None) -> str | None:
    """Contents as text; what is none, or is fetched, in words."""
    if data is None:
        return resource.get("source")
    text = as_text(data)
    return text if text is not None else f"({len(data)} bytes that are not text)"


def _hidden(name: str, old: Any, new: Any) -> FieldChange:
    return FieldChange(
        name=name, old=None if old is None else _SECRET, new=None if new is None else _SECRET, secret=True
    )


def _octal(mode: int | None) -> str | None:
    return None if mode is None else f"{mode:04o}"


def _unified(old: str, new: str) -> tuple[str, ...]:
    """The lines of a unified diff below its two names, as diff(1) writes them."""
    before, after = _lines(old), _lines(new)
    shown: list[str] = []
    for line in list(difflib.unified_diff(before, after, n=2))[2:]:
        shown.append(line.removesuffix("\n"))
        if not line.endswith("\n"):
            shown.append("\\ No newline at end of file")
    return tuple(shown)


def _lines(text: str) -> list[str]:
    return [line + "\n" for line in text.split("\n")[:-1]] + ([last] if (last := text.rpartition("\n")[2]) else [])


# -- forms -------------------------------------------------------------------------------------------------------------


def _plain(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "what": change.what,
        "name": change.name,
        "fields": [
            {"name": f.name, "old": f.old, "new": f.new, "lines": list(f.lines), "secret": f.secret}
            for f in change.fields
        ],
    }


def _draw(change: Change, colour: bool) -> Iterator[str]:
    yield _paint(f"{_MARKS[change.kind]} {change.what} {printable(change.name)}", _COLOURS[change.kind], colour)
    for field in change.fields:
        yield from _draw_field(field, change.kind, colour)


def _draw_field(field: FieldChange, kind: Kind, colour: bool) -> Iterator[str]:
    if field.secret:
        yield f"    {field.name}: secret, {'changed' if kind == 'changed' else kind}"
    elif field.lines:
        yield f"    {field.name}:"
        for line in field.lines:
            shade = {"+": _COLOURS["added"], "-": _COLOURS["removed"], "@": "\033[36m"}.get(line[:1], "")
            yield "      " + _paint(printable(line), shade, colour)
    elif field.old is None or field.new is None:
        value = field.new if field.old is None else field.old
        suffix = "" if kind != "changed" else " (new)" if field.old is None else " (no longer set)"
        yield f"    {field.name}: {_value(value)}{suffix}"
    else:
        yield f"    {field.name}: {_value(field.old)} → {_value(field.new)}"


def _value(value: Any) -> str:
    return printable(value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False))


def printable(text: str) -> str:
    """``text`` with what would move a terminal's cursor made visible."""
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


def _paint(text: str, colour: str, wanted: bool) -> str:
    return f"{colour}{text}{_RESET}" if wanted and colour else text
