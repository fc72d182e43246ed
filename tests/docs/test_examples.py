"""Every example is run: the cluster's file parsed, the stack's program under mocks, the compiler for real."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pulumi
import pytest

from firestorm import spec
from tests.components.pulumi_engine import start

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_there_is_nothing_that_is_not_run() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {"butane", "dev", "stack"}


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
