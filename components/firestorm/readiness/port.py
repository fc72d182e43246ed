"""The host's end of a node's journal port: asks a machine for its journal, without network and without kubelet.

The port is QEMU's `pipe` character device: two named pipes, `<port>.in` for requests and `<port>.out` for answers. In
the node, firestorm-journal sleeps on /dev/virtio-ports/org.firestorm.journal.0 until a request comes. A request that is
sent before the node has come so far stays in the pipe; who gives up takes it back.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import select
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from firestorm.errors import ReadinessError

Question = Literal["journal", "kubelet", "containers", "node", "trouble", "clock"]
"""What a node can be asked for: this boot's journal; the kubelet's and containerd's; the newest lines of every
container's log; facts such as disks, addresses, failed units and etcd's health; the newest lines about pods that cannot
start. Asked for its "clock", it sets that by its machine's, which went on while it was frozen, and tells the time."""

_PIECE = 1 << 16


class PortError(ReadinessError):
    """A node's journal port did not give an answer; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a node answered; not `whole` if the time ended before the answer did, or the machine."""

    data: bytes
    whole: bool


def ask(port: Path, question: Question, *, timeout: float = 30.0, limit: int = 4 << 20) -> Answer:
    """Ask the node at the other end of `port`: at most the newest `limit` bytes, within `timeout` seconds.

    One asks at a time; another waits. Raises PortError if there is no answer at all.
    """
    deadline = time.monotonic() + timeout
    with _opened(port, ".in", os.O_WRONLY) as requests, _opened(port, ".out", os.O_RDONLY) as answers:
        _lock(requests, deadline)
        _drain(port)
        name = secrets.token_hex(8)
        os.write(requests, f"{name} {question} {limit}\n".encode())
        try:
            answer = _Answer(name, limit)
            while not answer.ended:
                piece = _read(answers, deadline)
                if not piece:
                    break
                answer.feed(piece)
        finally:
            _drain(port)
    if not answer.begun:
        if time.monotonic() < deadline:
            raise PortError("the machine was switched off before it answered")
        raise PortError(f"the node did not answer within {timeout:g} seconds: it has not come so far, or it is stuck")
    return Answer(data=bytes(answer.data), whole=answer.ended)


class _Answer:
    """Finds one answer in what comes out of the pipe, which may begin with the rest of another."""

    def __init__(self, name: str, limit: int) -> None:
        self._begin = f"\nfirestorm-journal {name} begin\n".encode()
        self._end = f"\nfirestorm-journal {name} end\n".encode()
        self._most = limit + len(self._end)
        self.data = bytearray()
        self.begun = self.ended = False

    def feed(self, piece: bytes) -> None:
        searched = max(0, len(self.data) - len(self._begin))
        self.data += piece
        if not self.begun:
            found = self.data.find(self._begin, searched)
            if found < 0:
                del self.data[: -len(self._begin)]
                return
            self.begun, searched = True, 0
            del self.data[: found + len(self._begin)]
        found = self.data.find(self._end, searched)
        if found >= 0:
            del self.data[found:]
            self.ended = True
        elif len(self.data) > self._most:  # no node of ours: it was told how much
            raise PortError("the node answers more than it was asked for")


@contextlib.contextmanager
def _opened(port: Path, suffix: str, mode: int) -> Iterator[int]:
    path = f"{port}{suffix}"
    try:
        fd = os.open(path, mode | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise PortError("the machine does not run") from error
        raise PortError(f"{path}: {error.strerror}") from error
    try:
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            raise PortError(f"{path} is no named pipe")
        yield fd
    finally:
        os.close(fd)


def _lock(fd: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise PortError("somebody else is asking this node") from None
            time.sleep(0.05)
        else:
            return


def _read(fd: int, deadline: float) -> bytes:
    """What came next; nothing when the time is up, or the machine is gone."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if poller.poll(left * 1000):
            try:
                return os.read(fd, _PIECE)
            except BlockingIOError:
                continue
    return b""


def _drain(port: Path) -> None:
    """Take back requests that no machine has read, and what is left of answers that nobody waits for."""
    for suffix, most in ((".in", 1), (".out", 64)):
        with contextlib.suppress(OSError, PortError), _opened(port, suffix, os.O_RDONLY) as fd:
            for _ in range(most):
                if not os.read(fd, _PIECE):
                    break
