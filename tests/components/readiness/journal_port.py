"""A journal port without a machine: the node's own script on a pseudo-terminal, and a pump in QEMU's place.

QEMU opens both named pipes for reading and writing, hands what is in the one to the guest and puts what the guest
writes into the other (chardev/char-pipe.c); so does the pump. The node's programs are scripts of a directory.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

DEVICE = "/dev/virtio-ports/org.firestorm.journal.0"


def make_pipes(port: Path) -> Path:
    for suffix in (".in", ".out"):
        os.mkfifo(f"{port}{suffix}", 0o600)
    return port


@contextmanager
def machine(port: Path, programs: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The machine at the other end of `port`, whose `programs` are {name: shell script}."""
    bin_ = port.parent / "bin"
    bin_.mkdir(exist_ok=True)
    for name, script in programs.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{script}\n")
        (bin_ / name).chmod(0o755)
    host, guest = os.openpty()
    tty.setraw(guest)
    answering = port.parent / "firestorm-journal"
    text = (resources.files("firestorm.node") / "files" / "firestorm-journal").read_text()
    answering.write_text(text.replace(DEVICE, os.ttyname(guest)))
    process = subprocess.Popen(
        ["sh", str(answering)], env={"PATH": f"{bin_}:{os.environ['PATH']}"}, stdin=subprocess.DEVNULL
    )
    ends = [os.open(f"{port}{suffix}", os.O_RDWR | os.O_NONBLOCK) for suffix in (".in", ".out")]
    stop, stopped = os.pipe()
    pump = threading.Thread(target=_pump, args=(ends[0], ends[1], host, stop))
    pump.start()
    try:
        yield process
    finally:
        os.close(stopped)
        pump.join(timeout=10)
        process.kill()
        process.wait(timeout=10)
        for fd in (*ends, stop, host, guest):
            os.close(fd)


def _pump(requests: int, answers: int, host: int, stop: int) -> None:
    while True:
        readable, _, _ = select.select([requests, host, stop], [], [])
        if stop in readable:
            return
        if requests in readable:
            os.write(host, os.read(requests, 4096))
        if host in readable:
            rest = os.read(host, 4096)
            while rest:
                ready = select.select([stop], [answers], [])
                if stop in ready[0]:
                    return
                rest = rest[os.write(answers, rest) :]
