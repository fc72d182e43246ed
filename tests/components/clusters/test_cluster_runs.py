"""Who works on a cluster: its lock, and Pulumi's processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from firestorm.clusters import runs
from firestorm.clusters.stack import Stack
from tests.components.clusters.standing_in import (
    behave,
    finish,
    kill,
    printed,
    start,
    wait_for,
)


def test_a_process_may_take_the_lock_again_and_another_may_not(home: Path) -> None:
    with runs.exclusive(home, "firestorm up dev"), runs.exclusive(home, "again"):
        other = start(home, "with runs.exclusive(home, 'other'): pass")
        output = finish(home, other)
        assert f"BusyError: `firestorm up dev` (process {os.getpid()}) works on the cluster dev: wait for it" in output
    with runs.exclusive(home, "free again"):
        assert runs.holder(home) == runs.Holder(
            pid=os.getpid(), started=int(Path("/proc/self/stat").read_text().split()[21]), command="free again"
        )


def test_the_lock_of_a_killed_process_does_not_block(home: Path) -> None:
    other = start(home, "import time\nwith runs.exclusive(home, 'x'): print('locked', flush=True); time.sleep(60)")
    wait_for(lambda: "locked" in printed(home).read_text())
    with pytest.raises(runs.BusyError), runs.exclusive(home, "y"):
        pass
    kill(other)
    with runs.exclusive(home, "y"):
        assert runs.end_holder(home) is None  # it is this process


def test_a_holder_is_ended_as_by_interrupt(home: Path) -> None:
    other = start(
        home, "import time\nwith runs.exclusive(home, 'make up'): print('locked', flush=True); time.sleep(60)"
    )
    wait_for(lambda: "locked" in printed(home).read_text())
    assert runs.end_holder(home) == f"process make up ({other.pid})"
    output = finish(home, other)
    assert "KeyboardInterrupt" in output


def test_processes_of_another_home_are_left_alone(home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    mine, other = (
        subprocess.Popen(command, env={**os.environ, runs.MARKER: str(place)}) for place in (home, tmp_path / "dev2")
    )
    try:
        wait_for(lambda: mine.pid in runs.processes(home))
        name = Path(f"/proc/{mine.pid}/comm").read_text().strip()
        assert runs.end(home) == [f"process {name} ({mine.pid})"]
        mine.wait(10)
        assert other.poll() is None
        assert runs.processes(home) == {}
    finally:
        other.kill()
        other.wait()


def test_a_pulumi_that_does_not_listen_is_killed(home: Path) -> None:
    behave(home, up="deaf")
    process = hanging_up_alone(home)
    ended = runs.end(home, patience=0.3)
    assert {line.rpartition(" (")[0] for line in ended} >= {"process pulumi"}
    assert len(ended) == 2
    process.wait(10)


def hanging_up_alone(home: Path) -> subprocess.Popen[bytes]:
    """Pulumi itself, as a killed `make up` leaves it."""
    stack = Stack(name="dev", home=home)
    process = subprocess.Popen(stack.command("up"), env=stack.environment(), start_new_session=True)
    wait_for((home / "hanging").exists)
    return process
