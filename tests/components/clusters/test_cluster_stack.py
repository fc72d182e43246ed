"""A cluster's Pulumi stack and its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from firestorm.clusters.files import write_private
from firestorm.clusters.life import Life
from firestorm.clusters.stack import Stack
from tests.components.clusters.standing_in import (
    calls,
    lock_file,
)


def test_a_stack_is_made_once(life: Life, home: Path) -> None:
    life.stack.configure({"workers": []})
    assert calls(home) == ["stack init"]
    assert yaml.safe_load(life.stack_config.read_text()) == {
        "encryptionsalt": "v1:salt", "config": {"firestorm:workers": []},
    }  # fmt: skip


HALVES = [
    ("configuration lost", {"checkpoint": {"latest": {"secrets_providers": {"state": {"salt": "v1:s"}}}}}, "v1:s", 0),
    ("made and never used", {"checkpoint": {"latest": None}}, "v1:salt", 1),
    ("configuration without a state", None, "v1:salt", 1),
]


@pytest.mark.parametrize(("state", "salt", "made"), [case[1:] for case in HALVES], ids=[case[0] for case in HALVES])
def test_a_stack_that_was_made_by_half(home: Path, state: object, salt: str, made: int) -> None:
    stack = Stack(name="dev", home=home)
    (home / "calls").touch()
    if state is None:
        stack.config.write_text("encryptionsalt: v1:other\n")
    else:
        stack.checkpoint.parent.mkdir(parents=True)
        stack.checkpoint.write_text(json.dumps(state))
    stack.ensure()
    assert yaml.safe_load(stack.config.read_text())["encryptionsalt"] == salt
    assert calls(home).count("stack init") == made


def test_a_lock_that_cancel_does_not_remove(life: Life, home: Path) -> None:
    assert not life.stack.unlock()
    path = lock_file(home)
    path.with_suffix(".json.attrs").touch()
    (path.parent / "1.json").touch()
    assert life.stack.unlock()
    assert list(path.parent.iterdir()) == []


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    write_private(path, "old")
    with pytest.raises(TypeError):
        write_private(path, 5)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
