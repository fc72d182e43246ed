"""What a cluster owns, written down and removed without Pulumi."""

from __future__ import annotations

import os
from pathlib import Path

from firestorm.clusters import leftovers
from firestorm.platforms.libvirt.sweep import Claim as Holdings
from tests.components.clusters.standing_in import (
    HOLDINGS,
)


def test_files_of_a_cluster_without_libvirt(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "clusters" / "dev"
    (place / "volumes").mkdir(parents=True)
    (place / "console").mkdir()
    (place / "volumes" / "disk.qcow2").write_text("x")
    (place / "console" / "dev-worker-0.log").touch()
    os.mkfifo(place / "console" / "dev-worker-0.journal.in")
    (place / "console" / "of-another").write_text("x")
    for uri in ("qemu:///system", "qemu+ssh://far/system"):
        holdings = Holdings(
            description="firestorm:dev",
            pool_path=str(place / "volumes"),
            files=(str(place / "console" / "dev-worker-0.log"),),
            pipes=(str(place / "console" / "dev-worker-0.journal.in"),),
            directories=(str(place / "console"), str(place), str(place.parent)),
        )
        leftovers.remember(home, uri, holdings)
    assert leftovers.remove_files(home, which=leftovers.is_empty) == [
        f"file {place}/console/dev-worker-0.log",
        f"file {place}/console/dev-worker-0.journal.in",
    ]
    assert leftovers.remove_files(home) == [f"file {place}/volumes/disk.qcow2", f"directory {place}/volumes"]
    assert [path.name for path in (place / "console").iterdir()] == ["of-another"]


def test_a_pool_without_a_path_is_not_the_working_directory(home: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    leftovers.remember(home, "qemu:///system", HOLDINGS)
    assert leftovers.remove_files(home) == []
    assert (tmp_path / "precious").exists()


def test_holdings_of_one_place_are_gathered(home: Path) -> None:
    more = Holdings(description="firestorm:dev", domains=("dev-worker-0", "dev-worker-1"), networks=HOLDINGS.networks)
    leftovers.remember(home, "qemu:///a", HOLDINGS)
    leftovers.remember(home, "qemu:///b", HOLDINGS)
    leftovers.remember(home, "qemu:///a", more)
    leftovers.remember(home, "qemu:///a", HOLDINGS)
    assert leftovers.recall(home) == [("qemu:///a", more), ("qemu:///b", HOLDINGS)]
