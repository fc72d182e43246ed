"""`pulumi up` with the real engine and the real provider server: what the user sees, and what is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.lab

HERE = Path(__file__).parent
COMPONENTS = HERE.parents[2] / "components"
PROGRAM = """
import os
import pulumi
from firestorm.readiness.resource import ClusterReadiness, ClusterReadinessArgs

cluster = pulumi.ComponentResource("test:index:Cluster", "dev", None)
node = {"name": "dev-worker-0", "role": "worker", "identity": "i", "uuid": "aa", "console": os.environ["CONSOLE"]}
args = ClusterReadinessArgs(kubeconfig=os.environ["ADMIN"], manifests="[]", nodes=[node], timeout=120.0)
ClusterReadiness("dev-ready", args, pulumi.ResourceOptions(parent=cluster))
"""
KUBECONFIG = yaml.safe_dump(
    {
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "secret-of-the-administrator"}}],
    }
)


@dataclass(frozen=True)
class Project:
    folder: Path
    environment: dict[str, str]

    def pulumi(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def console(self, text: str) -> None:
        (self.folder / "console").write_text(text, newline="")

    def progress(self) -> str:
        path = self.folder / "progress"
        return path.read_text() if path.exists() else ""

    def wait_for_progress(self, text: str) -> None:
        deadline = time.monotonic() + 90
        while text not in self.progress():
            assert time.monotonic() < deadline, self.progress()
            time.sleep(0.2)

    def providers(self) -> list[int]:
        """Process ids of the provider servers that this project's runs have started."""
        return self.processes(b"pulumi.dynamic")

    def processes(self, what: bytes) -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if what in command and f"PULUMI_HOME={self.folder}".encode() in environment:
                found.append(int(folder.name))
        return found


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    assert shutil.which("pulumi"), "pulumi must be on PATH"
    (tmp_path / "Pulumi.yaml").write_text("name: readiness\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    (tmp_path / "state").mkdir()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(COMPONENTS),
        "PULUMI_PYTHON_CMD": sys.executable,
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "FIRESTORM_PROGRESS": str(tmp_path / "progress"),
        "CONSOLE": str(tmp_path / "console"),
        "ADMIN": KUBECONFIG,
    }
    made = Project(tmp_path, environment)
    begun = made.pulumi("stack", "init", "dev")
    output, _ = begun.communicate(timeout=60)
    assert begun.returncode == 0, output
    yield made
    # An engine that is killed leaves its language host behind.
    for pid in made.processes(b"pulumi"):
        os.kill(pid, signal.SIGKILL)


UP = ("up", "--yes", "--skip-preview")
BOOTED = "[    0.000000] Linux version 6.12\r\nfirestorm: dev-worker-0: booted\r\n"


@pytest.mark.parametrize("name", ["config-refused", "kubelet-checksum", "mirror-404"])
def test_broken_cluster_fails_with_its_message_and_nothing_else(project: Project, name: str) -> None:
    project.console((HERE / "consoles" / f"{name}.txt").read_bytes().decode())
    process = project.pulumi(*UP)
    output, _ = process.communicate(timeout=120)
    golden = (HERE / "messages" / f"{name}.txt").read_text().rstrip("\n")
    shown = "    error: " + golden.replace("\n", "\n    ")
    assert process.returncode != 0
    assert shown in output
    assert "Traceback" not in output
    assert "secret-of-the-administrator" not in output


def test_steps_show_while_the_resource_is_created_and_leave_the_summary_alone(project: Project) -> None:
    project.console(BOOTED)
    process = project.pulumi(*UP)
    project.wait_for_progress("Ignition applied 1/1")
    with (project.folder / "console").open("a", newline="") as file:
        file.write("[   60.0] Kernel panic - not syncing: Attempted to kill init!\r\n")
    output, _ = process.communicate(timeout=60)
    live, _, summary = output.partition("Diagnostics:")
    for step in ("machines booted 1/1", "Ignition applied 1/1"):
        assert any("ClusterReadiness" in line and step in line for line in live.splitlines())
        assert step not in summary
    assert "the kernel panicked: Attempted to kill init!" in summary


def test_interrupt_ends_the_wait_at_once(project: Project) -> None:
    project.console(BOOTED)
    process = project.pulumi(*UP)
    project.wait_for_progress("Ignition applied 1/1")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert process.returncode != 0
    assert "the wait for the cluster was stopped" in output
    assert project.providers() == []


def test_interrupt_before_the_wait_has_begun_ends_it_too(project: Project) -> None:
    project.console(BOOTED)
    process = project.pulumi(*UP)
    assert process.stdout is not None
    for line in process.stdout:
        if "ClusterReadiness" in line and "creating" in line:
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=45)
    assert process.returncode != 0
    assert "the wait for the cluster was stopped" in output


def test_provider_ends_with_an_engine_that_was_killed(project: Project) -> None:
    project.console(BOOTED)
    process = project.pulumi(*UP)
    project.wait_for_progress("Ignition applied 1/1")
    assert project.providers() != []
    process.kill()
    process.wait()
    deadline = time.monotonic() + 40
    while project.providers():
        assert time.monotonic() < deadline
        time.sleep(0.5)
    process.communicate(timeout=20)
