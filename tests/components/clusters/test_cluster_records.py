"""Records of clusters: in homes, as lists, and as marks."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from firestorm.clusters import Clusters, marks, record
from firestorm.clusters.record import ClusterRecord, Keeper
from firestorm.errors import ClusterError, SpecError
from tests.components.clusters.standing_in import COMPONENTS

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clusters:
    monkeypatch.setenv("FIRESTORM_REGISTER", str(tmp_path / "register"))
    return Clusters(tmp_path / "homes")


def put(clusters: Clusters, name: str, ttl: timedelta | None = None) -> ClusterRecord:
    home = clusters.home / name
    home.mkdir(parents=True)
    return record.write(ClusterRecord.new(name, home, ttl))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = record.write(ClusterRecord.new("dev", tmp_path, timedelta(hours=1)))
    assert record.read(tmp_path) == made
    assert (tmp_path / record.FILE).stat().st_mode & 0o777 == 0o600
    assert made.expires == made.created + timedelta(hours=1)
    assert made.keeper == Keeper.this()
    assert not made.abandoned
    assert record.change(tmp_path, state="up", keeper=None) == replace(made, state="up", keeper=None)
    assert record.read(tmp_path / "nothing") is None


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"state": "broken", "keeper": null}'])
def test_a_record_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / record.FILE).write_text(text)
    with pytest.raises(ClusterError, match=r"cluster.json cannot be read"):
        record.read(tmp_path)


def test_expiry() -> None:
    made = replace(ClusterRecord.new("dev", Path("/h"), None), expires=NOW)
    assert made.expired(NOW)
    assert not made.expired(NOW - timedelta(seconds=1))
    assert not replace(made, held=True).expired(NOW)
    assert not replace(made, expires=None).expired(NOW)


def test_a_keeper_is_known_by_its_start() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    keeper = replace(Keeper.this(), pid=process.pid)
    try:
        assert not keeper.alive  # of another start
        started = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
        keeper = replace(keeper, started=started)
        assert keeper.alive
        assert not replace(keeper, boot="another").alive
    finally:
        process.kill()
        process.wait()
    assert not keeper.alive


def test_clusters_by_name(clusters: Clusters) -> None:
    assert clusters.list() == ()
    two, one = put(clusters, "two"), put(clusters, "one")
    (clusters.home / "no-cluster").mkdir()
    assert clusters.list() == (one, two)
    assert clusters.get("two") == two
    with pytest.raises(ClusterError, match="there is no cluster three; there are: one, two"):
        clusters.get("three")
    with pytest.raises(ClusterError, match="use up to 20 lower case letters"):
        clusters.get("../one")
    with pytest.raises(ClusterError, match=r"the cluster one has not come up \(coming up\)"):
        clusters.connect("one")


def test_extend_and_hold(clusters: Clusters) -> None:
    put(clusters, "dev", timedelta(seconds=-1))
    assert clusters.hold("dev").held
    assert not clusters.get("dev").expired(datetime.now(UTC))
    assert not clusters.hold("dev", False).held
    assert clusters.get("dev").expired(datetime.now(UTC))
    extended = clusters.extend("dev", timedelta(hours=2))
    assert extended.expires is not None
    assert timedelta(hours=1) < extended.expires - datetime.now(UTC) <= timedelta(hours=2)
    assert clusters.get("dev") == extended
    assert clusters.keep("dev").keeper is None


def test_a_wrong_document_leaves_nothing(clusters: Clusters) -> None:
    with pytest.raises(SpecError, match=r"controllers.count"):
        clusters.up({"controllers": {"count": 2}}, name="dev")
    assert clusters.list() == ()
    assert not (clusters.home / "dev").exists()


def test_an_ephemeral_cluster_is_a_new_one(clusters: Clusters) -> None:
    made = put(clusters, "dev")
    with pytest.raises(ClusterError, match="there is a cluster dev already"):
        clusters.up({}, name="dev", ephemeral=True)
    assert clusters.list() == (made,)


def test_a_mark_says_what_the_record_says(tmp_path: Path) -> None:
    made = replace(ClusterRecord.new("dev", tmp_path, timedelta(hours=1)), keeper=None)
    later = replace(made, expires=made.created + timedelta(hours=5))
    read = marks._record([made.labels(), later.labels(), {"id": made.id}], "qemu:///x")
    assert read == replace(later, uri="qemu:///x")
    held = marks._record([made.labels(), replace(made, held=True).labels()], "")
    assert held is not None
    assert held.expires is None
    assert marks._record([{"id": "1"}], "") is None


def test_lists_load_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from firestorm.clusters import Clusters\n"
        "Clusters(Path(sys.argv[1])).list()\n"
        "print(sorted({'yaml', 'pulumi', 'jsonschema', 'cryptography', 'httpx', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(COMPONENTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_the_door_has_what_it_says() -> None:
    import firestorm.clusters as door

    assert sorted(door.__all__) == sorted(door._HOMES)
    for name, home in door._HOMES.items():
        assert getattr(door, name).__module__ == home
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = door.nothing
