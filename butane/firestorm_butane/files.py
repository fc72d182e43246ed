"""Where the contents of local files come from: memory, a directory, or nowhere."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import messages as m
from .messages import Problem

if TYPE_CHECKING:
    from pathlib import Path as OsPath

_ESCAPED = re.compile("[\udc80-\udcff]")


class FilesError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Entry:
    """One node of a tree. ``path`` is relative to the tree's root, ``.`` for the root itself."""

    path: str
    kind: str
    """``file``, ``directory``, ``link`` or ``other``."""
    executable: bool = False
    target: str = ""
    """Of a link."""


def inside(path: str) -> str:
    """The simplest form of a path relative to the files directory; an absolute one is taken as relative.

    Raises:
        FilesError: it leads out of the directory.
    """
    clean = posixpath.normpath(posixpath.join(".", path.lstrip("/")))
    if clean == ".." or clean.startswith("../"):
        raise FilesError(m.FILES_DIR_ESCAPE.fill(path=path))
    return clean


class Files:
    """Local files, looked up in ``memory`` first and in ``directory`` then; either may be missing."""

    def __init__(self, memory: Mapping[str, bytes | str] | None, directory: OsPath | None) -> None:
        self.given = memory is not None or directory is not None
        self._directory = directory
        self._memory: dict[str, bytes | str] = {}
        for path, content in (memory or {}).items():
            self._memory[posixpath.normpath(path.lstrip("/"))] = content

    def read(self, path: str) -> bytes:
        """The contents of one file.

        Raises:
            FilesError: no files directory, a path out of it, or an unreadable file.
        """
        if not self.given:
            raise FilesError(m.NO_FILES_DIR)
        return self.read_entry(inside(path), path)

    def read_entry(self, clean: str, shown: str) -> bytes:
        content = self._memory.get(clean)
        if content is not None:
            return content.encode() if isinstance(content, str) else content
        if self._directory is None:
            raise FilesError(m.FILE_UNREADABLE.fill(path=shown, why="no such file"))
        try:
            return (self._directory / clean).read_bytes()
        except (OSError, ValueError) as exc:
            raise FilesError(m.FILE_UNREADABLE.fill(path=shown, why=_why(exc))) from exc

    def walk(self, path: str) -> Iterator[Entry | FilesError]:
        """Every node below a directory, the directory itself first, in lexical order per directory.

        Raises:
            FilesError: the root cannot be walked.
        """
        clean = inside(path)
        prefix = "" if clean == "." else clean + "/"
        if any(name.startswith(prefix) for name in self._memory):
            yield from self._walk_memory(prefix)
            return
        if clean in self._memory:
            raise FilesError(m.TREE_NOT_DIRECTORY.fill(path=path))
        if self._directory is None:
            raise FilesError(m.FILE_UNREADABLE.fill(path=path, why="no such directory"))
        root = self._directory / clean
        try:
            is_directory = stat.S_ISDIR(root.stat().st_mode)
        except (OSError, ValueError) as exc:
            raise FilesError(m.FILE_UNREADABLE.fill(path=path, why=_why(exc))) from exc
        if not is_directory:
            raise FilesError(m.TREE_NOT_DIRECTORY.fill(path=path))
        yield from _walk_disk(root, ".")

    def _walk_memory(self, prefix: str) -> Iterator[Entry]:
        names = {name[len(prefix) :] for name in self._memory if name.startswith(prefix)}
        directories = {"."}
        for name in names:
            while name := posixpath.dirname(name):
                directories.add(name)
        # "/" sorts before all else, so that a directory's contents follow it.
        for name in sorted(names | directories, key=lambda n: [] if n == "." else [p.encode() for p in n.split("/")]):
            yield Entry(name, "directory" if name in directories else "file")


def _walk_disk(root: OsPath, relative: str) -> Iterator[Entry | FilesError]:
    path = root / relative
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            yield Entry(relative, "link", target=str(path.readlink()))
        elif stat.S_ISREG(status.st_mode):
            yield Entry(relative, "file", executable=bool(status.st_mode & 0o111))
        elif stat.S_ISDIR(status.st_mode):
            yield Entry(relative, "directory")
            for name in sorted((child.name for child in path.iterdir()), key=os.fsencode):
                yield from _walk_disk(root, name if relative == "." else f"{relative}/{name}")
        else:
            yield Entry(relative, "other")
    except OSError as exc:
        yield FilesError(m.FILE_UNREADABLE.fill(path=relative, why=_why(exc)))


def _why(exc: Exception) -> str:
    return (exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)).lower()


def text(data: bytes) -> str:
    """UTF-8 text; each byte that is not becomes U+FFFD, as in the reference's JSON."""
    decoded = data.decode("utf-8", "surrogateescape")
    return decoded if decoded.isascii() else _ESCAPED.sub("\ufffd", decoded)
