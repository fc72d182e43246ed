"""Processes that outlive the run which started them, and are ended exactly: never another, never by name.

A process is known by its id *and* its start time (field 22 of /proc/<pid>/stat, see proc(5)), because ids are reused.
Signals go through a pidfd, opened before the start time is compared, so that nothing can slip in between.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from firestorm.errors import PlatformError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MARKER = "FIRESTORM_PRIVATE"
"""Environment variable that all processes of a private libvirt carry: its directory."""

Identity = tuple[int, int]
"""A file's or a namespace's (device, inode)."""

# What Python ignores or an interactive parent may have set, and a daemon must not inherit.
_DEFAULT_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A started process: `started` is in clock ticks since boot; `log` is where its output goes."""

    label: str
    pid: int
    started: int
    argv: tuple[str, ...]
    log: str


def tool(name: str, package: str) -> str:
    """The absolute path of a program. Raises PlatformError that names the Debian package to install."""
    found = find(name)
    if found is None:
        raise PlatformError(f"{name} is not installed: install it (Debian package {package})")
    return found


def find(name: str) -> str | None:
    """The absolute path of a program, None if it is not installed. The system's directories alone are searched."""
    return shutil.which(name, path=PATH)


def spawn(
    label: str, argv: Sequence[str], *, log: Path, environment: Mapping[str, str], pass_fd: int | None = None
) -> Process:
    """Start `argv` (its program as an absolute path) in a session of its own, `pass_fd` as its file descriptor 3."""
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable()),
    ]
    if pass_fd is not None:
        actions.append((os.POSIX_SPAWN_DUP2, pass_fd, 3))
    try:
        pid = os.posix_spawn(
            argv[0],
            list(argv),
            {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/", **environment},
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=_DEFAULT_SIGNALS,
        )
    except OSError as error:
        raise PlatformError(f"{label} does not start: {argv[0]}: {error.strerror}; its log is {log}") from error
    return Process(label=label, pid=pid, started=start_time(pid) or 0, argv=tuple(argv), log=str(log))


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone or dead and unreaped."""
    fields = _stat(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return None
    return int(fields[19])


def alive(process: Process) -> bool:
    return process.started != 0 and start_time(process.pid) == process.started


def session(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def command(pid: int) -> str:
    """A process' name as the kernel knows it, for messages; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def pids() -> Iterable[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]  # noqa: PTH208 (no Path per process)


def namespace_of(pid: int) -> Identity | None:
    """The identity of a process' network namespace; None if it is gone."""
    return identity(Path(f"/proc/{pid}/ns/net"))


def identity(path: Path) -> Identity | None:
    """(device, inode) of what `path` leads to; None if it does not exist or may not be looked at."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino)


def marked(pid: int, value: str) -> bool:
    """Whether a process was started with MARKER=`value` in its environment, or by such a process."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{MARKER}={value}".encode() in environment.split(b"\0")


def terminate(targets: Mapping[int, int], *, grace: float = 5.0) -> None:
    """End processes {pid: start time}: SIGTERM, after `grace` seconds SIGKILL; returns when all are gone.

    Raises PlatformError if one survives SIGKILL for as long (it hangs in the kernel).
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, started in targets.items():
            _signal(pid, started, number)
        if wait(lambda: not any(start_time(pid) == started for pid, started in targets.items()), grace):
            break
    else:
        left = ", ".join(f"{command(pid)} ({pid})" for pid, at in targets.items() if start_time(pid) == at)
        raise PlatformError(f"these processes survive SIGKILL: {left}; they hang in the kernel, see its log (dmesg)")
    for pid in targets:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def wait(condition: Callable[[], bool], timeout: float, *, interval: float = 0.05) -> bool:
    """Poll `condition` until it holds; False after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True


def tail(path: Path, lines: int = 8) -> str:
    """The last lines of a log, indented for a message; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "".join(f"\n    {line}" for line in text.splitlines()[-lines:])


def _inheritable() -> list[int]:
    """Descriptors that this process got from its parent: a daemon that kept one, a pipe of a CI job for example, would
    keep whoever reads it waiting."""
    found = []
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208 (descriptors, not files)
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            if int(entry) > 2 and os.get_inheritable(int(entry)):
                found.append(int(entry))
    return found


def _signal(pid: int, started: int, number: signal.Signals) -> None:
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if start_time(pid) == started:
            signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def _stat(pid: int) -> list[str] | None:
    """Fields 3 and following of /proc/<pid>/stat; the second, the name, may hold spaces and parentheses."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
