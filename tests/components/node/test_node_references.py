"""Every config of every operating system and role before the real Butane and the real Ignition.

The programs are named by FIRESTORM_BUTANE, FIRESTORM_IGNITION_VALIDATE and FIRESTORM_IGNITION_MERGE, or are on PATH;
without them these tests fail.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import firestorm.node
import firestorm_butane
from firestorm.node import Layer, NodeConfig, compile_layers
from firestorm.node.identity import node_layers
from firestorm.pki import Pki
from firestorm.spec.model import ClusterSpec
from tests.components.node.node_configs import MakeCluster, each_machine, node_of

TOKEN = "abcdef.0123456789abcdef"
PROGRAMS = {
    "butane": "FIRESTORM_BUTANE",
    "ignition-validate": "FIRESTORM_IGNITION_VALIDATE",
    "ignition-merge": "FIRESTORM_IGNITION_MERGE",
}


def run(program: str, *arguments: str, stdin: str | None = None) -> str:
    """What the reference printed. Fails with its words if it is missing or refuses."""
    found = os.environ.get(PROGRAMS[program]) or shutil.which(program)
    assert found, f"the reference {program} is needed: set {PROGRAMS[program]} or put it on PATH"
    done = subprocess.run([found, *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{program} refuses:\n{done.stderr}{done.stdout}"
    # ignition-validate reports warnings and keeps its status at 0.
    assert done.stderr == ""
    return done.stdout


def layers_of(spec: ClusterSpec, role: str, pki: Pki) -> tuple[Layer, ...]:
    return node_layers(spec, node_of(spec, role), pki, TOKEN)


def butane(layer: Layer, directory: Path) -> dict[str, Any]:
    """The layer compiled by the real Butane, its files in a directory."""
    folder = layer.files_dir
    if folder is None:
        folder = directory
        for name, content in layer.files.items():
            (folder / name).write_text(content)
    result: dict[str, Any] = json.loads(run("butane", "--strict", "--files-dir", str(folder), stdin=layer.content))
    return result


def merged(configs: Sequence[dict[str, Any]], directory: Path) -> dict[str, Any]:
    """The configs merged one after the other by the real Ignition."""
    result = configs[0]
    for config in configs[1:]:
        parent, child = directory / "parent.ign", directory / "child.ign"
        parent.write_text(json.dumps(result))
        child.write_text(json.dumps(config))
        result = json.loads(run("ignition-merge", str(parent), str(child)))
    return result


@each_machine
def test_every_layer_compiles_as_the_real_butane_compiles_it(
    with_snippet: MakeCluster, pki: Pki, tmp_path: Path, system: str, role: str
) -> None:
    expected = ["worker.bu", f"{system}.bu", f"demo-{role}-0 (rendered)", str(tmp_path / "team.bu")]
    if role == "controller":
        expected.insert(1, "controller.bu")
    layers = layers_of(with_snippet(system), role, pki)
    assert [layer.name for layer in layers] == expected
    for layer in layers:
        ours = compile_layers([layer])
        assert (layer.name, ours.warnings) == (layer.name, ())
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        assert ours.ignition == butane(layer, folder)


@each_machine
def test_the_whole_config_is_what_the_real_ignition_merges_and_accepts(
    with_snippet: MakeCluster, pki: Pki, tmp_path: Path, system: str, role: str
) -> None:
    layers = layers_of(with_snippet(system), role, pki)
    ours = compile_layers(layers)
    assert ours.ignition == merged([compile_layers([layer]).ignition for layer in layers], tmp_path)
    assert ours.warnings == ()

    config = tmp_path / "config.ign"
    config.write_text(ours.json)
    run("ignition-validate", str(config))


def test_the_real_validation_can_refuse(tmp_path: Path) -> None:
    config = tmp_path / "config.ign"
    broken = NodeConfig(
        ignition={"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "etc/x"}]}}, warnings=()
    )
    config.write_text(broken.json)
    with pytest.raises(AssertionError, match="path not absolute"):
        run("ignition-validate", str(config))


def test_roles_compile_by_themselves_as_a_person_would_try_them() -> None:
    """A role's file names a variant and version of its own, so that Butane's tools take it as it lies in the tree."""
    node = Path(firestorm.node.__file__).parent
    local = {path.name: path.read_bytes() for folder in ("units", "files") for path in (node / folder).iterdir()}
    for file in (*(node / "roles").iterdir(), *(node / "os").iterdir()):
        result = firestorm_butane.translate(file.read_text(), name=file.name, files=local)
        assert (file.name, str(result.report)) == (file.name, "")
