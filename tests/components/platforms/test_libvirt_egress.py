"""The way out of a private libvirt: from a guest's place, through its network's NAT, to a host and not to its loopback.

The host is a network namespace of the test's own, so that nothing of it leaves this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm.platforms.libvirt import private, supervision
from firestorm.platforms.libvirt.virsh import Virsh
from tests.components.platforms.libvirt_place import Place, network_xml

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

COMPONENTS = Path(private.__file__).parents[3]
OUTSIDE = "203.0.113.10"
SERVER = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, bind=sys.argv[1], port=8000)"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=20, capture_output=True)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[str]:
    """A namespace that stands for the host's network, with a server on an address of it and one on its loopback."""
    name = f"fs-world-{os.getpid()}"
    (tmp_path / "index.html").write_text("from outside\n")
    ip("netns", "add", name)
    servers = []
    try:
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "address", "add", f"{OUTSIDE}/32", "dev", "lo")
        ip("-n", name, "route", "add", "default", "dev", "lo")
        for address in (OUTSIDE, "127.0.0.1"):
            command = ["nsenter", f"--net=/run/netns/{name}", sys.executable, "-c", SERVER, address]
            servers.append(
                subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
        yield name
    finally:
        for server in servers:
            server.kill()
            server.wait()
        ip("netns", "delete", name)


@pytest.fixture
def guest(place: Place, world: str, tmp_path: Path) -> Iterator[str]:
    """A namespace on the bridge of a libvirt network with NAT, where a guest's network card would be."""
    start(place, world)
    virsh = Virsh(uri=place.start().uri)
    (tmp_path / "network.xml").write_text(network_xml("nodes", bridge="fsbr0"))
    virsh.run("net-define", str(tmp_path / "network.xml"))
    virsh.run("net-start", "nodes")
    name = f"fs-guest-{os.getpid()}"
    ip("netns", "add", name)
    try:
        ip(
            "-n",
            place.namespace,
            "link",
            "add",
            "port0",
            "master",
            "fsbr0",
            "up",
            "type",
            "veth",
            "peer",
            "eth0",
            "netns",
            name,
        )
        ip("-n", name, "address", "add", "10.77.0.20/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "route", "add", "default", "via", "10.77.0.1")
        yield name
    finally:
        ip("netns", "delete", name)


def start(place: Place, world: str) -> None:
    """The private libvirt with its way out, for a host whose network is `world`."""
    module = [sys.executable, "-m", private.__name__, "start", place.name, "--state-dir", str(place.state_dir)]
    subprocess.run(
        ["nsenter", f"--net=/run/netns/{world}", *module, "--egress"],
        env={**os.environ, "PYTHONPATH": str(COMPONENTS)},
        check=True,
        timeout=150,
        stdout=subprocess.DEVNULL,
    )


def fetch(namespace: str, url: str) -> subprocess.CompletedProcess[str]:
    command = ["ip", "netns", "exec", namespace, "curl", "--silent", "--show-error", "--max-time", "5", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_guests_reach_the_hosts_network_and_not_its_loopback(place: Place, world: str, guest: str) -> None:
    url = f"http://{OUTSIDE}:8000/index.html"
    assert supervision.wait(lambda: fetch(guest, url).stdout == "from outside\n", 30, interval=0.5)
    for gateway in ("100.127.255.2", "127.0.0.1"):
        assert fetch(guest, f"http://{gateway}:8000/index.html").returncode != 0
    assert (place.directory / "resolv.conf").read_text() == "nameserver 100.127.255.3\n"

    before = private.status(place.name, place.state_dir).processes
    start(place, world)
    assert private.status(place.name, place.state_dir).processes == before


def test_names_of_the_daemons_are_asked_of_nobody_without_it(place: Place) -> None:
    running = place.start()
    seen = Path(f"/proc/{running.pid}/root/etc/resolv.conf").read_text()
    assert seen == ""
