"""What clusters get on a host beside one another."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from firestorm.clusters import allocation, record
from firestorm.clusters.allocation import Wish, allocate, another_port
from firestorm.clusters.record import ClusterRecord
from firestorm.clusters.register import Register
from firestorm.errors import ClusterError
from tests.components.clusters.standing_in import COMPONENTS

PROGRAM = """
import ipaddress, json, sys
from pathlib import Path
from firestorm.clusters.allocation import Wish, allocate
from firestorm.clusters.record import ClusterRecord
from firestorm.clusters.register import Register
name, directory, homes = sys.argv[1:]
nodes = ipaddress.IPv4Network("10.17.0.0/20")
wish = Wish(
    nodes=nodes, fixed=False, taken=(), port=True, memory=1, disk=1, private=True, volumes=Path("/")
)
sys.stdin.readline()
entry = allocate(Register(directory=Path(directory)), ClusterRecord.new(name, Path(homes) / name, None), wish)
print(json.dumps([str(entry.nodes), entry.port]))
"""


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register(directory=tmp_path / "register")


def wish(nodes: str = "10.17.0.0/20", *, fixed: bool = False, memory: int = 1, disk: int = 1) -> Wish:
    return Wish(
        nodes=ipaddress.IPv4Network(nodes),
        fixed=fixed,
        taken=(ipaddress.IPv4Network("10.20.0.0/14"), ipaddress.IPv4Network("10.3.0.0/16")),
        port=True,
        memory=memory,
        disk=disk,
        private=True,
        volumes=Path("/var/lib/firestorm/clusters/x/volumes"),
    )


def new(tmp_path: Path, name: str) -> ClusterRecord:
    home = tmp_path / "homes" / name
    home.mkdir(parents=True)
    return record.write(ClusterRecord.new(name, home, None))


def test_ten_at_once_never_collide(register: Register, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, f"c{index}", str(register.directory), str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(COMPONENTS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(10)
    ]
    for process in processes:  # all have loaded what they need by the time they are let go
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    given = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    networks = [ipaddress.IPv4Network(network) for network, _ in given]
    assert not any(one.overlaps(other) for one in networks for other in networks if one is not other)
    assert len({port for _, port in given}) == 10
    assert sorted(entry.record.name for entry in register.entries()) == sorted(f"c{index}" for index in range(10))


def test_a_cluster_keeps_what_it_has_and_gives_it_back(register: Register, tmp_path: Path) -> None:
    one, two, three = (new(tmp_path, name) for name in ("one", "two", "three"))
    first, second = allocate(register, one, wish()), allocate(register, two, wish())
    assert str(first.nodes) == "10.17.0.0/20"
    assert str(second.nodes) == "10.32.0.0/20"
    assert allocate(register, one, wish()) == first
    register.remove(replace(one, id="another"))
    assert register.entry("one") == first
    register.remove(one)
    assert allocate(register, three, wish()).nodes == first.nodes
    assert allocate(register, replace(two, state="up"), wish()).port == second.port


def test_a_network_that_was_asked_for_is_had_or_refused(register: Register, tmp_path: Path) -> None:
    allocate(register, new(tmp_path, "one"), wish())
    with pytest.raises(ClusterError) as caught:
        allocate(register, new(tmp_path, "two"), wish("10.17.8.0/24", fixed=True))
    assert str(caught.value) == (
        "network.nodes is 10.17.8.0/24, which overlaps 10.17.0.0/20 of the cluster one: leave it out, choose another "
        "range, or end that cluster"
    )
    assert str(allocate(register, new(tmp_path, "three"), wish("10.99.0.0/24", fixed=True)).nodes) == "10.99.0.0/24"


def test_a_name_belongs_to_one(register: Register, tmp_path: Path) -> None:
    first = new(tmp_path, "dev")
    allocate(register, first, wish())
    other = ClusterRecord.new("dev", tmp_path / "elsewhere", None)
    with pytest.raises(ClusterError, match=f"the name dev is taken by a cluster of .*, at {first.home}: choose"):
        allocate(register, other, wish())
    (first.home / record.FILE).unlink()
    with pytest.raises(ClusterError, match="was lost on this host: `firestorm gc` removes its rest"):
        allocate(register, other, wish())


def test_what_others_were_promised_is_not_free(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocation, "_memory", lambda: (8192, 7000))
    allocate(register, new(tmp_path, "one"), wish(memory=4096))
    with pytest.raises(ClusterError) as caught:
        allocate(register, new(tmp_path, "two"), wish(memory=4096, disk=2**60))
    first, second = str(caught.value).splitlines()
    assert first == (
        "the machines need 4.0 GiB of memory and 2.8 GiB are free; other clusters have 4.0 GiB: give them less, have "
        "fewer, or end a cluster (`firestorm list`)"
    )
    assert second.startswith("the volumes need 1073741824.0 GiB in /")
    assert register.entry("two") is None
    allocate(register, new(tmp_path, "three"), wish(memory=2048))


def test_a_port_that_somebody_took_is_replaced(register: Register, tmp_path: Path) -> None:
    entry = allocate(register, new(tmp_path, "one"), wish())
    other = allocate(register, new(tmp_path, "two"), wish())
    fresh = another_port(register, entry)
    assert fresh.port not in (entry.port, other.port)
    assert register.entry("one") == fresh


def test_an_entry_that_cannot_be_read_stops_everything(register: Register, tmp_path: Path) -> None:
    allocate(register, new(tmp_path, "one"), wish())
    (register.directory / "one.json").write_text("{")
    with pytest.raises(ClusterError, match=r"one.json cannot be read .*: it says what a cluster has on this host"):
        allocate(register, new(tmp_path, "two"), wish())
