"""Whole console transcripts, each read in pieces, and the message that a user would see.

The Ignition lines are those of Ignition 2.27.0 run on configs that are broken in these ways; the rest follows the
formats of systemd 257, Linux 6.12, SeaBIOS 1.16 and the node's own reports.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from firestorm.readiness.blame import unit_report
from firestorm.readiness.console import ConsoleParser, ConsoleState, Stage
from firestorm.readiness.failure import Report
from firestorm.readiness.observation import Member

HERE = Path(__file__).parent
URL = "http://192.0.2.1:8080/dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet"
SECRET = "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0t"
"""Begins the private key in the configs that the transcripts' Ignition printed when it failed."""
WORKER = Member(name="dev-worker-0", role="worker")


def read(name: str, piece: int = 41) -> ConsoleState:
    text = (HERE / "consoles" / f"{name}.txt").read_bytes().decode()
    parser = ConsoleParser()
    for start in range(0, len(text), piece):
        parser.feed(text[start : start + piece])
    return parser.state()


def golden(name: str, message: str) -> None:
    path = HERE / "messages" / f"{name}.txt"
    if os.environ.get("FIRESTORM_RECORD_GOLDENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(message + "\n", encoding="utf-8")
        pytest.fail(f"{path} was recorded: read it, then run again without FIRESTORM_RECORD_GOLDENS")
    assert message + "\n" == path.read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A transcript of a machine that will not come up, and what is to be said of it."""

    name: str
    stage: Stage
    step: str
    cause: str
    settle: float = 0.0


BROKEN = [
    Broken(
        name="config-refused",
        stage=Stage.IGNITION,
        step="Ignition (fetch-offline)",
        cause="Ignition refuses the configuration: $.storage.files.0.path, line 1 col 67: path not absolute;"
        " $.systemd.units.0.name, line 1 col 145: invalid systemd unit extension",
    ),
    Broken(
        name="config-version",
        stage=Stage.IGNITION,
        step="Ignition (fetch-offline)",
        cause="Ignition refuses the configuration: unsupported config version",
    ),
    Broken(
        name="kubelet-checksum",
        stage=Stage.IGNITION,
        step="Ignition (files)",
        cause=f"Ignition failed while fetching /opt/bin/kubelet: {URL} has the SHA-256"
        " 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03, expected is"
        " 7d4e1f0c9a3b5d6e8f1029384756abcdeffedcba0987654321fedcba98765432",
    ),
    Broken(
        name="mirror-404",
        stage=Stage.IGNITION,
        step="Ignition (files)",
        cause=f"Ignition failed while fetching /opt/bin/kubelet: {URL} answered 404 Not Found",
    ),
    Broken(
        name="user-unknown",
        stage=Stage.IGNITION,
        step="Ignition (files)",
        cause="Ignition failed: failed to create files: error creating /etc/x: error setting file permissions for"
        ' /etc/x: failed to determine correct uid and gid for /etc/x: no such user "nobody-here": user: unknown user'
        ' user "nobody-here" not found',
    ),
    Broken(
        name="flatcar-emergency",
        stage=Stage.IGNITION,
        step="Ignition (files)",
        cause="Ignition failed while fetching /opt/bin/kubelet: its source answered 404 Not Found",
    ),
    Broken(
        name="panic",
        stage=Stage.KERNEL,
        step="kernel and initramfs",
        cause="the kernel panicked: VFS: Unable to mount root fs on unknown-block(0,0)",
    ),
    Broken(
        name="no-bootable-device",
        stage=Stage.POWERED_ON,
        step="firmware and boot loader",
        cause="the machine found nothing to boot from",
    ),
    Broken(
        name="out-of-memory",
        stage=Stage.IGNITION,
        step="memory",
        cause="the node ran out of memory; the kernel killed ignition",
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
@pytest.mark.parametrize("piece", [1, 41, 1 << 20])
def test_broken_machine(case: Broken, piece: int) -> None:
    state = read(case.name, piece)
    failure = state.failure
    assert failure is not None
    assert (state.stage, failure.step, failure.cause) == (case.stage, case.step, case.cause)
    assert (failure.certain, failure.settle) == (True, case.settle)
    message = str(Report(subject="dev-worker-0", failure=failure, lines=state.relevant()))
    assert SECRET not in message
    assert SECRET not in "\n".join(state.lines)
    golden(case.name, message)


def test_good_machine_has_nothing_to_tell() -> None:
    state = read("good")
    assert (state.stage, state.failure, state.units, state.boots) == (Stage.KUBELET, None, (), 1)


def test_endless_retries_are_counted_but_not_yet_certain() -> None:
    state = read("mirror-503")
    assert state.fetch_attempts == 30
    failure = state.failure
    assert failure is not None
    assert not failure.certain
    golden("mirror-503", str(Report(subject="dev-worker-0", failure=failure, lines=state.relevant())))


def test_failing_kubelet_is_counted_with_its_newest_words() -> None:
    state = read("kubelet-failing")
    assert (state.stage, state.failure) == (Stage.KUBELET, None)
    unit = state.unit("kubelet.service")
    assert unit is not None
    assert unit.count == 6
    golden("kubelet-failing", str(unit_report(WORKER, unit)))


@pytest.mark.parametrize(
    ("name", "unit", "count"), [("kubelet-flag", "kubelet.service", 5), ("disk-full", "cni-plugins.service", 1)]
)
def test_units_of_machines_that_were_seen_to_fail(name: str, unit: str, count: int) -> None:
    """Consoles of the stand-in OS: a kubelet with a flag that does not exist, a disk without space."""
    state = read(name)
    failed = state.unit(unit)
    assert failed is not None
    assert (state.stage, failed.count) == (Stage.BOOTED, count)
    golden(name, str(unit_report(WORKER, failed)))


def test_unit_without_a_second_chance() -> None:
    state = read("cni-broken")
    (unit,) = state.units
    assert (unit.unit, unit.count, state.stage) == ("cni-plugins.service", 1, Stage.BOOTED)
    golden("cni-broken", str(unit_report(WORKER, unit)))


STAGES = [
    ("", Stage.OFF),
    ("SeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n", Stage.POWERED_ON),
    ("[    0.000000] Linux version 6.12.57 (x)\r\n", Stage.KERNEL),
    ("         Starting ignition-fetch-offline.service - Ignition (fetch-offline)...\r\n", Stage.IGNITION),
    ("         Starting Ignition (fetch-offline)...\r\n", Stage.IGNITION),
    ("[    6.100000] ignition[512]: Ignition 2.27.0\r\n", Stage.IGNITION),
    ("[    6.100000] ignition[512]: INFO     : Stage: disks\r\n", Stage.IGNITION),
    ("[  OK  ] Finished ignition-disks.service - Ignition (disks).\r\n", Stage.POWERED_ON),
    ("[  OK  ] Finished Ignition (files).\r\n", Stage.IGNITION_DONE),
    ("[   14.0] systemd[1]: Reached target ignition-complete.target - Ignition Complete.\r\n", Stage.IGNITION_DONE),
    ("[DEPEND] Dependency failed for ignition-complete.target - Ignition Complete.\r\n", Stage.POWERED_ON),
    ("firestorm: dev-worker-0: booted\r\n", Stage.BOOTED),
    ("dev-worker-0 login: \r\n", Stage.BOOTED),
    ("[  OK  ] Reached target multi-user.target - Multi-User System.\r\n", Stage.BOOTED),
    ("\x1b[6n\rdev-worker-0 login: firestorm: dev-worker-0: kubelet started\r\n", Stage.KUBELET),
    ("firestorm: dev-worker-0: kubelet started", Stage.POWERED_ON),
]


@pytest.mark.parametrize(("text", "stage"), STAGES)
def test_stage(text: str, stage: Stage) -> None:
    parser = ConsoleParser()
    parser.feed(text)
    assert parser.state().stage == stage


def test_another_boot_begins_anew() -> None:
    parser = ConsoleParser()
    parser.feed((HERE / "consoles" / "mirror-404.txt").read_bytes().decode())
    parser.feed("\r\n[    0.000000] Linux version 6.12.57 (x)\r\n")
    assert (parser.state().stage, parser.state().failure, parser.state().boots) == (Stage.KERNEL, None, 2)
    parser.feed("firestorm: dev-worker-0: booted\r\n")
    assert (parser.state().stage, parser.state().failure) == (Stage.BOOTED, None)


EMERGENCIES = [
    (
        "[FAILED] Failed to start ignition-disks.service - Ignition (disks).\nEntering emergency mode.\n",
        "Ignition",
        "Ignition failed, and the machine waits in its emergency shell",
    ),
    (
        "[   20.0] firestorm: dev-worker-0: booted\n[FAILED] Failed to mount var.mount - /var.\n"
        "[FAILED] Failed to start systemd-fsck-root.service - File System Check on Root Device.\n"
        "You are in emergency mode. After logging in, type ...\n",
        "kubelet",
        "the system did not start, and the machine waits in its emergency shell:"
        " File System Check on Root Device failed",
    ),
]


@pytest.mark.parametrize(("text", "step", "cause"), EMERGENCIES, ids=["initramfs", "system"])
def test_emergency_shell_waits_for_the_reason(text: str, step: str, cause: str) -> None:
    parser = ConsoleParser()
    parser.feed("[    0.000000] Linux version 6.12.57 (x)\n[    6.1] ignition[5]: Ignition 2.27.0\n" + text)
    failure = parser.state().failure
    assert failure is not None
    assert (failure.step, failure.cause, failure.certain, failure.settle) == (step, cause, True, 20.0)


def test_emergency_shell_gives_way_to_ignitions_reason() -> None:
    parser = ConsoleParser()
    parser.feed("[    0.000000] Linux version 6.12.57 (x)\nPress Enter for emergency shell or wait 5 minutes\r")
    first = parser.state().failure
    parser.feed("\nNov 23 18:00:11 ignition[702]: CRITICAL : Ignition failed: config is not valid\n")
    second = parser.state().failure
    assert first is not None
    assert second is not None
    assert "emergency shell" in first.cause
    assert second.cause == "Ignition refuses the configuration: config is not valid"


def test_memory_kills_of_a_booted_node_need_repetition() -> None:
    parser = ConsoleParser()
    parser.feed("firestorm: dev-worker-0: booted\n")
    certain = []
    for pid in (31, 32, 33):
        parser.feed(f"[   90.1] Out of memory: Killed process {pid} (java) total-vm:1kB\n")
        failure = parser.state().failure
        assert failure is not None
        certain.append(failure.certain)
    assert certain == [False, False, True]


def test_container_over_its_own_limit_is_no_failure_of_the_node() -> None:
    parser = ConsoleParser()
    parser.feed("[   90.1] Memory cgroup out of memory: Killed process 31 (java) total-vm:1kB\n")
    assert parser.state().failure is None


def test_memory_stays_bounded() -> None:
    parser = ConsoleParser()
    for _ in range(200):
        parser.feed("x" * 10_000)
    parser.feed("\n" + "line\n" * 5000)
    assert len(parser.state().lines) == 400
    assert max(map(len, parser.state().lines)) <= 400
