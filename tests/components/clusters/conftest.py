"""A cluster's home, with a program in Pulumi's place."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm.clusters import life as life_module
from firestorm.clusters import preparation, runs
from firestorm.clusters.life import Life
from tests.components.clusters.standing_in import OUTPUTS, PULUMI, NoPrivateLibvirt, exported, put


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of the cluster `dev`, whose Pulumi is a program of the tests'; nothing that it started is left after."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "pulumi"
    program.write_text(f"#!{sys.executable}\n{PULUMI}")
    program.chmod(0o755)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("FIRESTORM_REGISTER", str(tmp_path / "register"))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for module in (life_module, preparation):
        monkeypatch.setattr(module, "private", NoPrivateLibvirt)
    monkeypatch.chdir(tmp_path)
    path = Life.named("dev").home
    path.mkdir(mode=0o700, parents=True)
    yield path
    for pid in runs.processes(path):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def said() -> list[str]:
    """What the cluster `life` said."""
    return []


@pytest.fixture
def life(home: Path, said: list[str]) -> Life:
    """A cluster that was prepared."""
    made = Life.named("dev", say=said.append)
    made.stack.configure({"os": {"name": "flatcar"}, "platform": {"libvirt": {"uri": "qemu:///none"}}})
    put(home, "outputs", OUTPUTS)
    exported(home)
    return made
