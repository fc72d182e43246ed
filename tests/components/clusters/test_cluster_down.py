"""A cluster's way down, whatever is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from firestorm.clusters import leftovers
from firestorm.clusters.life import Life
from firestorm.errors import ClusterError, PlatformError
from firestorm.platforms.libvirt.sweep import Swept
from tests.components.clusters.standing_in import (
    HOLDINGS,
    behave,
    finish,
    hanging_up,
    kill,
    lock_file,
)


def test_down_of_nothing_is_fine_and_twice_too(life: Life, home: Path) -> None:
    life.up()
    assert life.down() == ["the cluster dev"]
    assert not home.exists()
    assert life.down() == []
    assert not home.exists()


def test_down_ends_an_up_that_goes_on(life: Life, home: Path) -> None:
    behave(home, up="hang")
    process = hanging_up(home)
    ended = life.down()
    output = finish(home, process)
    assert "cancelled in order" in output
    assert ended == [f"process firestorm up dev ({process.pid})", "the cluster dev"]
    assert not home.exists()


def test_down_ends_what_a_killed_up_left(life: Life, home: Path) -> None:
    behave(home, up="hang")
    killed = hanging_up(home)
    kill(killed)
    lock_file(home)
    ended = life.down()
    assert ended[0].startswith("process pulumi (")
    assert ended[-1] == "the cluster dev"
    assert not home.exists()


@pytest.mark.parametrize("broken", ["destroy fails", "state is gone", "state is no JSON and configuration is gone"])
def test_down_without_a_usable_state_removes_by_name(
    life: Life, home: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    leftovers.remember(home, "qemu:///none", HOLDINGS)
    life.up()
    if broken == "destroy fails":
        behave(home, destroy="fail")
    elif broken == "state is gone":
        life.stack.checkpoint.unlink()
    else:
        life.stack.checkpoint.write_text("{")
        life.stack_config.unlink()
    swept: list[object] = []

    def sweep(*arguments: object) -> Swept:
        swept.append(arguments)
        return Swept(removed=("domain dev-worker-0",), kept=("network firestorm-dev: it is not this cluster's",))

    monkeypatch.setattr(leftovers, "sweep", sweep)
    assert life.down() == ["domain dev-worker-0", "nothing of network firestorm-dev: it is not this cluster's"]
    assert swept == [("qemu:///none", HOLDINGS)]
    assert not home.exists()


def test_down_keeps_everything_while_libvirt_cannot_be_reached(
    life: Life, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sweep(*_: object) -> Swept:
        raise PlatformError("libvirt at qemu:///none cannot be reached")

    monkeypatch.setattr(leftovers, "sweep", sweep)
    leftovers.remember(home, "qemu:///none", HOLDINGS)
    behave(home, destroy="fail")
    (home / "unfinished").touch()
    with pytest.raises(ClusterError) as caught:
        life.down()
    assert str(caught.value) == (
        "libvirt at qemu:///none cannot be reached\n"
        "The cluster dev is still there: repair that, and run `firestorm down dev` again"
    )
    assert (home / "passphrase").exists()
