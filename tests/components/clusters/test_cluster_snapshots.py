"""Clusters that go on from a snapshot, with a program in Pulumi's place and a note in that of each machine's memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from firestorm.clusters import Clusters, allocation, consoles, ephemeral_cluster, record, snapshots
from firestorm.clusters.life import Life
from firestorm.clusters.snapshots import Snapshot
from firestorm.errors import ClusterError, PlatformError
from firestorm.platforms.libvirt.naming import LibvirtNames
from firestorm.platforms.libvirt.virsh import Virsh
from tests.components.clusters.standing_in import OUTPUTS, calls

ARGS = {"platform": {"libvirt": {"uri": "qemu:///system"}}, "controllers": {"memory": "2GiB"}, "workers": []}
DAY = timedelta(days=1)
NODE = "dev-worker-0"


class Machines:
    """Stands for `checkpoints`: what was done to the machines, and what is refused."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.frozen = False
        self.refused: set[str] = set()

    def _do(self, what: str, domains: Sequence[str]) -> None:
        assert list(domains) == [NODE]
        if what in self.refused:
            raise PlatformError(f"libvirt refused to {what}")
        self.done.append(what)

    def take(self, _virsh: Virsh, domains: Sequence[str]) -> None:
        self._do("take", domains)
        self.frozen = True

    def taken(self, _virsh: Virsh, domains: Sequence[str]) -> bool:
        assert list(domains) == [NODE]
        return self.frozen

    def restore(self, _virsh: Virsh, domains: Sequence[str]) -> None:
        self._do("restore", domains)

    def switch_off(self, _virsh: Virsh, domains: Sequence[str]) -> None:
        self._do("switch off", domains)


