"""The cache's directory: locks, records of what was verified, durable renames, room on the disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from firestorm.errors import ImageError

CHUNK: Final = 1 << 20
FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a verified file.

    `source` is the published checksum it was downloaded under; `size` in bytes and `mtime_ns` tell whether the file is
    still the one that was hashed.
    """

    version: str
    source: str
    sha256: str
    size: int
    mtime_ns: int
    url: str = ""


def read_record(path: Path) -> Record | None:
    """The record at `path`; None if there is none or it is damaged, which makes its file unverified."""
    try:
        fields = json.loads(path.read_bytes())
        record = Record(**fields)
    except (OSError, ValueError, TypeError):
        return None
    texts = (record.version, record.source, record.sha256, record.url)
    numbers = (record.size, record.mtime_ns)
    valid = all(isinstance(text, str) for text in texts) and all(isinstance(number, int) for number in numbers)
    return record if valid else None


def write_record(path: Path, record: Record, mode: int = 0o644) -> None:
    """Replaces the record at `path` in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def digest(path: Path, algorithm: str, report: Callable[[int], None] = lambda _done: None) -> str:
    """Hexadecimal hash of a file; `report` gets the bytes read so far."""
    state, done = hashlib.new(algorithm), 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            state.update(chunk)
            done += len(chunk)
            report(done)
    return state.hexdigest()


def publish(temporary: Path, final: Path) -> None:
    """Gives a complete file its final name, durably: after a crash the name is absent or the content is whole."""
    temporary.chmod(0o644)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(final)
    directory = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def make_directory(path: Path, mode: int) -> None:
    """Creates `path` and its parents; `mode` holds whatever the umask, but an existing directory is left as it is."""
    for parent in reversed((path, *path.parents)):
        with contextlib.suppress(FileExistsError):
            parent.mkdir()
            parent.chmod(mode)


@contextlib.contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds a lock against other processes and threads; `waiting` is called once if it has to wait.

    The lock file is removed at the end. So a lock that was waited for may be on a file that is gone: then it guards
    nothing, and the wait begins anew. The kernel frees the lock of a process that dies.
    """
    while True:
        make_directory(path.parent, 0o700)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:  # the directory was removed by its last user in between
            continue
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(descriptor).st_ino:
                    break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        with contextlib.suppress(OSError):  # not empty: another image's lock or partial download
            path.parent.rmdir()


def require_room(directory: Path, need: int, what: str) -> None:
    """Refuses work that cannot end well.

    Raises:
        ImageError: less than `need` bytes are free where `directory` is.
    """
    free = shutil.disk_usage(directory).free
    if need > free:
        raise ImageError(
            f"{directory}: {what} needs {megabytes(need)} there, but only {megabytes(free)} are free; "
            "make room, or choose another cache directory"
        )


def disk_error(error: OSError, directory: Path) -> ImageError:
    """The message for an operating system error of the cache's own files."""
    if error.errno in FULL:
        return ImageError(
            f"{directory}: the disk is full; make room, or choose another cache directory. "
            "What was downloaded so far is kept, and the next run goes on from there"
        )
    where = error.filename or directory
    return ImageError(f"{where}: {error.strerror or error}; check the cache directory {directory} and its permissions")


def megabytes(size: float) -> str:
    """A size in bytes for people, in MiB or GiB."""
    return f"{size / (1 << 20):.1f} MiB" if size < 1 << 30 else f"{size / (1 << 30):.1f} GiB"
