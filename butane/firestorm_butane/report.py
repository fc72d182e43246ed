"""What a compilation has to say: messages with a place, a text and a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter

_CONTROL = dict.fromkeys((*range(9), *range(10, 32), *range(127, 160), *range(0xD800, 0xE000)), "�")
_EXCERPT = 160
_NO_TAB = re.compile(r"[^\t]")


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


_COLOURS = {Severity.ERROR: "\033[1;31m", Severity.WARNING: "\033[1;33m", Severity.INFO: "\033[1;36m"}
_place = attrgetter("location.file", "location.line", "location.column")
_CARET, _RESET = "\033[1;34m", "\033[0m"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a source. ``line`` and ``column`` count from 1, ``column`` in characters; 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One problem. ``path`` is the field's path in the source, as ``$.storage.files.0.mode``; ``$`` is all of it."""

    severity: Severity
    code: str
    """A stable word for this kind of problem, such as ``decimal-mode``."""
    path: str
    location: Location
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        at = f" ({self.path})" if self.path not in {"", "$"} else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.location}: {self.severity.value}: {self.text}{remedy}{at}"


def path_text(path: Iterable[str | int]) -> str:
    """``("storage", "files", 0)`` -> ``$.storage.files.0``."""
    text = ".".join(["$", *map(str, path)])
    return text if text.isascii() else text.encode(errors="replace").decode()


@dataclass(frozen=True, slots=True)
class Report:
    """All messages of one compilation or validation, in source order."""

    messages: tuple[Message, ...] = ()
    sources: dict[str, Sequence[str]] = field(default_factory=dict, repr=False, compare=False)
    """Source lines by file name, for the excerpts that ``str()`` draws."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; warnings are allowed."""
        return not any(m.severity is Severity.ERROR for m in self.messages)

    @property
    def errors(self) -> tuple[Message, ...]:
        return tuple(m for m in self.messages if m.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Message, ...]:
        return tuple(m for m in self.messages if m.severity is Severity.WARNING)

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)

    def __str__(self) -> str:
        return self.text()

    def text(self, *, colour: bool = False) -> str:
        """Every message, and below it the source line with a caret under the column."""
        return "\n".join(self._draw(m, colour) for m in self.messages)

    def _draw(self, message: Message, colour: bool) -> str:
        lines = self.sources.get(message.location.file, ())
        number, column = message.location.line, message.location.column
        said = str(message)
        if colour:
            word = f" {message.severity.value}: "
            said = said.replace(word, f" {_COLOURS[message.severity]}{message.severity.value}{_RESET}: ", 1)
        if not 1 <= number <= len(lines):
            return said
        line = lines[number - 1]
        start = max(0, column - 1 - _EXCERPT // 2) if len(line) > _EXCERPT else 0
        excerpt = line[start : start + _EXCERPT]
        gutter = f"{number:>5} | "
        margin = _NO_TAB.sub(" ", excerpt[: max(0, column - 1 - start)])
        caret = f"{_CARET}^{_RESET}" if colour else "^"
        shown = excerpt if excerpt.isprintable() else excerpt.translate(_CONTROL)
        return f"{said}\n{gutter}{shown}\n{' ' * (len(gutter) - 2)}| {margin}{caret}"


def arrange(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Source order, without repetitions."""
    return tuple(sorted(dict.fromkeys(messages), key=_place))
