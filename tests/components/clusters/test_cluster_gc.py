"""Garbage collection, with a program in Pulumi's place: what it finds, what it ends, and what it leaves alone."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from firestorm.clusters import garbage, leftovers, marks, record, runs
from firestorm.clusters.garbage import Found, GcReport
from firestorm.clusters.known import Clusters
from firestorm.clusters.life import Life
from firestorm.clusters.record import ClusterRecord, Keeper
from firestorm.clusters.register import Entry
from firestorm.platforms.libvirt.claim import inputs_of
from firestorm.platforms.libvirt.sweep import Claim as Holdings
from firestorm.platforms.libvirt.sweep import Swept
from tests.components.clusters.standing_in import HOLDINGS, TREE, behave, hanging_up, kill

UNITS = TREE / "components" / "firestorm" / "clusters" / "units"
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def only_here(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """No libvirt of this machine is asked."""
    monkeypatch.setattr(marks, "places", list)
    monkeypatch.setattr(marks, "instances", list)


def collect(now: datetime = NOW, *, dry_run: bool = False) -> GcReport:
    return Clusters().gc(now, dry_run)


def put(life: Life, *, ttl: timedelta | None = None, died: bool = False) -> ClusterRecord:
    """A record of `life`'s cluster, in its home and in the register; if it `died`, of a process that is gone."""
    keeper = replace(Keeper.this(), started=1) if died else None
    made = record.write(
        replace(ClusterRecord.new("dev", life.home, ttl), state="up", keeper=keeper, uri="qemu:///none")
    )
    owned = (inputs_of("qemu:///none", HOLDINGS),)
    nodes = IPv4Network("10.17.0.0/20")
    life.register.put(Entry(record=made, nodes=nodes, port=None, memory=1, disk=1, private=False, owned=owned))
    return made


def test_what_may_stay_stays(life: Life) -> None:
    put(life, ttl=timedelta(hours=1))
    (life.home.parent / "of-somebody-else").mkdir()
    assert collect() == GcReport()
    life.note(keeper=Keeper.this())
    assert collect() == GcReport()
    put(life, ttl=timedelta(seconds=-5))
    Clusters().hold("dev")
    assert collect() == GcReport()
    assert (life.home.parent / "of-somebody-else").is_dir()


def test_what_is_expired_goes(life: Life) -> None:
    made = put(life, ttl=timedelta(hours=1))
    assert made.expires is not None
    found = (Found(name="dev", reason=f"it expired at {made.expires:%Y-%m-%d %H:%M:%S} UTC"),)
    assert collect(made.expires, dry_run=True) == GcReport(found=found)
    assert life.home.exists()
    assert collect(made.expires) == GcReport(found=found, removed=("the cluster dev",))
    assert not life.home.exists()
    assert life.register.entries() == ()
    assert collect(made.expires) == GcReport()


def test_what_a_dead_run_left_goes(life: Life) -> None:
    put(life, died=True)
    report = collect()
    assert report.found == (Found(name="dev", reason="the run that it belongs to died (up)"),)
    assert report.removed == ("the cluster dev",)


def test_a_killed_up_goes_with_its_engine(life: Life, home: Path) -> None:
    put(life, died=True)
    behave(home, up="hang")
    killed = hanging_up(home)
    assert collect() == GcReport()  # somebody works on it
    kill(killed)
    report = collect()
    assert report.found == (Found(name="dev", reason="the run that it belongs to died (coming up)"),)
    assert report.removed[0].startswith("process pulumi (")
    assert report.removed[-1] == "the cluster dev"
    assert runs.processes(home) == {}


def test_a_cluster_that_had_come_up_survives_the_end_of_a_later_run(life: Life, home: Path) -> None:
    made = put(life)
    behave(home, up="hang")
    kill(hanging_up(home))
    report = collect()
    assert report.found == (Found(name="dev", reason="a run that changed it died; the cluster itself stays"),)
    assert report.removed[0].startswith("process pulumi (")
    assert runs.processes(home) == {}
    assert life.record == replace(made, state="failed")
    assert collect() == GcReport()


def test_a_lost_home_is_made_up_for_by_the_register(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    put(life)
    swept: list[object] = []

    def sweep(*arguments: object) -> Swept:
        swept.append(arguments)
        return Swept(removed=("domain dev-worker-0",), kept=())

    monkeypatch.setattr(leftovers, "sweep", sweep)
    life.home.rename(life.home.parent / ".elsewhere")
    report = collect()
    assert report == GcReport(found=(Found(name="dev", reason="its home is lost"),), removed=("domain dev-worker-0",))
    assert swept == [("qemu:///none", HOLDINGS)]
    assert life.register.entries() == ()


def test_marked_objects_are_ended_when_nothing_else_tells_of_them(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    there, lost = put(life), ClusterRecord.new("lost", life.home.parent / "lost", None)
    ours, other = (Holdings(description=f"firestorm:{name}", domains=(f"{name}-0",)) for name in ("lost", "dev"))
    swept: list[object] = []
    monkeypatch.setattr(marks, "places", lambda: ["qemu:///none"])
    monkeypatch.setattr(
        marks,
        "marked",
        lambda uri: [
            marks.Marked(record=lost, uri=uri, holdings=ours),
            marks.Marked(record=there, uri=uri, holdings=other),
        ],
    )

    def sweep(*arguments: object) -> Swept:
        swept.append(arguments)
        return Swept(removed=("domain lost-0",), kept=())

    monkeypatch.setattr(leftovers, "sweep", sweep)
    assert collect().found == (Found(name="lost", reason="its home is lost"),)
    assert swept == [("qemu:///none", ours)]


def test_a_home_that_may_not_be_read_is_left_alone(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    put(life)
    (life.home / record.FILE).write_text("{")
    report = collect()
    assert report.found == ()
    assert report.failed[0].startswith(f"{life.home / record.FILE} cannot be read")
    assert life.home.exists()
    assert life.register.entry("dev") is not None


def test_what_is_between_being_and_not_being(life: Life) -> None:
    homes = life.home.parent
    removed, unused, empty = homes / ".removed-x-1", homes / "unused", homes / "empty"
    for path in (removed, unused, empty):
        path.mkdir()
    (removed / "passphrase").write_text("x")
    (unused / "lock").touch()
    report = collect()
    assert [found.name for found in report.found] == [".removed-x-1", "unused"]
    assert not removed.exists()
    assert not unused.exists()
    assert empty.exists()


def test_what_fails_is_said_and_tried_again(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    put(life, died=True)
    monkeypatch.setattr(Life, "down", lambda _self: runs.run(["/nonexistent"], {}, life.home, quiet=True))
    report = garbage.collect(life.home.parent, NOW)
    assert report.removed == ()
    assert report.failed == ("dev: [Errno 2] No such file or directory: '/nonexistent'",)
    monkeypatch.undo()


def test_units() -> None:
    units = sorted(UNITS.iterdir())
    assert [unit.name for unit in units] == ["firestorm-gc.service", "firestorm-gc.timer"]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "firestorm" in line]) == (0, [])
