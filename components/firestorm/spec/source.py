"""Where a document came from: what messages call it, where each field stands, where relative paths start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document's origin. `marks` gives each field's 1-based (line, column); relative paths start at `directory`."""

    name: str | None = None
    directory: Path = field(default_factory=Path.cwd)
    marks: Mapping[FieldPath, tuple[int, int]] = field(default_factory=dict[FieldPath, tuple[int, int]])

    def locate(self, path: FieldPath) -> str | None:
        """`file:line:column` of a field or, if it is absent, of the nearest field around it."""
        for length in range(len(path), -1, -1):
            if mark := self.marks.get(path[:length]):
                return f"{self.name}:{mark[0]}:{mark[1]}"
        return self.name


def dotted(path: FieldPath) -> str:
    """A path as people read it: `workers[0].labels["example.com/team"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part and all(character.isalnum() or character in "_-" for character in part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text
