"""Gathering problems while a document is read, and the words that every message shares."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence

from firestorm.errors import Problem
from firestorm.spec.source import FieldPath, Source, dotted

_SHOWN = 60
#: Other systems' words for the same thing.
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "core-os": "fcos", "fedora": "fcos"}


class Problems:
    """Gathers problems, at most one of each text per field, and knows which fields cannot be read."""

    def __init__(self, source: Source, order: Mapping[FieldPath, int]) -> None:
        self._source = source
        self._order = order
        self._found: dict[tuple[FieldPath, str], Problem] = {}
        self._broken: set[FieldPath] = set()

    def add(self, path: FieldPath, text: str, remedy: str = "") -> None:
        """Records a problem of the field at `path`."""
        problem = Problem(path=dotted(path), text=text, remedy=remedy, location=self._source.locate(path))
        self._found.setdefault((path, text), problem)

    def add_broken(self, path: FieldPath, text: str, remedy: str = "") -> None:
        """Records a problem that leaves the field without a usable value."""
        self._broken.add(path)
        self.add(path, text, remedy)

    def broken(self, path: FieldPath) -> bool:
        return path in self._broken

    def about(self, path: FieldPath) -> bool:
        """Whether anything was said about the field itself or what is in it."""
        return any(found[: len(path)] == path for found, _ in self._found)

    def in_order(self) -> tuple[Problem, ...]:
        """All problems in the order of the document; a field that is absent stands where its map begins."""

        def position(path: FieldPath) -> tuple[int, int]:
            for length in range(len(path), -1, -1):
                if path[:length] in self._order:
                    return self._order[path[:length]], len(path) - length
            return 0, 0

        found = sorted(self._found.items(), key=lambda item: position(item[0][0]))
        return tuple(problem for _, problem in found)


def shown(value: object) -> str:
    """A value for a message: as JSON, shortened."""
    if isinstance(value, str) and len(value) > _SHOWN:
        value = value[: _SHOWN - 3] + "..."
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if isinstance(value, str) or len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def nearest(word: str, known: Sequence[str]) -> str:
    """A remedy for an unknown word: the one probably meant, or all of them."""
    by_lower = {name.lower(): name for name in known}
    meant = by_lower.get(_ALIASES.get(word.lower(), ""))
    close = [meant] if meant else [by_lower[name] for name in difflib.get_close_matches(word.lower(), by_lower, n=1)]
    return f'did you mean "{close[0]}"?' if close else f"known here: {', '.join(known)}"
