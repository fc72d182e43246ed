"""Processes that outlive their starter: recognised after pid reuse, ended exactly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import supervision
from firestorm.platforms.libvirt.supervision import MARKER, Process


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    process = supervision.spawn(
        "sleeper", ["/bin/sleep", "60"], log=tmp_path / "log", environment={MARKER: "/some/directory"}
    )
    yield process
    supervision.terminate({process.pid: process.started})


def test_a_spawned_process_is_on_its_own(sleeper: Process) -> None:
    assert supervision.alive(sleeper)
    assert supervision.session(sleeper.pid) == sleeper.pid
    assert supervision.marked(sleeper.pid, "/some/directory")
    assert not supervision.marked(sleeper.pid, "/some")
    directory = Path(f"/proc/{sleeper.pid}/fd")

    def descriptors() -> dict[str, str]:
        try:
            return {path.name: str(path.readlink()) for path in directory.iterdir()}
        except FileNotFoundError:  # it is still loading
            return {}

    assert supervision.wait(lambda: descriptors() == {"0": "/dev/null", "1": sleeper.log, "2": sleeper.log}, 5)
    assert supervision.command(sleeper.pid) == "sleep"


def test_a_reused_process_id_is_another_process(sleeper: Process) -> None:
    earlier = replace(sleeper, started=sleeper.started - 1)
    assert not supervision.alive(earlier)
    supervision.terminate({earlier.pid: earlier.started})
    assert supervision.alive(sleeper)


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    log = tmp_path / "log"
    process = supervision.spawn("deaf", [sys.executable, "-c", script], log=log, environment={})
    assert supervision.wait(lambda: log.read_text() == "deaf\n", 10)
    supervision.terminate({process.pid: process.started}, grace=0.3)
    assert supervision.start_time(process.pid) is None


def test_a_dead_child_that_nobody_waited_for_counts_as_gone() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        started = supervision.start_time(child.pid)
        assert started is not None
        os.kill(child.pid, signal.SIGKILL)
        assert supervision.wait(lambda: supervision.start_time(child.pid) is None, 5)
        assert Path(f"/proc/{child.pid}").exists()


def test_ignored_signals_are_not_inherited(tmp_path: Path) -> None:
    log = tmp_path / "log"
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Python itself ignores SIGPIPE
    try:
        supervision.spawn("status", ["/bin/grep", "SigIgn", "/proc/self/status"], log=log, environment={})
    finally:
        signal.signal(signal.SIGINT, before)
    assert supervision.wait(lambda: log.exists() and log.read_text().endswith("\n"), 5)
    ignored = int(log.read_text().removeprefix("SigIgn:"), 16)
    assert [number.name for number in numbers if ignored >> (number - 1) & 1] == []


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlatformError) as caught:
        supervision.spawn("ghost", ["/nonexistent"], log=tmp_path / "log", environment={})
    assert str(caught.value) == (
        f"ghost does not start: /nonexistent: No such file or directory; its log is {tmp_path}/log"
    )
    with pytest.raises(PlatformError) as caught:
        supervision.tool("ghost-program", "ghosts")
    assert str(caught.value) == "ghost-program is not installed: install it (Debian package ghosts)"


def test_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert supervision.tail(log) == ""
    log.write_text("".join(f"line {number}\n" for number in range(5000)))
    assert supervision.tail(log, 2) == "\n    line 4998\n    line 4999"
