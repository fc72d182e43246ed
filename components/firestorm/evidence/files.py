"""Writing evidence: every text passes the masker on its way to a file, and no file grows beyond a limit."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from firestorm.evidence.masking import Masker
from firestorm.readiness.lines import Redactor, clean

LIMIT = 2 << 20
"""Bytes of one file; of a longer text the beginning and, mostly, the end are kept."""
_HEAD = 512 << 10
_PIECE = 1 << 16
_BREAK = re.compile(r"\r\n|\n|\r")


@dataclass(slots=True)
class Folder:
    """The directory that evidence goes to. `written` are the paths in it of what was written."""

    root: Path
    masker: Masker
    written: list[str] = field(default_factory=list[str])

    def masked(self, text: str) -> str:
        """A short text, as it may be shown."""
        return "\n".join(_redacted(self.masker, [text]))

    def write(self, name: str, pieces: Iterable[str]) -> None:
        """Logs as the file `name`, without terminal sequences. Nothing if there is no text. Raises OSError."""
        self._write(name, (f"{line}\n" for line in _redacted(self.masker, pieces)))

    def write_exactly(self, name: str, text: str) -> None:
        """A document, of which nothing but the known secrets is changed. Raises OSError."""
        self._write(name, [self.masker.mask(text)])

    def _write(self, name: str, pieces: Iterable[str]) -> None:
        path = self.root / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            file.writelines(pieces)
        if path.stat().st_size:
            self.written.append(name)
        else:
            path.unlink()


def bounded(path: Path, limit: int = LIMIT) -> Iterator[str]:
    """A regular file's text in pieces: all of it, or its beginning and its end. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if found.st_size <= limit:
            yield from _decoded(file, limit)
            return
        head = min(_HEAD, limit // 4)
        yield from _decoded(file, head)
        yield f"\n... {found.st_size - limit} bytes are left out here ...\n"
        file.seek(found.st_size - limit + head)
        yield from _decoded(file, limit - head)


def _decoded(file: BinaryIO, count: int) -> Iterator[str]:
    while count > 0 and (piece := file.read(min(_PIECE, count))):
        count -= len(piece)
        yield piece.decode("utf-8", errors="replace")


def _redacted(masker: Masker, pieces: Iterable[str]) -> Iterator[str]:
    """The lines of a text: without the known secrets, which may span lines, and without what looks like one."""
    redactor = Redactor()
    for line in _lines(_masked(masker, pieces)):
        if (shown := redactor.feed(line)) is not None:
            yield shown


def _masked(masker: Masker, pieces: Iterable[str]) -> Iterator[str]:
    stream = masker.stream()
    for line in _lines(pieces):
        yield stream.feed(f"{clean(line)}\n")
    yield stream.end()


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *lines, rest = _BREAK.split(rest + piece)
        yield from lines
        if len(rest) > _PIECE:  # no line of a log: a device's noise
            yield rest
            rest = ""
    if rest:
        yield rest
