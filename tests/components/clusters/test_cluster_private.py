"""Whose a private libvirt of a cluster's name is."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from firestorm.clusters import Clusters, record
from firestorm.clusters import life as life_module
from firestorm.clusters.life import Life
from firestorm.clusters.record import ClusterRecord
from firestorm.clusters.register import Entry
from firestorm.errors import ClusterError
from tests.components.clusters.standing_in import NoPrivateLibvirt


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of private libvirts that were ended; one is there under every name."""
    names: list[str] = []
    status = NoPrivateLibvirt.status

    def stop(name: str, **_: object) -> tuple[str, ...]:
        names.append(name)
        return (f"directory {name}",)

    monkeypatch.setattr(NoPrivateLibvirt, "stop", staticmethod(stop))
    monkeypatch.setattr(NoPrivateLibvirt, "status", staticmethod(lambda name: replace(status(name), exists=True)))
    return names


def test_somebody_elses_is_neither_used_nor_ended(home: Path, stopped: list[str]) -> None:
    home.rmdir()
    with pytest.raises(ClusterError, match="a private libvirt dev is there that is no cluster's: choose another name"):
        Clusters().up({}, name="dev")
    assert Clusters().down("dev") == []
    assert stopped == []
    assert not home.exists()


@pytest.mark.parametrize("known_by", ["register", "mark", "old home"])
def test_the_clusters_own_is_ended(
    home: Path, stopped: list[str], monkeypatch: pytest.MonkeyPatch, known_by: str
) -> None:
    life = Life.named("dev")
    made = replace(ClusterRecord.new("dev", home, None), keeper=None)
    if known_by != "old home":
        record.write(made)
    if known_by == "register":
        nodes = IPv4Network("10.17.0.0/20")
        life.register.put(Entry(record=made, nodes=nodes, port=1, memory=1, disk=1, private=True))
    if known_by == "mark":
        monkeypatch.setattr(life_module, "instance_record", lambda _name: ClusterRecord.from_json(marked(made)))
    assert life.down() == ["directory dev"]
    assert stopped == ["dev"]
    assert not home.exists()
    assert life.register.entries() == ()


def test_a_record_that_cannot_be_read_stops_no_down(home: Path, stopped: list[str]) -> None:
    life = Life.named("dev")
    made = ClusterRecord.new("dev", home, None)
    life.register.put(Entry(record=made, nodes=IPv4Network("10.17.0.0/20"), port=1, memory=1, disk=1, private=True))
    (home / record.FILE).write_text("{")
    assert life.down() == ["directory dev"]
    assert stopped == ["dev"]
    assert life.register.entries() == ()


def marked(made: ClusterRecord) -> dict[str, object]:
    found: dict[str, object] = json.loads(made.to_json())
    return found
