"""A cluster for a block of code, with a program in Pulumi's place: it is gone however the block ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import pytest

from firestorm.clusters import Clusters, RunningCluster, ephemeral_cluster, record
from firestorm.clusters.life import Life
from firestorm.clusters.running import KUBECTL, NodeInfo
from firestorm.errors import ClusterError
from tests.components.clusters.standing_in import COMPONENTS, LAB, OUTPUTS, calls, wait_for

ARGS = {"platform": {"libvirt": {"uri": "qemu:///system"}}, "controllers": {"memory": "2GiB"}, "workers": []}


@pytest.fixture(autouse=True)
def prepared_by(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi's stand-in tells of one worker."""
    home.rmdir()
    monkeypatch.setenv("OUTPUTS", json.dumps(OUTPUTS))


@pytest.fixture
def clusters() -> Clusters:
    return Clusters()


def test_it_is_there_within_and_gone_after(clusters: Clusters) -> None:
    with ephemeral_cluster(ARGS, ttl=timedelta(minutes=5)) as cluster:
        found = clusters.get(cluster.name)
        assert (found.state, found.id) == ("up", cluster.id)
        assert found.keeper == record.Keeper.this()
        assert found.expires == found.created + timedelta(minutes=5)
        assert cluster.nodes == (NodeInfo(name="dev-worker-0", role="worker", address="10.17.1.10"),)
        assert cluster.api_address == "https://10.17.0.10:6443"
        assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
        assert calls(cluster.kubeconfig.parent)[-2:] == ["up", "stack output"]
        assert clusters.connect(cluster.name) == cluster
        assert (clusters.home / cluster.name / "outputs.json").stat().st_mode & 0o777 == 0o600
        assert str(OUTPUTS["kubeconfig"]) not in (clusters.home / cluster.name / "outputs.json").read_text()
    assert clusters.list() == ()
    assert not cluster.kubeconfig.parent.exists()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_it_is_gone_after_a_failure_and_leaves_evidence(
    clusters: Clusters, tmp_path: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)), ephemeral_cluster(ARGS, name="mine", artifacts=tmp_path / "evidence"):
        raise error
    assert clusters.list() == ()
    assert (tmp_path / "evidence" / "summary.md").exists()


def test_it_may_be_kept(clusters: Clusters) -> None:
    with ephemeral_cluster(ARGS, name="kept", keep=True):
        pass
    with pytest.raises(ValueError, match="no"), ephemeral_cluster(ARGS, name="failed", keep="on-failure"):
        raise ValueError("no")
    with ephemeral_cluster(ARGS, name="well", keep="on-failure"):
        pass
    assert [(found.name, found.keeper) for found in clusters.list()] == [("failed", None), ("kept", None)]
    for name in ("failed", "kept"):
        assert clusters.down(name) == [f"the cluster {name}"]


def test_it_is_never_anothers(clusters: Clusters) -> None:
    with ephemeral_cluster(ARGS, name="mine") as cluster:
        with pytest.raises(ClusterError, match="there is a cluster mine already"), ephemeral_cluster(ARGS, name="mine"):
            pass
        assert clusters.get("mine").id == cluster.id


def test_a_cluster_that_is_up_survives_a_change_that_is_refused(clusters: Clusters) -> None:
    clusters.up(ARGS, name="mine")
    found = clusters.get("mine")
    assert (found.state, found.keeper) == ("up", None)
    with pytest.raises(ClusterError, match=r"the machines need \d+"):
        clusters.up({**ARGS, "controllers": {"memory": "8192GiB"}}, name="mine")
    assert clusters.get("mine") == found
    assert clusters.gc().found == ()
    clusters.up(ARGS, name="mine")
    assert clusters.get("mine") == found
    clusters.down("mine")


def test_two_have_different_addresses_and_names(clusters: Clusters) -> None:
    with ephemeral_cluster(ARGS) as one, ephemeral_cluster(ARGS) as two:
        entries = Life.named(one.name).register.entries()
        assert {entry.record.name for entry in entries} == {one.name, two.name}
        assert not entries[0].nodes.overlaps(entries[1].nodes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_signals(clusters: Clusters, tmp_path: Path, number: signal.Signals) -> None:
    program = f"""
        import time, signal
        from pathlib import Path
        from firestorm.clusters import ephemeral_cluster
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with ephemeral_cluster({ARGS!r}, name="mine"):
            Path({str(tmp_path / "within")!r}).touch()
            time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", NO_PRIVATE + textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (COMPONENTS, LAB, COMPONENTS.parent)))},
    )
    try:
        wait_for((tmp_path / "within").exists)
        process.send_signal(number)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
    if number is signal.SIGKILL:
        [left] = clusters.list()
        assert left.abandoned
        assert [found.name for found in clusters.gc().found] == ["mine"]
    elif number is signal.SIGINT:
        assert process.returncode in (1, 130, -signal.SIGINT)
    else:
        assert process.returncode == 128 + number
    assert clusters.list() == ()


NO_PRIVATE = """
from firestorm.clusters import life, preparation
from tests.components.clusters.standing_in import NoPrivateLibvirt
life.private = preparation.private = NoPrivateLibvirt
"""


def test_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\n[ "$2" != sleep ] || exec sleep 60\ncat\necho "$@"\n[ "$2" != fail ] || exit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv(KUBECTL, str(program))
    cluster = RunningCluster(name="dev", id="1", kubeconfig=Path("/k"), api_address="", nodes=())
    assert cluster.kubectl("get", "nodes", input="in\n").stdout == "in\n--kubeconfig=/k get nodes\n"
    assert cluster.kubectl("fail", check=False).returncode == 3
    with pytest.raises(ClusterError, match="`kubectl fail` ended with status 3"):
        cluster.kubectl("fail")
    with pytest.raises(ClusterError, match=r"`kubectl sleep` took longer than 0.2 s"):
        cluster.kubectl("sleep", timeout=0.2)
    cluster.wait("pods", namespace="n")
    monkeypatch.setenv(KUBECTL, str(tmp_path / "nothing"))
    with pytest.raises(ClusterError, match="cannot be run: No such file"):
        cluster.kubectl("version")
