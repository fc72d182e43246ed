"""A cluster's way up, and on after a failure."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from firestorm.clusters import leftovers, runs
from firestorm.clusters.life import Life
from firestorm.errors import ClusterError
from firestorm.platforms.libvirt.sweep import Swept
from tests.components.clusters.standing_in import (
    CLAIM,
    DOMAIN,
    HOLDINGS,
    OUTPUTS,
    behave,
    calls,
    exported,
    finish,
    hanging_up,
    kill,
    lock_file,
    start,
    wait_for,
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_lets_pulumi_end_in_order_and_says_how_to_go_on(
    life: Life, home: Path, number: signal.Signals
) -> None:
    behave(home, up="hang")
    exported(home, CLAIM, DOMAIN)
    process = start(home, "signal.signal(15, lambda number, _: sys.exit(128 + number))\nlife.up()")
    wait_for((home / "hanging").exists)
    process.send_signal(number)
    output = finish(home, process)
    assert process.returncode in (1, 143, -signal.SIGINT)
    assert "cancelled in order" in output
    rest = "there are 1 machines and 1 other resources of the cluster: `firestorm up dev` goes on from here"
    assert rest in output
    assert runs.processes(home) == {}


def test_up_goes_on_after_a_killed_one(
    life: Life, home: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(home, up="hang")
    killed = hanging_up(home)
    kill(killed)
    assert len(runs.processes(home)) == 2
    lock_file(home)
    exported(home, CLAIM, DOMAIN, {"type": "random:index:Id", "id": "no"}, pending=1)
    leftovers.remember(home, "qemu:///none", HOLDINGS)
    swept: list[object] = []

    def sweep(*arguments: object) -> Swept:
        swept.append(arguments)
        return Swept(removed=("domain dev-worker-0",), kept=())

    monkeypatch.setattr(leftovers, "sweep_strays", sweep)
    behave(home)

    assert life.up() == OUTPUTS

    assert swept == [("qemu:///none", HOLDINGS, ["uuid-1"])]
    assert json.loads((home / "imported").read_text()) == {
        "deployment": {"resources": [CLAIM, DOMAIN, {"type": "random:index:Id", "id": "no"}]}
    }
    assert any(line.startswith("ended process pulumi (") for line in said)
    assert "removed the lock of an earlier run" in said
    assert "removed domain dev-worker-0, which an earlier run left outside the Pulumi state" in said
    assert calls(home)[-7:] == ["up", "cancel", "stack export", "stack export", "stack import", "up", "stack output"]

    (home / "calls").unlink()
    life.up()
    assert calls(home) == ["up", "stack output"]  # what came up well needs no repair


def test_strays_are_only_looked_for_under_a_claim_of_ours(life: Life, home: Path) -> None:
    exported(home, DOMAIN)
    leftovers.remember(home, "qemu:///none", HOLDINGS)
    assert leftovers.remove_strays(life.stack) == []


def test_a_failed_up_says_what_is_left(life: Life, home: Path) -> None:
    behave(home, up="fail")
    exported(home, CLAIM)
    with pytest.raises(ClusterError) as caught:
        life.up()
    assert str(caught.value) == (
        "pulumi up of dev ended with status 1:\nerror: it does not want to\n"
        "there are 0 machines and 1 other resources of the cluster: `firestorm up dev` goes on from here, "
        "`firestorm down dev` removes everything"
    )
    assert not life.kubeconfig.exists()
    assert life.try_up() == (1, "error: it does not want to\n")


def test_files_of_a_cluster_are_its_owners_alone(life: Life, home: Path) -> None:
    home.chmod(0o755)
    with life.working("up"):
        life.up()
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()}
    assert home.stat().st_mode & 0o777 == 0o700
    assert {name: modes[name] for name in ("kubeconfig", "passphrase", "Pulumi.dev.yaml")} == {
        "kubeconfig": 0o600, "passphrase": 0o600, "Pulumi.dev.yaml": 0o600,
    }  # fmt: skip
    assert life.kubeconfig.read_text() == "apiVersion: v1\n"
    assert not [name for name in modes if name.startswith(".") and name != ".pulumi"]
