"""Who works on a cluster: one run at a time, and none that outlives its end.

A run is found by what the kernel keeps of it, not by what it wrote down: its lock is released however it dies, and
every process of its Pulumi (the engine, the language host, providers) carries the cluster's home in its environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from firestorm.clusters.files import Progress, silent
from firestorm.errors import ClusterError
from firestorm.platforms.libvirt import supervision

MARKER = "FIRESTORM_CLUSTER"
"""Environment variable of every process that works on a cluster for Pulumi: the cluster's home."""

LOG = "pulumi.log"
"""File in a cluster's home: what the Pulumi command printed that ran last and was not quiet."""

PATIENCE = 60.0
"""Seconds that an interrupted Pulumi gets to finish what it has begun: a volume being copied, a machine starting."""
_LAST = 5.0
_held: set[Path] = set()


class BusyError(ClusterError):
    """Another run works on the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds a cluster's lock, and the command it is at; `started` in clock ticks since boot."""

    pid: int
    started: int
    command: str

    @property
    def alive(self) -> bool:
        return supervision.start_time(self.pid) == self.started


def holder(home: Path) -> Holder | None:
    """Who holds the lock of the cluster at `home`, or held it last."""
    try:
        return Holder(**json.loads((home / "lock").read_text()))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def exclusive(home: Path, command: str) -> Iterator[None]:
    """Hold the cluster's lock, which is in its home; a process may take it again while it has it.

    Raises BusyError if another process has it.
    """
    if home in _held:
        yield
        return
    with contextlib.closing(_lock(home)) as file:
        file.truncate(0)
        started = supervision.start_time(os.getpid())
        file.write(json.dumps({"pid": os.getpid(), "started": started, "command": command}))
        file.flush()
        _held.add(home)
        try:
            yield
        finally:
            _held.discard(home)


def end_holder(home: Path, patience: float = PATIENCE, *, say: Progress = silent) -> str | None:
    """End another process that holds the cluster's lock as Ctrl-C does, if need be by force; what was ended."""
    found = holder(home)
    if home in _held or found is None or not found.alive or not is_locked(home):
        return None
    say(f"ending `{found.command}` (process {found.pid})")
    _signal(found.pid, found.started, signal.SIGINT)
    if not supervision.wait(lambda: not is_locked(home), patience, interval=0.2):
        supervision.terminate({found.pid: found.started}, grace=_LAST)
    return f"process {found.command} ({found.pid})"


def processes(home: Path) -> dict[int, int]:
    """{process id: start time} of all that Pulumi runs for the cluster at `home`, never this process."""
    marker = f"{MARKER}={home}".encode()
    found: dict[int, int] = {}
    for pid in supervision.pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        started = supervision.start_time(pid)
        if pid != os.getpid() and started is not None and marker in environment.split(b"\0"):
            found[pid] = started
    return found


def end(home: Path, patience: float = PATIENCE, *, say: Progress = silent) -> list[str]:
    """End what Pulumi runs for the cluster: its engines by SIGINT, and after `patience` seconds whatever is left.

    Returns what was ended. Raises PlatformError if a process survives SIGKILL.
    """
    found = processes(home)
    ended = [f"process {supervision.command(pid)} ({pid})" for pid in found]
    engines = {pid: started for pid, started in found.items() if supervision.command(pid) == "pulumi"}
    if engines:
        say(f"ending Pulumi, which still runs (process {', '.join(map(str, engines))})")
    for pid, started in engines.items():
        _signal(pid, started, signal.SIGINT)
    supervision.wait(
        lambda: not any(supervision.start_time(pid) == started for pid, started in engines.items()), patience
    )
    while left := processes(home):  # a process may fork while it is looked for
        supervision.terminate(left, grace=_LAST)
    return ended


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    home: Path,
    *,
    say: Progress = silent,
    quiet: bool = False,
    merged: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command of Pulumi's to its end. `quiet` keeps what it prints; `merged` in one stream, as it came.

    Else `say` gets its lines as they come, by way of the file LOG: a pipe would break when this process is killed, and
    with it an engine that has something to finish. It leads a session of its own, so that Ctrl-C reaches this process
    alone, and from here Pulumi exactly once. When this process is interrupted or told to end, Pulumi may finish what it
    has begun, and nothing it started is left.
    """
    with contextlib.ExitStack() as stack:
        follower = None if quiet else stack.enter_context(_Follower.of(home / LOG, say))
        process = subprocess.Popen(
            command,
            env={**environment, MARKER: str(home)},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=follower.writer if follower else subprocess.PIPE,
            stderr=subprocess.STDOUT if merged or follower else subprocess.PIPE,
            start_new_session=True,
        )
        try:
            out, err = _finish(process, follower, None)
        except BaseException:
            _stop(process, follower, home, say)
            raise
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)


@dataclass(slots=True, kw_only=True)
class _Follower:
    """A file that a process writes, and whose lines are said as they come."""

    writer: IO[str]
    reader: IO[str]
    say: Progress
    _rest: str = ""

    @classmethod
    @contextmanager
    def of(cls, path: Path, say: Progress) -> Iterator[_Follower]:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as writer, path.open(errors="replace") as reader:
            follower = cls(writer=writer, reader=reader, say=say)
            yield follower
            follower.read(last=True)

    def read(self, *, last: bool = False) -> None:
        *lines, self._rest = (self._rest + self.reader.read()).split("\n")
        for line in [*lines, self._rest] if last and self._rest else lines:
            self.say(line)


def _finish(process: subprocess.Popen[str], follower: _Follower | None, timeout: float | None) -> tuple[str, str]:
    """As `communicate`, while its lines are said."""
    if follower is None:
        out, err = process.communicate(timeout=timeout)
        return out or "", err or ""
    deadline = time.monotonic() + timeout if timeout is not None else None
    while True:
        follower.read()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            follower.read()
            return "", ""
        if timeout is not None and deadline is not None and time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(process.args, timeout)


def _stop(process: subprocess.Popen[str], follower: _Follower | None, home: Path, say: Progress) -> None:
    """Pulumi's own two steps, see its help: the first SIGINT ends the update in order, the second at once."""
    say("stopping: Pulumi finishes what it has begun; Ctrl-C again stops it at once")
    for patience in (PATIENCE, _LAST):
        process.send_signal(signal.SIGINT)
        try:
            _finish(process, follower, patience)
            break
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            continue
    end(home, 0.0, say=say)


def _lock(home: Path) -> IO[str]:
    """The lock's file, locked. It is removed with its home, so what was locked must still be what is there."""
    while True:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = home / "lock"
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise BusyError(_busy(home)) from None
        if supervision.identity(path) == _identity(file):
            return file
        file.close()


def is_locked(home: Path) -> bool:
    try:
        with (home / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _busy(home: Path) -> str:
    deadline = time.monotonic() + 1.0
    while (found := holder(home)) is None and time.monotonic() < deadline:
        time.sleep(0.05)  # it has locked the file, and not yet written who it is
    who = f"`{found.command}` (process {found.pid})" if found else "another run"
    return f"{who} works on the cluster {home.name}: wait for it, or end it with `firestorm down {home.name}`"


def _identity(file: IO[Any]) -> tuple[int, int]:
    stat = os.fstat(file.fileno())
    return (stat.st_dev, stat.st_ino)


def _signal(pid: int, started: int, number: signal.Signals) -> None:
    """As `supervision` does: through a descriptor of the process, because ids are reused."""
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            if supervision.start_time(pid) == started:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
