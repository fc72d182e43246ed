"""`firestorm ci run` on real machines, as its example has it: nothing is left, however it ends, but for a snapshot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from firestorm.clusters import Clusters
from firestorm.clusters.site import VARIABLE
from firestorm.clusters.snapshots import Snapshot
from firestorm.platforms.libvirt import private
from firestorm.platforms.libvirt.instance import Instance
from firestorm_lab import facts, standin
from firestorm_lab.cache import Cache
from firestorm_lab.development import Development
from tests.end_to_end.running import assert_nothing_left, eventually

pytestmark = [pytest.mark.lab, pytest.mark.machine, pytest.mark.timeout(1800)]
TREE = Path(__file__).parents[2]
FIRESTORM = (sys.executable, "-m", "firestorm.cli")
NAME = "ci"
EXAMPLE = ("--spec", "examples/ci/cluster.yaml")


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
            [*FIRESTORM, "ci", "run", *artifacts, *words],
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


def example(junit: Path) -> list[str]:
    """The example's tests, in two workers of xdist, which share the cluster."""
    return ["--", sys.executable, "-m", "pytest", "examples/ci", "-n", "2", "--junitxml", str(junit), "-c", os.devnull]


@pytest.fixture
def snapshot(environment: dict[str, str]) -> Iterator[str]:
    """The name of the cluster that runs of the example with a snapshot have; nothing is left of it in the end."""
    given = Path(TREE, EXAMPLE[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, environment[VARIABLE])
        name = Snapshot.of(Clusters(), given, timedelta(days=1)).name
    yield name
    subprocess.run([*FIRESTORM, "down", name], env=environment, check=True, timeout=300)
    assert_nothing_left(Development.named(name))


def test_the_example_passes_and_another_run_goes_on_from_its_snapshot(
    environment: dict[str, str], snapshot: str, tmp_path: Path
) -> None:
    junit = tmp_path / "junit.xml"
    process = start(environment, tmp_path, "--snapshot", *EXAMPLE, *example(junit))
    status, output = finish(process, tmp_path, 1700)
    assert status == 0, output
    assert 'tests="3"' in junit.read_text()
    assert not (tmp_path / "artifacts").exists()
    assert Clusters().get(snapshot).state == "resting"
    assert not private.status(snapshot).running

    script = """
        test -z "$("$FIRESTORM_KUBECTL" get crd --output name)" || exit 8
        "$FIRESTORM_KUBECTL" create namespace late --output 'jsonpath={.metadata.creationTimestamp}' || exit 9
        date --utc +:%FT%TZ
        exit 7
    """
    process = start(environment, tmp_path, "--snapshot", *EXAMPLE, "--", "sh", "-c", script)
    status, output = finish(process, tmp_path, 300)
    assert status == 7, output
    assert f"going on from the snapshot of {snapshot}" in output
    there, _, here = next(line for line in output.splitlines() if line.startswith("20")).partition("Z:")
    assert abs(datetime.fromisoformat(here) - datetime.fromisoformat(f"{there}Z")) < timedelta(seconds=10)
    summary = (tmp_path / "artifacts" / "summary.md").read_text().splitlines()
    assert summary[0].startswith(f"# Cluster {snapshot}")
    assert "sh ended with status 7" in "\n".join(summary[:3])
    [node] = (tmp_path / "artifacts" / "nodes").iterdir()
    assert "reached userspace" in (node / "console.log").read_text()
    assert "kubelet[" in (node / "journal.log").read_text()


@pytest.mark.trial  # as above, in which only the end is another
def test_the_example_leaves_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    process = start(environment, tmp_path, "--name", NAME, *EXAMPLE, *example(junit))
    status, output = finish(process, tmp_path, 1700)
    assert status == 0, output
    assert 'tests="3"' in junit.read_text()
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.trial  # four minutes more, for what differs from the other two only after the cluster is up
def test_a_command_that_fails_leaves_evidence(environment: dict[str, str], tmp_path: Path) -> None:
    script = 'test -r "$KUBECONFIG" && exit 7'
    process = start(environment, tmp_path, "--name", NAME, *EXAMPLE, "--", "sh", "-c", script)
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
    process = start(environment, tmp_path, "--name", NAME, *EXAMPLE, "--", "touch", str(tmp_path / "ran"))

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
