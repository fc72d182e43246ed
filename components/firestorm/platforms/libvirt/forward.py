"""Loopback ports of the host that lead into a private libvirt's network namespace: how its API server is reached."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import private
from firestorm.platforms.libvirt.instance import DEFAULT_STATE_DIR, save
from firestorm.platforms.libvirt.processes import end_process, start_process
from firestorm.platforms.libvirt.supervision import alive

_HOST = "127.0.0.1"
_LABEL, _PROCESS = "api", "forward-api"
_PROGRAM = Path(__file__).with_name("forwarder.py")


def forward(
    name: str,
    target: str,
    target_port: int = 6443,
    *,
    port: int | None = None,
    state_dir: str | Path = DEFAULT_STATE_DIR,
) -> int:
    """Have 127.0.0.1:<port> of the host lead to `target`:`target_port` inside the private libvirt `name`; the port.

    Without `port`, it is the one that it was before, else `target_port` or, if that is taken, a free one. A
    forwarder that does this already is left alone. It ends with the private libvirt. Nobody need listen at the target
    yet. Raises PlatformError if the port is taken.
    """
    with private.session(name, state_dir) as (instance, record):
        python = (os.path.realpath(sys.executable), "-I", "-S")
        wanted = (*python, str(_PROGRAM), str(instance.namespace_path), target, str(target_port))
        before = record.ports.get(_LABEL)
        existing = record.processes.get(_PROCESS)
        if existing and existing.argv == wanted and alive(existing) and before and port in (None, before):
            return before
        end_process(instance, record, _PROCESS)
        with _listener(port, before, target_port) as listening:
            chosen = int(listening.getsockname()[1])
            record.ports[_LABEL] = chosen
            save(instance, record)
            start_process(instance, record, _PROCESS, wanted, pass_fd=listening.fileno())
        return chosen


@contextmanager
def _listener(port: int | None, before: int | None, preferred: int) -> Iterator[socket.socket]:
    """A listening socket on `port` or nothing else; without it on the first that is free of those given, or any."""
    choices = [port] if port is not None else [*([before] if before else []), preferred, 0]
    for choice in choices:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((_HOST, choice))
            listening.listen(128)
        except OSError as error:
            listening.close()
            if choice == choices[-1]:
                raise PlatformError(
                    f"{_HOST}:{choice} cannot be listened on: {error.strerror}; free the port or name another one"
                ) from error
            continue
        with listening:
            yield listening
        return
