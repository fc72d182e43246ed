"""The cache: one build for many processes, all or nothing, keys that follow their inputs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firestorm_lab.cache import Cache, Item, Workspace, file_digest, remove, tree_digests
from firestorm_lab.errors import LabError
from firestorm_lab.golang import MODULES, Binary, GoModule

ITEM = Item(name="thing", inputs={"lock": "1"})
LAB = Path(__file__).parents[2] / "lab"

# A build of 1 s that notes each time it runs; argv: the cache, the note, a word to wait on at its end ("" for none).
BUILDER = """
import pathlib, sys, time
from firestorm_lab.cache import Cache, Item
note = pathlib.Path(sys.argv[2])
def build(workspace):
    with note.open("a") as file:
        file.write("built\\n")
    (workspace.out / "half").write_text("half")
    workspace.runner.run(["sleep", sys.argv[3]])
    (workspace.out / "file").write_text("whole")
try:
    print(Cache(root=pathlib.Path(sys.argv[1])).ensure(Item(name="thing", inputs={"lock": "1"}), build))
except KeyboardInterrupt:
    sys.exit(130)
"""


def start(cache: Path, note: Path, seconds: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(cache), str(note), seconds],
        env={**os.environ, "PYTHONPATH": str(LAB)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.02)


def whole(workspace: Workspace) -> None:
    (workspace.out / "file").write_text("whole")


def test_a_built_item_is_found_and_not_built_again(tmp_path: Path) -> None:
    store = Cache(root=tmp_path)
    first = store.ensure(ITEM, whole)

    def forbidden(_workspace: Workspace) -> None:
        raise AssertionError("built twice")

    assert store.ensure(ITEM, forbidden) == first == tmp_path / "items" / ITEM.directory
    assert sorted(path.name for path in first.iterdir()) == ["file", "item.json"]
    record = json.loads((first / "item.json").read_text())
    assert (record["name"], record["key"], record["inputs"]) == ("thing", ITEM.key, {"lock": "1"})
    assert list((tmp_path / "tmp").iterdir()) == []


def test_two_processes_at_once_build_once_and_agree(tmp_path: Path) -> None:
    note = tmp_path / "note"
    runs = [start(tmp_path / "cache", note, "1") for _ in range(2)]
    outputs = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert outputs[0][0] == outputs[1][0]
    assert note.read_text() == "built\n"
    assert sum("another process is building it" in errors for _, errors in outputs) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing_that_counts(tmp_path: Path, number: signal.Signals) -> None:
    cache, note = tmp_path / "cache", tmp_path / "note"
    run = start(cache, note, "60")
    log = cache / "logs" / "thing.log"
    until(lambda: log.exists() and "sleep 60" in log.read_text())
    run.send_signal(number)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL), errors
    assert list((cache / "items").iterdir()) == []
    if number == signal.SIGINT:
        assert list((cache / "tmp").iterdir()) == []
    # The lock is free, the next run builds anew, and takes away what a killed one left.
    again = start(cache, note, "0")
    path, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert (Path(path.strip()) / "file").read_text() == "whole"
    assert list((cache / "tmp").iterdir()) == []


def test_an_interrupt_ends_what_the_build_started(tmp_path: Path) -> None:
    run = start(tmp_path / "cache", tmp_path / "note", "61.25")
    log = tmp_path / "cache" / "logs" / "thing.log"
    until(lambda: log.exists() and "sleep 61.25" in log.read_text() and len(children(run.pid)) == 1)
    (child,) = children(run.pid)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)
    assert not Path(f"/proc/{child}").exists()


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def test_a_failed_build_names_its_log_and_shows_its_end(tmp_path: Path) -> None:
    store = Cache(root=tmp_path)

    def build(workspace: Workspace) -> None:
        workspace.runner.run(["sh", "-c", "echo example.org/some/package; echo main.go:3:1: undefined: x; exit 7"])

    with pytest.raises(LabError) as caught:
        store.ensure(ITEM, build)
    message = str(caught.value)
    assert "ended with status 7" in message
    assert str(tmp_path / "logs" / "thing.log") in message
    assert "    main.go:3:1: undefined: x" in message.splitlines()
    assert "    example.org/some/package" not in message.splitlines()  # progress of `go build -v`, no reason
    assert store.find(ITEM) is None


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    def build(workspace: Workspace) -> None:
        workspace.runner.run(["sleep", "60"], timeout=0.1)

    started = time.monotonic()
    with pytest.raises(LabError, match=r"was still running after 0 s"):
        Cache(root=tmp_path).ensure(ITEM, build)
    assert time.monotonic() - started < 30


def test_a_cache_that_cannot_be_written_is_said_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="set FIRESTORM_CACHE"):
        Cache(root=tmp_path / "file" / "below").ensure(ITEM, whole)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FIRESTORM_CACHE": "/own", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/u"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/u"}, "/xdg/firestorm"),
        ({"HOME": "/home/u"}, "/home/u/.cache/firestorm"),
    ],
)
def test_the_cache_lies_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("FIRESTORM_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(Cache.default().root) == expected


def test_a_key_follows_every_input() -> None:
    items = [
        Item(name="thing", inputs={"lock": "1"}),
        Item(name="thing", inputs={"lock": "2"}),
        Item(name="thing", inputs={"lock": "1", "flags": ""}),
        Item(name="other", inputs={"lock": "1"}),
    ]
    assert len({item.key for item in items}) == len(items)
    assert Item(name="thing", inputs={"a": "1", "b": "2"}).key == Item(name="thing", inputs={"b": "2", "a": "1"}).key


def test_a_module_is_keyed_by_its_lock_files_and_its_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firestorm_lab.golang.MODULES", tmp_path)
    monkeypatch.setattr("firestorm_lab.golang.go_version", lambda: "go1.26.0")
    folder = tmp_path / "tool"
    folder.mkdir()
    for name in ("go.mod", "go.sum", "main.go"):
        (folder / name).write_text(name)
    module = GoModule(name="tool", binaries=(Binary(name="tool"),))
    keys = {module.item().key}
    for name in ("go.mod", "go.sum", "main.go"):
        (folder / name).write_text(f"{name} changed")
        keys.add(module.item().key)
    keys.add(GoModule(name="tool", binaries=(Binary(name="tool", cgo=True),)).item().key)
    keys.add(GoModule(name="tool", binaries=(Binary(name="tool", values={"p.v": "1"}),)).item().key)
    monkeypatch.setattr("firestorm_lab.golang.go_version", lambda: "go1.26.1")
    keys.add(module.item().key)
    assert len(keys) == 7


def test_every_module_of_the_lab_has_its_lock_files() -> None:
    modules = sorted(path.name for path in MODULES.iterdir() if any(path.glob("go.*")))
    assert [name for name in modules if not (MODULES / name / "go.sum").is_file()] == []
    assert "kubernetes" in modules


def test_a_tree_is_removed_whatever_its_modes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "file").write_text("")
    (tree / "link").symlink_to("/nowhere")
    (tree / "below").chmod(0o500)
    remove(tree)
    remove(tree)
    assert not tree.exists()


def test_digests_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("hello\n")
    expected = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert file_digest(tmp_path / "a" / "b") == expected
    assert tree_digests(tmp_path) == {"a/b": expected}
