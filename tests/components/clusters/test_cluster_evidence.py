"""What of a cluster's home goes into the evidence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from firestorm import spec
from firestorm.clusters.evidence import subject
from firestorm.clusters.life import Life
from firestorm.pki import request_for
from firestorm.pki.issue import issue
from firestorm.platforms.libvirt.naming import LibvirtNames
from tests.components.clusters.standing_in import exported

DOCUMENT: dict[str, Any] = {"name": "dev", "workers": [{"name": "w"}], "platform": {"libvirt": {"api_port": 7443}}}


def secret(value: object) -> dict[str, str]:
    """As a state has it that was exported with its secrets in the clear."""
    return {
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
        "plaintext": json.dumps(value),
    }


def test_a_cluster_that_did_not_come_up(life: Life, home: Path) -> None:
    life.stack.configure(DOCUMENT)
    parsed = spec.parse(DOCUMENT)
    bundle = issue(request_for(parsed), None, datetime.now(UTC)).to_json()
    urn = "urn:pulumi:dev::firestorm::firestorm:index:Cluster$pulumi-python:dynamic/firestorm"
    config = {"ignition": {"version": "3.4.0"}}
    exported(
        home,
        {"type": "pulumi-python:dynamic/firestorm:ClusterPki", "urn": f"{urn}:ClusterPki::dev-pki",
         "outputs": {"bundle": secret(bundle), "expires": {"ca": "2036-01-01"}}},
        {"type": "pulumi-python:dynamic/firestorm:SealedConfig", "urn": f"{urn}:SealedConfig::dev-w-0-config",
         "outputs": {"content": secret(json.dumps(config)), "identity": "x"}},
        {"type": "x", "urn": "y", "outputs": {"list": [secret({"token": "abc", "wide": True})]}},
    )  # fmt: skip
    found = subject(home, error="the worker stays away")
    names = LibvirtNames.of(parsed)
    assert [(node.name, node.role, node.console) for node in found.nodes] == [
        ("dev-controller-0", "controller", Path(names.console("dev-controller-0"))),
        ("dev-w-0", "worker", Path(names.console("dev-w-0"))),
    ]
    assert found.configs == {"dev-w-0": json.dumps(config)}
    assert found.secrets == {bundle, json.dumps(config), json.dumps({"token": "abc", "wide": True})}
    assert found.error == "the worker stays away"
    assert found.kubeconfig is not None
    assert found.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(found.kubeconfig.read_text())["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:7443"


def test_a_cluster_of_which_nothing_was_made(home: Path) -> None:
    found = subject(home, error="too little memory")
    assert (found.name, found.nodes, found.kubeconfig, found.error) == ("dev", (), None, "too little memory")
