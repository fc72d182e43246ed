"""A private libvirt's name, paths, record and lock."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path

import pytest

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import instance as module
from firestorm.platforms.libvirt.acceleration import boot_id
from firestorm.platforms.libvirt.instance import Instance, Record, boot_changed, load, locked, save
from firestorm.platforms.libvirt.supervision import Process


@pytest.fixture(autouse=True)
def runtime_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    monkeypatch.setattr(module, "RUNTIME_DIR", directory)
    return directory


def test_names_and_paths() -> None:
    instance = Instance.of("dev")
    assert (instance.namespace, str(instance.directory), str(instance.namespace_path), instance.uri) == (
        "firestorm-dev",
        "/var/lib/firestorm/private/dev",
        "/run/netns/firestorm-dev",
        "qemu+unix:///system?socket=/var/lib/firestorm/private/dev/sock/libvirt-sock",
    )


@pytest.mark.parametrize(
    ("name", "state_dir", "expected"),
    [
        *(
            (
                name,
                "/s",
                f"{name!r} cannot name a private libvirt: use up to 40 lower-case letters, digits and inner hyphens",
            )
            for name in ("", "Dev", "a b", "-a", "a-", "../a", "a" * 41)
        ),
        (
            "a",
            "/" + "d" * 90,
            f"/{'d' * 90}/private/a/sock/libvirt-sock is too long for a Unix socket: choose a shorter state directory",
        ),
        (
            "a",
            "/var/lib/libvirt/images",
            "the state directory /var/lib/libvirt/images lies in /var/lib/libvirt, libvirt's own: choose another",
        ),
    ],
)
def test_what_cannot_serve(name: str, state_dir: str, expected: str) -> None:
    with pytest.raises(PlatformError) as caught:
        Instance.of(name, state_dir)
    assert str(caught.value) == expected


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    instance = Instance.of("dev", tmp_path)
    assert load(instance) is None
    instance.directory.mkdir(parents=True)
    record = Record(
        boot=boot_id(),
        service_address="10.255.255.1",
        namespace=(4, 4026532177),
        processes={"a": Process(label="a", pid=1, started=2, argv=("/bin/a", "b"), log="/l")},
        ports={"api": 6443},
        made=["/run/libvirt"],
        netns_mounted=True,
    )
    save(instance, record)
    assert load(instance) == record
    assert not boot_changed(record)
    record.boot = "an earlier one"
    assert boot_changed(record)
    assert [path.name for path in instance.directory.iterdir()] == ["record.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"boot": "x", "service_address": "y", "namespace": 5}'])
def test_a_broken_record_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    instance = Instance.of("dev", tmp_path)
    instance.directory.mkdir(parents=True)
    instance.record_path.write_text(text)
    with pytest.raises(PlatformError) as caught:
        load(instance)
    message = str(caught.value)
    assert message.startswith(f"{instance.record_path} cannot be read (")
    assert message.endswith(
        "): it says what was started for dev; restore it, or remove it and then end the processes in the network "
        "namespace (`ip netns pids firestorm-dev`) yourself"
    )


def test_a_lock_leaves_nothing(tmp_path: Path, runtime_dir: Path) -> None:
    with locked(Instance.of("dev", tmp_path)):
        assert [path.name for path in runtime_dir.iterdir()] == ["dev.lock"]
    assert not runtime_dir.exists()


def _count(runtime_dir: Path, state_dir: Path, rounds: int) -> None:
    module.RUNTIME_DIR = runtime_dir
    counter = state_dir / "counter"
    for _ in range(rounds):
        with locked(Instance.of("dev", state_dir)):
            value = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(value + 1))


def test_a_lock_that_is_removed_when_free_still_excludes(tmp_path: Path, runtime_dir: Path) -> None:
    (tmp_path / "counter").write_text("0")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count, args=(runtime_dir, tmp_path, 20)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (tmp_path / "counter").read_text() == "60"
    assert not runtime_dir.exists()


def test_waiting_is_told_and_bounded(tmp_path: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCK_TIMEOUT", 0.3)
    told: list[str] = []
    instance = Instance.of("dev", tmp_path)
    with locked(instance), pytest.raises(PlatformError) as caught, locked(instance, told.append):
        pass
    assert told == ["waiting for another run that is busy with the private libvirt dev"]
    assert str(caught.value) == (
        "another run has been busy with the private libvirt dev for 0 s: wait for it or end it "
        f"(`fuser {runtime_dir}/dev.lock` names it), then try again"
    )
    assert not runtime_dir.exists()


def test_what_one_made_stays_until_the_last_leaves(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = tmp_path / "var" / "libvirt"
    masked.parent.mkdir()
    monkeypatch.setattr(module, "MASKED", {"lib": masked})
    monkeypatch.setattr(module, "NETNS_DIR", tmp_path / "netns")
    monkeypatch.setattr(module, "_MOUNT_DIR", tmp_path / "var")  # was there before
    short = tmp_path_factory.mktemp("s")  # a socket's path may have 107 bytes, and a test's name may be long
    first, second = Instance.of("a", short / "1"), Instance.of("b", short / "2")
    records = {name: Record(boot=boot_id(), service_address="") for name in ("a", "b")}
    module.claim_host(first, records["a"])
    module.claim_host(second, records["b"])
    assert json.loads((runtime_dir / "host.json").read_text())["instances"] == {
        "a": str(first.directory),
        "b": str(second.directory),
    }

    def leave(instance: Instance) -> list[str]:
        instance.socket.parent.rmdir()
        instance.record_path.unlink()
        instance.directory.rmdir()
        return module.release_host(instance, records[instance.name])

    assert leave(first) == [f"directory {short}/1/private", f"directory {short}/1"]
    assert masked.exists()
    assert set(leave(second)) == {
        f"directory {path}" for path in (masked, short / "2/private", tmp_path / "netns", short / "2")
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["var"]
