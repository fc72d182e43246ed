"""Which accelerator is chosen, and that the reason is true."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import acceleration
from firestorm.platforms.libvirt.acceleration import Acceleration, Kind
from tests.components.platforms.libvirt_place import require_lab


def fake_qemu(directory: Path, script: str) -> Path:
    """A QEMU that notes its arguments and then does as `script` says."""
    directory.mkdir(exist_ok=True)
    path = directory / acceleration.QEMU
    path.write_text(f'#!/bin/sh\necho "$@" >> {directory}/arguments\n{script}\n')
    path.chmod(0o755)
    return path


def test_the_boot_sector_is_one() -> None:
    sector = acceleration.boot_sector()
    assert len(sector) == 512
    assert sector[510:] == b"\x55\xaa"
    assert sector[:9].hex() == "b010baf400eef4ebfd"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 33", None),
        ("exit 0", "QEMU ended with status 0"),
        (
            "echo warning >&2; echo 'failed to initialize kvm: Permission denied' >&2; exit 1",
            "QEMU ended with status 1: failed to initialize kvm: Permission denied",
        ),
        ("exec sleep 30", "a guest of three instructions did not end within 0.3 s"),
    ],
    ids=["ran", "powered off", "refused", "hung"],
)
def test_what_a_guest_run_says(tmp_path: Path, script: str, expected: str | None) -> None:
    qemu = fake_qemu(tmp_path, script)
    run = acceleration.run_guest(str(qemu), "kvm", 0.3)
    assert run.failure == expected
    assert 0 < run.seconds < 5
    assert "-accel kvm -machine q35" in (tmp_path / "arguments").read_text()


@pytest.mark.parametrize(
    ("kvm", "tcg", "expected"),
    [
        (0.2, 0.1, Acceleration(kind="kvm", reason="a test guest ran under KVM in 0.2 s")),
        (1.0, 0.1, Acceleration(kind="kvm", reason="a test guest ran under KVM in 1.0 s")),
        (2.4, 0.9, Acceleration(kind="kvm", reason="a test guest ran under KVM in 2.4 s")),
        (0.2, "broken", Acceleration(kind="kvm", reason="a test guest ran under KVM in 0.2 s")),
        (
            3.7,
            0.1,
            Acceleration(
                kind="tcg",
                reason="KVM is slower here than TCG: a test guest took 3.7 s under it and 0.1 s under TCG",
            ),
        ),
        (
            3.7,
            1.3,
            Acceleration(
                kind="tcg",
                reason="KVM is slower here than TCG: a test guest took 3.7 s under it and 1.3 s under TCG",
            ),
        ),
        ("hung", 0.1, Acceleration(kind="tcg", reason="/dev/kvm opens, but a test guest failed under it: hung")),
    ],
    ids=["sound", "just quick", "busy machine", "TCG broken", "emulated", "emulated and busy", "hung"],
)
def test_which_of_two_runs_is_preferred(kvm: float | str, tcg: float | str, expected: Acceleration) -> None:
    def run(result: float | str) -> acceleration.GuestRun:
        return acceleration.GuestRun(
            seconds=result if isinstance(result, float) else 5.0, failure=result if isinstance(result, str) else None
        )

    assert acceleration.judge(run(kvm), run(tcg)) == expected


def test_a_slow_guest_gets_a_second_chance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(acceleration, "_why_closed", lambda device: None)
    marker = tmp_path / "slept"
    fake_qemu(tmp_path, f"case $2 in kvm) [ -e {marker} ] || {{ touch {marker}; sleep 1.2; }};; esac; exit 33")
    assert acceleration.probe(cache=tmp_path / "cache.json").kind == "kvm"
    assert [line.split()[1] for line in (tmp_path / "arguments").read_text().splitlines()] == ["tcg", "kvm", "kvm"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "absent",
            "{} does not exist: the CPU's virtualization is off in the firmware, or this machine is a guest",
        ),
        ("directory", "{} does not open: Is a directory"),
        ("file", None),
    ],
)
def test_why_a_device_is_closed(tmp_path: Path, name: str, expected: str | None) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    found = acceleration._why_closed(tmp_path / name)
    assert found == (expected.format(tmp_path / name) if expected else None)


@pytest.mark.parametrize("kind", ["kvm", "tcg"])
def test_a_demand_is_met_without_a_probe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: Kind) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert acceleration.choose(kind) == kind
    assert acceleration.find(kind) == Acceleration(kind=kind, reason="the cluster's specification asks for it")


def test_without_qemu_there_is_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError) as caught:
        acceleration.probe(cache=tmp_path / "cache.json")
    assert str(caught.value) == ("qemu-system-x86_64 is not installed: install QEMU (Debian package qemu-system-x86)")


def test_the_answer_is_kept_for_this_boot_and_this_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(acceleration, "_why_closed", lambda device: None)
    cache = tmp_path / "run" / "acceleration.json"
    arguments = tmp_path / "bin" / "arguments"
    runs = ["tcg", "kvm"]
    fake_qemu(tmp_path / "bin", "exit 33")

    def noted() -> list[str]:
        return [line.split()[1] for line in arguments.read_text().splitlines()]

    first = acceleration.probe(cache=cache)
    assert first.kind == "kvm"
    assert acceleration.probe(cache=cache) == first
    assert noted() == runs

    cache.write_text("{")  # a broken file is as good as none
    assert acceleration.probe(cache=cache).kind == "kvm"
    cache.write_text(json.dumps({**json.loads(cache.read_text()), "key": "another boot", "kind": "tcg"}))
    assert acceleration.probe(cache=cache).kind == "kvm"
    assert noted() == 3 * runs

    fake_qemu(tmp_path / "bin", "exit 1")
    assert acceleration.probe(cache=cache) == Acceleration(
        kind="tcg", reason="/dev/kvm opens, but a test guest failed under it: QEMU ended with status 1"
    )


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(acceleration, "_why_closed", lambda device: None)
    fake_qemu(tmp_path, "exit 33")
    (tmp_path / "file").touch()
    assert acceleration.probe(cache=tmp_path / "file" / "cache.json").kind == "kvm"


@pytest.mark.lab
def test_the_guest_runs_under_tcg_and_kvm_is_judged_by_running_it(tmp_path: Path) -> None:
    require_lab()
    qemu = f"/usr/bin/{acceleration.QEMU}"
    tcg = acceleration.run_guest(qemu, "tcg", 60)
    assert tcg.failure is None

    found = acceleration.probe(30, cache=tmp_path / "acceleration.json")
    began = time.monotonic()
    assert acceleration.probe(cache=tmp_path / "acceleration.json") == found
    assert time.monotonic() - began < 0.5

    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        assert found.kind == "tcg"
        assert "/dev/kvm" in found.reason
    else:
        assert found.kind == acceleration.judge(acceleration.run_guest(qemu, "kvm", 30), tcg).kind
