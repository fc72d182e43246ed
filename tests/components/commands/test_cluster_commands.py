"""`firestorm list|down|extend|hold|gc` on clusters of the test's own, of which there is nothing but the record."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from firestorm.cli import main
from firestorm.clusters import Clusters, record
from firestorm.clusters.record import ClusterRecord

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("FIRESTORM_REGISTER", str(tmp_path / "register"))
    return tmp_path / "state" / "firestorm"


def make(homes: Path, name: str, **changes: object) -> ClusterRecord:
    home = homes / name
    home.mkdir(parents=True)
    made = replace(
        ClusterRecord.new(name, home, timedelta(hours=1)),
        **{"id": "0123456789abcdef", "owner": "me@here", "created": CREATED, "state": "up", "keeper": None, **changes},  # type: ignore[arg-type]
    )
    record.write(made)
    return made


def test_no_clusters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert main(["list", "--output", "json"]) == 0
    assert main(["gc"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("[]\nnothing to end\n", "no clusters\n")


def test_a_list_for_people_and_one_for_programs(homes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(homes, "one", expires=CREATED + timedelta(hours=4))
    make(homes, "two", expires=None, state="failed")
    make(homes, "three", held=True)
    assert main(["list"]) == 0
    assert capsys.readouterr().out == (
        "NAME   STATE   OWNER    CREATED               EXPIRES\n"
        "one    up      me@here  2026-01-02T03:04:05Z  2026-01-02T07:04:05Z\n"
        "three  up      me@here  2026-01-02T03:04:05Z  held\n"
        "two    failed  me@here  2026-01-02T03:04:05Z  never\n"
    )
    assert main(["list", "--output=json"]) == 0
    assert json.loads(capsys.readouterr().out)[0] == {
        "name": "one",
        "id": "0123456789abcdef",
        "state": "up",
        "owner": "me@here",
        "created": "2026-01-02T03:04:05Z",
        "expires": "2026-01-02T07:04:05Z",
        "held": False,
        "libvirt": "",
    }


def test_a_cluster_is_held_let_go_and_extended(homes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(homes, "one", expires=CREATED)
    assert main(["hold", "one"]) == 0
    assert Clusters().get("one").held
    assert main(["hold", "one", "--off"]) == 0
    assert not Clusters().get("one").held
    assert main(["extend", "one", "2d"]) == 0
    expires = Clusters().get("one").expires
    assert expires is not None
    assert timedelta(days=1, hours=23) < expires - datetime.now(UTC) <= timedelta(days=2)
    assert capsys.readouterr().out.count("one ") == 3


@pytest.mark.parametrize("command", [["extend", "no-such", "1h"], ["hold", "no-such"]])
def test_a_cluster_that_is_not_there(homes: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    make(homes, "one")
    assert main(command) == 1
    assert capsys.readouterr().err == "error: there is no cluster no-such; there are: one\n"


@pytest.mark.parametrize("text", ["", "1", "h", "0h", "-1h", "1.5h", "1w", "999999m"])
def test_what_is_no_duration(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["extend", "one", "--", text])
    assert re.search(r"no duration|required", capsys.readouterr().err)


def test_gc_says_what_it_would_end_and_ends_it(homes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(homes, "old", expires=CREATED)
    make(homes, "new")
    assert main(["gc", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("would end old: ")
    assert "new" not in said
    assert (homes / "old").exists()
    assert main(["gc"]) == 0
    assert [path.name for path in homes.iterdir()] == ["new"]
