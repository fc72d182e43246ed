"""A content-keyed cache of built things, safe for several processes at once.

An item's directory is named by a hash over everything that decides its content, so it never changes once it exists: a
build works in a temporary directory and is renamed into place, whole. A lock per item makes the second of two runs wait
and then find the first one's work.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firestorm_lab.errors import LabError
from firestorm_lab.process import Runner
from firestorm_lab.progress import Step, step

_KEY_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something to build. `inputs` names all that decides its content: lock files, flags, versions, items' keys."""

    name: str
    inputs: Mapping[str, str]

    @property
    def key(self) -> str:
        """Hex digits that change whenever an input does."""
        text = json.dumps([self.name, dict(self.inputs)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]

    @property
    def directory(self) -> str:
        return f"{self.name}-{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Where one build works: `out` becomes the item, `scratch` is thrown away, `runner` runs its commands."""

    out: Path
    scratch: Path
    runner: Runner

    @property
    def step(self) -> Step:
        return self.runner.step


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """The cache below `root`: items/, logs/, locks/, tmp/, and the mutable places that commands keep there."""

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """FIRESTORM_CACHE, else firestorm below XDG_CACHE_HOME, else ~/.cache/firestorm."""
        own = os.environ.get("FIRESTORM_CACHE")
        if own:
            return cls(root=Path(own).expanduser().absolute())
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return cls(root=Path(base).expanduser().absolute() / "firestorm")

    def path(self, item: Item) -> Path:
        return self.root / "items" / item.directory

    def find(self, item: Item) -> Path | None:
        """The finished item's directory, None when it has not been built."""
        path = self.path(item)
        return path if path.is_dir() else None

    @contextmanager
    def lock(self, name: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the lock of this name. The kernel releases it when the process dies, however it dies."""
        path = self.root / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting is not None:
                    waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def ensure(self, item: Item, build: Callable[[Workspace], None], what: str = "building") -> Path:
        """The item's directory, built if it does not exist.

        `build` fills `workspace.out`. Whatever ends it early (an error, Ctrl-C), only its log remains of the item.
        Raises LabError when the build fails or the cache cannot be written.
        """
        found = self.find(item)
        if found is not None:
            return found
        try:
            (self.root / "items").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LabError(f"cannot write the cache {self.root}: {error.strerror}; set FIRESTORM_CACHE") from error
        waiting = Step(item.name)
        with self.lock(item.directory, lambda: waiting.note("another process is building it, waiting")):
            found = self.find(item)
            if found is not None:
                return found
            with step(item.name, what) as current:
                self._build(item, build, current)
        return self.path(item)

    def _build(self, item: Item, build: Callable[[Workspace], None], current: Step) -> None:
        tmp = self.root / "tmp"
        tmp.mkdir(exist_ok=True)
        for left in tmp.glob(f"{item.directory}.*"):  # of a process that was killed: the lock is ours now
            remove(left)
        log = self.root / "logs" / f"{item.name}.log"
        log.parent.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"{item.directory}.", dir=tmp))
        try:
            workspace = Workspace(out=work / "out", scratch=work / "scratch", runner=Runner(log=log, step=current))
            workspace.out.mkdir()
            workspace.scratch.mkdir()
            build(workspace)
            record = {
                "name": item.name,
                "key": item.key,
                "inputs": dict(item.inputs),
                "seconds": round(current.seconds, 1),
            }
            (workspace.out / "item.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
            workspace.out.rename(self.path(item))
        finally:
            remove(work)


def remove(path: Path) -> None:
    """Remove a tree, whatever modes its directories have; nothing when it does not exist."""

    def retry(function: Callable[[str], object], name: str, _error: object) -> None:
        Path(name).parent.chmod(0o700)
        if Path(name).is_dir() and not Path(name).is_symlink():
            Path(name).chmod(0o700)
        function(name)

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path, onerror=retry)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digests(root: Path, patterns: tuple[str, ...] = ("**/*",)) -> dict[str, str]:
    """The SHA-256 of each file below `root` that matches, by its relative path."""
    files = sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()})
    return {str(path.relative_to(root)): file_digest(path) for path in files}