@pytest.fixture
def machines(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    home.rmdir()
    monkeypatch.setenv("OUTPUTS", json.dumps(OUTPUTS))
    found = Machines()
    monkeypatch.setattr(snapshots, "checkpoints", found)
    monkeypatch.setattr(snapshots, "_wait", lambda _cluster: found.done.append("wait"))
    monkeypatch.setattr(Virsh, "networks", lambda _virsh: ())
    monkeypatch.setattr(snapshots, "relabel", lambda _record: found.done.append("relabel"))
    yield found
    for one in Clusters().list():
        Clusters().down(one.name)


@pytest.fixture
def clusters() -> Clusters:
    return Clusters()


def run(said: list[str] | None = None, args: dict[str, Any] = ARGS, age: timedelta = DAY) -> tuple[str, str]:
    """The name and the id of a cluster that was used and ended well."""
    with ephemeral_cluster(
        args, ttl=timedelta(minutes=5), snapshot=age, progress=said.append if said is not None else None
    ) as cluster:
        return cluster.name, cluster.id


def test_a_second_run_goes_on_from_the_first_ones_snapshot(machines: Machines, clusters: Clusters) -> None:
    said: list[str] = []
    name, id_ = run(said)
    assert machines.done == ["take", "switch off"]
    found = clusters.get(name)
    assert (found.state, found.keeper, found.expires) == ("resting", None, found.created + DAY)
    assert said[-1].startswith(f"the cluster {name} rests: the next run with --snapshot goes on from it until 20")
    before = calls(clusters.home / name)

    with ephemeral_cluster(ARGS, ttl=timedelta(minutes=5), snapshot=DAY) as cluster:
        assert (cluster.name, cluster.id) == (name, id_)
        assert machines.done[2:] == ["restore", "wait", "relabel"]
        used = clusters.get(name)
        assert (used.state, used.keeper) == ("up", record.Keeper.this())
        assert used.expires is not None
        assert used.expires < datetime.now(UTC) + timedelta(minutes=6)
        assert calls(clusters.home / name) == before  # nothing was made
    assert clusters.get(name) == found
    assert machines.done[5:] == ["switch off"]


def test_it_needs_no_memory_while_it_rests(machines: Machines, clusters: Clusters) -> None:
    with ephemeral_cluster(ARGS, snapshot=DAY) as cluster:
        register = Life.named(cluster.name).register
        entry = register.entry(cluster.name)
        assert entry is not None
        assert entry.memory >= 2048
    assert register.entry(cluster.name) == replace(entry, memory=0, record=clusters.get(cluster.name))
    with ephemeral_cluster(ARGS, snapshot=DAY):
        again = register.entry(cluster.name)
        assert again is not None
        assert (again.memory, again.nodes) == (entry.memory, entry.nodes)
    assert machines.done.count("restore") == 1


def test_a_run_beside_gets_a_cluster_of_its_own(machines: Machines, clusters: Clusters) -> None:
    said: list[str] = []
    with ephemeral_cluster(ARGS, snapshot=DAY) as one:
        with ephemeral_cluster(ARGS, snapshot=DAY, progress=said.append) as two:
            assert two.name != one.name
            assert f"another run has {one.name}: this one gets a cluster of its own" in said
        assert [found.name for found in clusters.list()] == [one.name]
    assert machines.done == ["take", "switch off"]


def test_a_failure_leaves_evidence_and_the_snapshot(machines: Machines, clusters: Clusters, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), ephemeral_cluster(ARGS, snapshot=DAY, artifacts=tmp_path / "evidence"):
        raise ValueError("no")
    assert (tmp_path / "evidence" / "summary.md").exists()
    assert [found.state for found in clusters.list()] == ["resting"]
    assert machines.done == ["take", "switch off"]


def test_evidence_of_a_later_run_has_the_console_until_the_machines_were_frozen(
    machines: Machines, clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = tmp_path / "console.log"
    monkeypatch.setattr(LibvirtNames, "console", lambda _names, _node: str(console))
    take, restore = machines.take, machines.restore

    def taking(virsh: Virsh, domains: Sequence[str]) -> None:
        take(virsh, domains)
        console.write_text("booted, and used\n")

    def restoring(virsh: Virsh, domains: Sequence[str]) -> None:
        restore(virsh, domains)
        console.write_text("goes on\n")  # libvirt begins it anew

    monkeypatch.setattr(machines, "take", taking)
    monkeypatch.setattr(machines, "restore", restoring)
    console.write_text("booted\n")
    with ephemeral_cluster(ARGS, snapshot=DAY) as cluster:
        home = clusters.home / cluster.name
        assert consoles.earlier(home, NODE) is None
    for _ in range(2):
        with ephemeral_cluster(ARGS, snapshot=DAY):
            earlier = consoles.earlier(home, NODE)
            assert earlier is not None
            assert earlier.read_text() == "booted\n"
    assert machines.done.count("restore") == 2


def test_a_console_that_cannot_be_read_is_told_of(machines: Machines, clusters: Clusters) -> None:
    said: list[str] = []
    run(said)
    [line] = [line for line in said if line.startswith("evidence of later runs will lack how the machines booted: ")]
    assert line.endswith("/dev-worker-0.log: No such file or directory")
    assert machines.done == ["take", "switch off"]


def test_what_is_kept_is_not_begun_from(machines: Machines, clusters: Clusters) -> None:
    with ephemeral_cluster(ARGS, snapshot=DAY, keep=True) as kept:
        pass
    assert [found.state for found in clusters.list()] == ["up"]
    assert run()[0] != kept.name
    assert machines.done == ["take"]


@pytest.mark.parametrize("refused", ["restore", "wait"])
def test_a_snapshot_of_no_use_is_made_anew(
    machines: Machines, clusters: Clusters, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    name, id_ = run()
    said: list[str] = []
    if refused == "wait":

        def wait(_cluster: object) -> None:
            raise ClusterError("libvirt refused to wait")

        monkeypatch.setattr(snapshots, "_wait", wait)
    machines.refused = {refused}
    anew = run(said)
    assert anew[0] == name
    assert anew[1] != id_
    problem = f"libvirt refused to {refused}\nThe snapshot of {name} is of no use, and the cluster is made anew"
    assert problem in said
    assert [found.state for found in clusters.list()] == ["resting"]


def test_without_room_on_the_host_it_rests_on(
    machines: Machines, clusters: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _ = run()
    found = clusters.get(name)
    with monkeypatch.context() as patch:
        patch.setattr(allocation, "_memory", lambda: (2048, 2048))
        with pytest.raises(ClusterError, match=r"the machines need 2.0 GiB of memory and 1.5 GiB are free"):
            run()
    assert clusters.get(name) == found
    assert run() == (name, found.id)
    assert machines.done.count("restore") == 1


def test_an_old_one_is_made_anew_and_gc_ends_it(machines: Machines, clusters: Clusters) -> None:
    _, first = run(age=timedelta(0))
    name, second = run(age=timedelta(0))
    assert first != second
    assert "restore" not in machines.done
    assert [found.name for found in clusters.gc().found] == [name]
    assert clusters.list() == ()


def test_without_a_snapshot_it_ends_with_its_run(machines: Machines, clusters: Clusters) -> None:
    machines.refused = {"take"}
    said: list[str] = []
    name, _ = run(said)
    assert f"libvirt refused to take\nWithout a snapshot, the cluster {name} ends with this run" in said
    assert clusters.list() == ()


def test_nothing_else_touches_a_cluster_that_rests(machines: Machines, clusters: Clusters) -> None:
    name, _ = run()
    for change in (clusters.up, clusters.plan):
        with pytest.raises(ClusterError, match=f"{name} rests for a run with a snapshot: `firestorm down {name}`"):
            change(ARGS, name=name)
    with pytest.raises(ClusterError, match=f"the cluster {name} rests: `firestorm ci run --snapshot` goes on from it"):
        clusters.connect(name)
    assert clusters.gc().found == ()
    assert machines.done == ["take", "switch off"]


def test_its_name_is_its_descriptions(clusters: Clusters, home: Path) -> None:
    home.rmdir()
    name = Snapshot.of(clusters, ARGS, DAY).name
    assert Snapshot.of(clusters, {**ARGS, "name": "other"}, DAY).name == name
    snippet = home.parent / "a.bu"
    snippet.write_text("variant: flatcar\nversion: 1.1.0\n")
    with_snippet = {**ARGS, "controllers": {"memory": "2GiB", "snippets": [str(snippet)]}}
    names = {name, Snapshot.of(clusters, with_snippet, DAY).name}
    snippet.write_text("variant: flatcar\nversion: 1.1.0\n# changed\n")
    names.add(Snapshot.of(clusters, with_snippet, DAY).name)
    assert len(names) == 3
    refused = pytest.raises(ClusterError, match="has a name of its own: leave out mine")
    with refused, ephemeral_cluster(ARGS, name="mine", snapshot=DAY):
        pass
