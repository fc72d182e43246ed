"""Loopback ports that lead into a private libvirt's namespace."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import forward, private, supervision
from tests.components.platforms.libvirt_place import Place

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

TARGET = "10.255.255.1"
SERVER = """
import hashlib, socket, sys, threading
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=64)
def answer(connection):
    with connection:
        digest = hashlib.sha256()
        while chunk := connection.recv(65536):
            digest.update(chunk)
        connection.sendall(digest.hexdigest().encode() + b" " + bytes(3_000_000))
while True:
    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
"""


@pytest.fixture
def server(shared: Place) -> int:
    """The port of a server inside that answers only after the client has ended its side."""
    port = 7443
    argv = [sys.executable, "-c", SERVER, TARGET, str(port)]
    private.run_inside(shared.name, argv, label="answerer", state_dir=shared.state_dir)
    return port


def ask(port: int, question: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(question)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(2**16):
            parts.append(part)
        return b"".join(parts)


def settled(port: int) -> bool:
    """Whether the server inside answers already."""
    try:
        return len(ask(port, b"")) > 64
    except OSError:
        return False


def test_both_directions_are_carried_whole_and_end_by_themselves(shared: Place, server: int) -> None:
    port = forward.forward(shared.name, TARGET, server, state_dir=shared.state_dir)
    assert supervision.wait(lambda: settled(port), 20)
    question = os.urandom(5_000_000)
    assert ask(port, question) == hashlib.sha256(question).hexdigest().encode() + b" " + bytes(3_000_000)


def test_a_forwarder_is_kept_and_found_again(shared: Place, server: int) -> None:
    first = forward.forward(shared.name, TARGET, server, state_dir=shared.state_dir)
    process = dict_of(shared)["forward-api"]
    assert forward.forward(shared.name, TARGET, server, state_dir=shared.state_dir) == first
    assert dict_of(shared)["forward-api"] == process

    os.kill(process[0], signal.SIGKILL)
    assert supervision.wait(lambda: not dict_of(shared)["forward-api"][1], 5)
    assert forward.forward(shared.name, TARGET, server, state_dir=shared.state_dir) == first
    assert supervision.wait(lambda: settled(first), 20)


def test_without_a_target_a_connection_is_reset_and_the_forwarder_lives(shared: Place, server: int) -> None:
    port = forward.forward(shared.name, TARGET, 7444, state_dir=shared.state_dir)
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            ask(port, b"")
    assert dict_of(shared)["forward-api"][1]


def test_the_listener_is_on_loopback_of_the_host_alone(shared: Place, server: int) -> None:
    port = forward.forward(shared.name, TARGET, server, state_dir=shared.state_dir)
    sockets = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert f"0100007F:{port:04X}" in sockets
    assert f"00000000:{port:04X}" not in sockets


def test_a_taken_port(shared: Place, server: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(PlatformError) as caught:
            forward.forward(shared.name, TARGET, server, port=number, state_dir=shared.state_dir)
        assert str(caught.value) == (
            f"127.0.0.1:{number} cannot be listened on: Address already in use; free the port or name another one"
        )


def test_a_private_libvirt_that_does_not_run(place: Place) -> None:
    with pytest.raises(PlatformError) as caught:
        forward.forward(place.name, TARGET, state_dir=place.state_dir)
    assert str(caught.value) == (
        f"the private libvirt {place.name} does not run: start it with "
        f"`python -m firestorm.platforms.libvirt.private start {place.name}`"
    )


def dict_of(place: Place) -> dict[str, tuple[int, bool]]:
    return {label: (pid, alive) for label, pid, alive in private.status(place.name, place.state_dir).processes}
