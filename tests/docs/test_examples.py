"""Every example is run: the cluster's file parsed, the stack's program under mocks, the compiler for real."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pulumi
import pytest
import yaml

from firestorm import spec
from firestorm.cli import separated
from firestorm.commands.parser import parser
from tests.components.pulumi_engine import start

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_there_is_nothing_that_is_not_run() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {"butane", "ci", "dev", "stack"}


def test_each_says_in_a_few_lines_what_it_is() -> None:
    for readme in EXAMPLES.glob("*/README.md"):
        prose = readme.read_text().split("```")[0]
        assert len(prose.strip().splitlines()) <= 5, readme
        assert "```sh" in readme.read_text()


def test_the_development_cluster() -> None:
    cluster = spec.load(EXAMPLES / "dev/cluster.yaml")
    assert [node.name for node in cluster.nodes] == ["dev-controller-0", "dev-worker-0"]
    assert cluster.workers[0].labels == {"team": "blue"}


@pytest.mark.parametrize(("config", "workers"), [({}, 2), ({"firestorm-example:workers": "3"}, 3)])
def test_the_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: dict[str, str], workers: int) -> None:
    engine = start(monkeypatch, tmp_path, project="firestorm-example")
    pulumi.runtime.set_all_config(config)
    try:
        engine.run(lambda: runpy.run_path(str(EXAMPLES / "stack/__main__.py"), run_name="__main__"))
    finally:
        pulumi.runtime.set_all_config({})
    machines = set(engine.named("libvirt:index/domain:Domain"))
    assert machines == {"shop-controller-0", *(f"shop-general-{n}" for n in range(workers)), "shop-batch-0"}
    assert set(engine.exports) == {"kubeconfig", "nodes", "expires"}
    assert engine.warnings == []
    sealed = engine.named("SealedConfig")
    assert "proxy.example" in str(sealed["shop-general-0-config"].inputs)
    assert "proxy.example" not in str(sealed["shop-batch-0-config"].inputs)


def compile_butane(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "butane/compile.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_butane() -> None:
    done = compile_butane()
    assert (done.returncode, done.stderr) == (0, "")
    unit = (EXAMPLES / "butane/hello.service").read_text()
    assert json.loads(done.stdout) == {
        "ignition": {"version": "3.4.0"},
        "storage": {
            "files": [{"path": "/etc/hostname", "mode": 0o644, "contents": {"compression": "", "source": "data:,one"}}]
        },
        "systemd": {"units": [{"name": "hello.service", "enabled": True, "contents": unit}]},
    }


def test_butane_tells_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "wrong.bu"
    file.write_text("variant: fcos\nversion: 1.5.0\nstorage: {files: [{path: hostname}]}\n")
    done = compile_butane(str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("wrong.bu:3:26: error: ")


CI = EXAMPLES / "ci"


def test_the_ci_cluster() -> None:
    document = yaml.safe_load((CI / "cluster.yaml").read_text())
    cluster = spec.parse({"name": "ci", **document})
    assert [(node.role, node.pool.taints) for node in cluster.nodes] == [("controller", ())]


def scripts() -> dict[str, str]:
    """The shell lines of the files for CI systems and make."""
    github = yaml.safe_load((CI / "github-actions.yaml").read_text())
    gitlab = yaml.safe_load((CI / "gitlab-ci.yml").read_text())["greeter"]
    targets = re.findall(r"^([a-z]+): ## ", (CI / "Makefile").read_text(), re.MULTILINE)
    made = subprocess.run(
        ["make", "--dry-run", "--directory", str(CI), *targets], capture_output=True, text=True, check=True, timeout=30
    )
    return {
        "github": "\n".join(step.get("run", "") for step in github["jobs"]["greeter"]["steps"]),
        "gitlab": "\n".join(line for key in ("before_script", "script", "after_script") for line in gitlab[key]),
        "make": "\n".join(line for line in made.stdout.splitlines() if not line.startswith("make")),
    }


@pytest.mark.parametrize("system", ["github", "gitlab", "make"])
def test_files_for_ci_systems_call_commands_that_there_are(system: str) -> None:
    text = scripts()[system]
    subprocess.run(["bash", "-n"], input=text, text=True, check=True, timeout=10)
    calls = re.findall(r"^.*\bfirestorm ((?:ci|gc|doctor|up|down)\b.*)$", text, re.MULTILINE)
    assert any(call.startswith("ci run") for call in calls)
    assert any(call.startswith("gc") for call in calls)
    for call in calls:
        given, command = separated(shlex.split(call))
        parser().parse_args(given)
        assert command[:1] == (["pytest"] if given[0] == "ci" else [])


def test_the_operator_answers() -> None:
    """Its rule; tests/end_to_end/test_ci.py has it run on a cluster."""
    operator = runpy.run_path(str(CI / "greeter.py"))
    assert operator["answer"]({"spec": {"name": "Ada"}}) == {"message": "Hello, Ada!"}
    crd = yaml.safe_load((CI / "crd.yaml").read_text())
    assert crd["metadata"]["name"] == f"{crd['spec']['names']['plural']}.{crd['spec']['group']}"
