"""`firestorm up|plan|status|kubeconfig|exec|collect`, with a program in Pulumi's place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from firestorm.cli import main
from tests.components.clusters.standing_in import COMPONENTS, LAB, SPEC, calls

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def spec(tmp_path: Path, outputs: object) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def up(spec: Path, capsys: Capture) -> Path:
    """The kubeconfig of a cluster `dev` that is up."""
    assert main(["up", "--spec", str(spec), "--output", "json"]) == 0
    return Path(json.loads(capsys.readouterr().out)["kubeconfig"])


def test_up_for_people(spec: Path, capsys: Capture) -> None:
    assert main(["up", "one", "--spec", str(spec), "--ttl", "2h"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NODE", "ROLE", "ADDRESS", "STATE", "KUBERNETES"]
    assert lines[1].split() == ["dev-worker-0", "worker", "10.17.1.10", "Ready", "v1.36.4"]
    assert [line.split()[0] for line in lines[3:]] == ["API", "kubeconfig", "certificates", "expires"]
    assert "the first to expire is admin, on 2027-11-23" in lines[5]


def test_up_for_programs(spec: Path, capsys: Capture) -> None:
    assert main(["up", "one", "--spec", str(spec), "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {
        "name", "id", "state", "owner", "created", "expires", "held", "libvirt", "api", "kubeconfig", "nodes",
        "certificates",
    }  # fmt: skip
    assert (told["name"], told["state"], told["nodes"][0]["state"]) == ("one", "up", "Ready")
    assert Path(told["kubeconfig"]).stat().st_mode & 0o777 == 0o600


def test_an_up_that_names_no_spec_goes_on_with_the_last_one(spec: Path, up: Path, capsys: Capture) -> None:
    assert main(["up"]) == 0
    config = yaml.safe_load((up.parent / "Pulumi.dev.yaml").read_text())["config"]
    assert config["firestorm:controllers"] == {"memory": "2GiB"}


def test_a_wrong_spec_is_told_with_its_line(spec: Path, capsys: Capture) -> None:
    spec.write_text("workers:\n  - name: worker\n    cpus: many\n")
    assert main(["up", "--spec", str(spec)]) == 1
    err = capsys.readouterr().err
    assert "cluster.yaml:3:" in err
    assert "workers" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["up", "plan"])
def test_a_spec_that_is_not_there(command: str, home: Path, capsys: Capture) -> None:
    assert main([command, "--spec", "no-such.yaml"]) == 1
    assert "no-such.yaml" in capsys.readouterr().err


def test_the_status_of_a_cluster_whose_api_does_not_answer(up: Path, capsys: Capture) -> None:
    assert main(["status", "--output", "json"]) == 1
    [node] = json.loads(capsys.readouterr().out)["nodes"]
    assert node["state"].startswith("unknown: ")


@pytest.mark.parametrize("command", ["status", "kubeconfig", "collect"])
def test_which_cluster_is_meant(command: str, home: Path, tmp_path: Path, capsys: Capture) -> None:
    words = [command, *([str(tmp_path / "evidence")] if command == "collect" else [])]
    assert main(words) == 1
    assert main([*words, "other"]) == 1
    assert capsys.readouterr().err == (
        "error: there is no cluster: `firestorm up` makes one\n"
        "error: there is no cluster other; there are: none\n"
    )  # fmt: skip


def test_several_clusters_have_to_be_told_apart(spec: Path, up: Path, capsys: Capture) -> None:
    assert main(["up", "two", "--spec", str(spec)]) == 0
    assert main(["kubeconfig"]) == 1
    assert "which cluster is meant: dev, two?" in capsys.readouterr().err


def test_the_kubeconfig_and_its_path(up: Path, capsys: Capture) -> None:
    assert main(["kubeconfig"]) == 0
    assert main(["kubeconfig", "dev", "--path"]) == 0
    assert capsys.readouterr().out == f"{up.read_text()}{up}\n"


def test_a_kubeconfig_is_merged_and_taken_out_again(
    up: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "kube" / "config"
    monkeypatch.setenv("KUBECONFIG", f"{user}{os.pathsep}/other")
    assert main(["kubeconfig", "--merge"]) == 0
    assert user.stat().st_mode & 0o777 == 0o600
    foreign = {"name": "work", "cluster": {"server": "https://work"}}
    whole = yaml.safe_load(user.read_text())
    whole["clusters"].insert(0, foreign)
    user.write_text(yaml.safe_dump(whole))
    for _ in range(2):  # again changes nothing
        assert main(["kubeconfig", "--merge"]) == 0
        whole = yaml.safe_load(user.read_text())
        assert [entry["name"] for entry in whole["clusters"]] == ["work", "firestorm-dev"]
        assert [entry["name"] for entry in whole["users"]] == ["firestorm-dev"]
        assert whole["contexts"] == [
            {"name": "firestorm-dev", "context": {"cluster": "firestorm-dev", "user": "firestorm-dev"}}
        ]
        assert whole["current-context"] == "firestorm-dev"
    capsys.readouterr()
    assert main(["down", "dev"]) == 0
    assert f"ended the context firestorm-dev in {user}" in capsys.readouterr().out
    left = yaml.safe_load(user.read_text())
    assert (left["clusters"], left["users"], left["contexts"], left["current-context"]) == ([foreign], [], [], "")


def test_an_entry_of_another_cluster_stays(up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(user))
    assert main(["kubeconfig", "--merge"]) == 0
    other = user.read_text().replace("127.0.0.1:1", "127.0.0.1:2")
    user.write_text(other)
    assert main(["down", "dev"]) == 0
    assert user.read_text() == other


@pytest.mark.parametrize(("content", "text"), [("[1, 2", "cannot be read"), ("- a", "no kubeconfig")])
def test_a_file_that_is_no_kubeconfig_stays(
    up: Path, content: str, text: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "config"
    user.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(user))
    assert main(["kubeconfig", "--merge"]) == 1
    assert text in capsys.readouterr().err
    assert main(["down", "dev"]) == 0
    assert user.read_text() == content


def test_a_kubeconfig_that_another_program_changes(
    up: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from firestorm.clusters import kubeconfigs

    monkeypatch.setattr(kubeconfigs, "_PATIENCE", 0.1)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    (tmp_path / "config.lock").touch()
    assert main(["kubeconfig", "--merge"]) == 1
    assert "another program changes" in capsys.readouterr().err


def firestorm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "firestorm.cli", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (COMPONENTS, LAB)))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_command_runs_on_the_cluster(up: Path) -> None:
    done = firestorm("exec", "--", "sh", "-c", 'echo "$KUBECONFIG $FIRESTORM_CLUSTER"; exit 7')
    assert (done.stdout, done.returncode) == (f"{up} dev\n", 7)
    assert firestorm("exec", "dev", "--", "true").returncode == 0


def test_a_command_that_cannot_be_run(up: Path, tmp_path: Path) -> None:
    assert firestorm("exec").returncode == 2
    done = firestorm("exec", "--", "no-such-program")
    assert (done.returncode, done.stderr) == (127, "error: no-such-program cannot be run: No such file or directory\n")
    assert firestorm("exec", "--", str(tmp_path)).returncode == 126


def test_a_plan_tells_of_configs_by_meaning_and_changes_nothing(
    spec: Path, up: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "motd.bu").write_text(
        "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n"
        "    - {path: /etc/motd, mode: 0644, contents: {inline: hello}}\n"
    )
    before = (up.parent / "Pulumi.dev.yaml").read_text()
    changed = tmp_path / "changed.yaml"
    changed.write_text(SPEC.replace("memory: 2GiB", "memory: 2GiB, snippets: [motd.bu]"))
    capsys.readouterr()
    assert main(["plan", "--spec", str(changed)]) == 0
    out = capsys.readouterr().out
    assert "config of dev-controller-0:" in out
    assert "+ file /etc/motd\n    contents: hello\n" in out
    assert (up.parent / "Pulumi.dev.yaml").read_text() == before
    assert calls(up.parent)[-1] == "preview"
    assert main(["plan"]) == 0
    assert "config of" not in capsys.readouterr().out


def test_a_plan_of_a_new_cluster_leaves_nothing(spec: Path, home: Path) -> None:
    home.rmdir()
    assert main(["plan", "new", "--spec", str(spec)]) == 0
    assert not (home.parent / "new").exists()


def test_evidence_is_collected_and_its_summary_printed(up: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["collect", str(tmp_path / "evidence")]) == 0
    assert capsys.readouterr().out == (tmp_path / "evidence" / "summary.md").read_text()
