"""`firestorm ci run`, with a program in Pulumi's place: exit statuses, signals, evidence; nothing is ever left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from firestorm.cli import main
from firestorm.clusters import Clusters
from tests.components.clusters.standing_in import COMPONENTS, LAB, SPEC, refuse, wait_for
from tests.components.clusters.test_ephemeral_cluster import NO_PRIVATE

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def spec(home: Path, tmp_path: Path, outputs: object) -> Path:
    home.rmdir()
    path = tmp_path / "cluster.yaml"
    path.write_text(SPEC)
    return path


def ci(spec: Path, *options: str, command: tuple[str, ...]) -> int:
    return main(["ci", "run", "--spec", str(spec), *options, "--", *command])


def test_a_command_that_succeeds(spec: Path, tmp_path: Path) -> None:
    told = f'test -f "$KUBECONFIG" && echo "$FIRESTORM_CLUSTER $FIRESTORM_ARTIFACTS" >{tmp_path}/told'
    assert ci(spec, command=("sh", "-c", told)) == 0
    name, artifacts = (tmp_path / "told").read_text().split()
    assert name.startswith("ci-")
    assert artifacts == str(tmp_path / "firestorm-artifacts")
    assert Clusters().list() == ()
    assert not (tmp_path / "firestorm-artifacts").exists()


@pytest.mark.parametrize(
    ("command", "status"),
    [(("sh", "-c", "exit 3"), 3), (("sh", "-c", "kill -9 $$"), 137), (("no-such-program",), 127), (("/",), 126)],
)
def test_a_command_that_fails(
    spec: Path, tmp_path: Path, command: tuple[str, ...], status: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    assert ci(spec, "--name", "mine", command=command) == status
    assert Clusters().list() == ()
    err = capsys.readouterr().err
    assert f"{command[0]} ended with status {status}" in err
    assert "evidence is in firestorm-artifacts" in err
    assert page.read_text().rstrip("\n") == (tmp_path / "firestorm-artifacts" / "summary.md").read_text().rstrip("\n")


def test_a_cluster_that_does_not_come_up(
    spec: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(tmp_path, "up")
    assert ci(spec, command=("touch", str(tmp_path / "ran"))) == 125
    assert not (tmp_path / "ran").exists()
    assert "it does not want to" in capsys.readouterr().err
    assert Clusters().list() == ()


def test_a_wrong_spec_is_no_failure_of_the_command(spec: Path, capsys: Capture) -> None:
    spec.write_text("workers: 3\n")
    assert ci(spec, command=("true",)) == 125
    assert "cluster.yaml:1:" in capsys.readouterr().err


@pytest.mark.parametrize(("keep", "status", "left"), [("always", 0, 1), ("on-failure", 0, 0), ("on-failure", 4, 1)])
def test_it_may_be_kept(spec: Path, keep: str, status: int, left: int) -> None:
    assert ci(spec, "--keep", keep, "--name", "kept", command=("sh", "-c", f"exit {status}")) == status
    assert len(Clusters().list()) == left
    Clusters().down("kept")


@pytest.mark.parametrize(
    ("number", "group", "status"),
    [
        (signal.SIGINT, False, 130),
        (signal.SIGINT, True, 130),
        (signal.SIGTERM, False, 143),
        (signal.SIGHUP, False, 129),
    ],
)
@pytest.mark.parametrize("deaf", [False, True])
def test_signals_reach_the_command_and_the_cluster_ends(
    spec: Path, tmp_path: Path, number: signal.Signals, group: bool, status: int, deaf: bool
) -> None:
    """Also where the command does not listen."""
    heard = "" if deaf else f"echo heard >{tmp_path}/heard; exit 5"
    script = f"trap '{heard}' INT TERM; touch {tmp_path}/within; while :; do sleep 0.1; done"
    program = NO_PRIVATE + (
        "import sys\n"
        "from firestorm import cli\n"
        "from firestorm.commands import ci\n"
        "ci.GRACE = 1.0\n"
        f"sys.exit(cli.main(['ci', 'run', '--spec', {str(spec)!r}, '--', 'sh', '-c', {script!r}]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (COMPONENTS, LAB, COMPONENTS.parent)))},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for((tmp_path / "within").exists)
        (os.killpg if group else os.kill)(process.pid, number)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == status, err
    assert (tmp_path / "heard").exists() is not deaf
    assert ("it is killed" in err) is deaf
    assert "Traceback" not in err
    assert Clusters().list() == ()
