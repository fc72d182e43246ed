"""`firestorm ci run` on real machines, as its example has it: nothing is left, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm.clusters import Clusters
from firestorm.clusters.site import VARIABLE
from firestorm.platforms.libvirt.instance import Instance
from firestorm_lab import facts, standin
from firestorm_lab.cache import Cache
from firestorm_lab.development import Development
from tests.end_to_end.running import assert_nothing_left, eventually

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]
TREE = Path(__file__).parents[2]
NAME = "ci"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A user's, whose site file has clusters run the stand-in OS; nothing may be left of the cluster after it."""
    site = tmp_path / "site.yaml"
    site.write_text(standin.site_file(facts.collect(Cache.default()), sys.executable))
    yield {**os.environ, VARIABLE: str(site)}
    development = Development.named(NAME)
    try:
        assert NAME not in {record.name for record in Clusters().list()}
        assert_nothing_left(development)
    finally:
        development.down()


def start(environment: dict[str, str], tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    artifacts = ["--artifacts", str(tmp_path / "artifacts")]
    with (tmp_path / "log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "firestorm.cli", "ci", "run", "--name", NAME, *artifacts, *words],
            env=environment,
            cwd=TREE,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def finish(process: subprocess.Popen[str], tmp_path: Path, seconds: float) -> tuple[int, str]:
    try:
        status = process.wait(seconds)
    finally:
        process.kill()
        process.wait()
    return status, (tmp_path / "log").read_text()


def test_the_example_passes(environment: dict[str, str], tmp_path: Path) -> None:
    """With two workers of xdist, which share the cluster."""
    junit = tmp_path / "junit.xml"
    command = [sys.executable, "-m", "pytest", "examples/ci", "-n", "2", "--junitxml", str(junit), "-c", os.devnull]
    process = start(environment, tmp_path, "--spec", "examples/ci/cluster.yaml", "--", *command)
    status, output = finish(process, tmp_path, 1700)
    assert status == 0, output
    assert 'tests="3"' in junit.read_text()
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.trial  # four minutes more, for what differs from the other two only after the cluster is up
def test_a_command_that_fails_leaves_evidence(environment: dict[str, str], tmp_path: Path) -> None:
    spec = tmp_path / "cluster.yaml"
    spec.write_text("controllers: {memory: 3GiB}\nworkers: []\n")
    process = start(environment, tmp_path, "--spec", str(spec), "--", "sh", "-c", 'test -r "$KUBECONFIG" && exit 7')
    status, output = finish(process, tmp_path, 1700)
    assert status == 7, output
    summary = (tmp_path / "artifacts" / "summary.md").read_text().splitlines()
    assert summary[0].startswith("# Cluster ci")
    assert "sh ended with status 7" in "\n".join(summary[:3])
    assert (tmp_path / "artifacts" / "junit.xml").exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_told_to_end_while_machines_come_up(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals, status: int
) -> None:
    spec = tmp_path / "cluster.yaml"
    spec.write_text("controllers: {memory: 3GiB}\nworkers: []\n")
    process = start(environment, tmp_path, "--spec", str(spec), "--", "touch", str(tmp_path / "ran"))

    def machine_runs() -> None:
        done = subprocess.run(
            ["virsh", "--connect", Instance.of(NAME).uri, "list", "--name"],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert done.stdout.split() == [f"{NAME}-controller-0"], (tmp_path / "log").read_text()

    try:
        eventually(machine_runs, seconds=240)
        process.send_signal(number)
    finally:
        ended, output = finish(process, tmp_path, 300)
    assert ended == status, output
    assert "Traceback" not in output
    assert not (tmp_path / "ran").exists()
