"""Runs a watch against the world: reads consoles, asks the API, applies the manifests once, and ends with a verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from firestorm.errors import ReadinessError
from firestorm.readiness.console import ConsoleParser, ConsoleState
from firestorm.readiness.failure import Failure, message
from firestorm.readiness.observation import ApiState, Member, Observation
from firestorm.readiness.watch import Watch

INTERVAL = 1.0
"""Seconds between observations."""
_LONGEST = 5.0
_REST = 9.0  # what an API that answers costs is its nodes' loss: it is asked for a tenth of the time at most


class StoppedError(ReadinessError):
    """The wait was ended from outside."""


class World(Protocol):
    """What the loop needs of the world; times in seconds of one monotonic clock."""

    def now(self) -> float: ...

    def pause(self, seconds: float) -> bool:
        """Waits; False as soon as the wait is to end for good."""
        ...

    def consoles(self) -> Mapping[str, ConsoleState]: ...

    def api(self) -> ApiState: ...

    def told(self, seen: Observation) -> Mapping[str, tuple[Failure, ...]]:
        """What nodes that stay behind said last when they were asked, by name. Does not wait for them."""
        ...

    def apply(self) -> None:
        """Applies the manifests. Raises ReadinessError if that cannot succeed."""
        ...


def run(watch: Watch, world: World, say: Callable[[str], None]) -> ApiState:
    """Observes until the watch decides. `say` gets each step once.

    Returns the API's last state. Raises ReadinessError with the complete message when the cluster fails, StoppedError
    when `world.pause` says so.
    """
    applied = False
    while True:
        asked = world.now()
        api = world.api()
        answered = world.now()
        seen = Observation(at=answered, consoles=world.consoles(), api=replace(api, applied=applied))
        seen = replace(seen, told=world.told(seen))
        verdict = watch.observe(seen)
        for step in verdict.progress:
            say(step)
        if verdict.done:
            return seen.api
        if verdict.reports:
            raise ReadinessError(message(verdict.reports))
        if api.ready and not applied:
            world.apply()
            applied = True
        elif not world.pause(_interval(answered - asked) if api.ready else INTERVAL):
            raise StoppedError("the wait for the cluster was stopped; the next `pulumi up` takes it up again")


def _interval(took: float) -> float:
    """Seconds until an API is asked again that took so many to answer."""
    return min(max(INTERVAL, _REST * took), _LONGEST)


@dataclass(slots=True)
class ConsoleFile:
    """A console's log file, read as it grows. A file that appears late, is rotated or begins anew is no error."""

    path: Path
    parser: ConsoleParser = field(default_factory=ConsoleParser)
    problem: str = ""
    """Why the file cannot be read; empty while it can or is not there yet."""
    _file: BinaryIO | None = None

    def read(self) -> ConsoleState:
        """Reads what came since the last call."""
        try:
            self._read()
            self.problem = ""
        except FileNotFoundError:
            pass
        except OSError as error:
            self.problem = error.strerror or str(error)
        return self.parser.state()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> None:
        if self._file is None:
            self._file = self.path.open("rb")
        self._drain(self._file)
        here, opened = self.path.stat(), self._stat()
        if (here.st_dev, here.st_ino) != (opened.st_dev, opened.st_ino):
            # virtlogd renames a log that has grown large and goes on in a new one (virtlogd.conf: max_size).
            self.close()
            self._file = self.path.open("rb")
            self._drain(self._file)
        elif here.st_size < self._file.tell():
            # libvirt truncates the file when a machine starts (serial source path, append off).
            self.parser = ConsoleParser()
            self._file.seek(0)
            self._drain(self._file)

    def _stat(self) -> os.stat_result:
        assert self._file is not None
        return os.fstat(self._file.fileno())

    def _drain(self, file: BinaryIO) -> None:
        while piece := file.read(1 << 16):
            self.parser.feed(piece.decode("utf-8", errors="replace"))


@dataclass(slots=True)
class Consoles:
    """The console files of the members that have one."""

    files: dict[str, ConsoleFile]

    @classmethod
    def of(cls, members: tuple[Member, ...]) -> Consoles:
        return cls({member.name: ConsoleFile(Path(member.console)) for member in members if member.console})

    def read(self) -> dict[str, ConsoleState]:
        """The consoles that can be read, by node."""
        states = {name: file.read() for name, file in self.files.items()}
        return {name: state for name, state in states.items() if not self.files[name].problem}

    def problems(self) -> dict[str, str]:
        return {name: f"{file.path}: {file.problem}" for name, file in self.files.items() if file.problem}

    def close(self) -> None:
        for file in self.files.values():
            file.close()
