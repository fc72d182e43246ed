"""The resource's pure parts, and its wait with a scripted API."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from firestorm import provider
from firestorm.errors import ReadinessError
from firestorm.readiness import api
from firestorm.readiness.observation import ApiState, NodeStatus
from firestorm.readiness.resource import (
    PROGRESS_FILE,
    ReadinessProvider,
    fingerprint,
    gone_nodes,
    is_changed,
    members_of,
    wait_for_cluster,
)

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What Pulumi's SDK puts in the place of a value that is not known yet (pulumi.runtime.rpc.UNKNOWN)."""


def token(expiration: str, secret: str = "f395accd246ae52d") -> dict[str, Any]:
    data = {"token-id": "07401b", "token-secret": secret, "expiration": expiration}
    return {"kind": "Secret", "type": "bootstrap.kubernetes.io/token", "stringData": data}


def properties(**changes: Any) -> dict[str, Any]:
    nodes = [
        {"name": "dev-controller-0", "role": "controller", "identity": "i0", "uuid": "AA", "console": None},
        {"name": "dev-worker-0", "role": "worker", "identity": "i1", "uuid": "bb", "console": "/x"},
    ]
    manifests = json.dumps([token("2026-11-24T18:00:00Z"), {"kind": "ConfigMap", "data": {"a": "1"}}])
    return {"kubeconfig": "kc", "manifests": manifests, "nodes": nodes, "timeout": 1800.0} | changes


def with_node(index: int, **changes: Any) -> dict[str, Any]:
    nodes = properties()["nodes"]
    nodes[index] |= changes
    return properties(nodes=nodes)


def with_manifests(*manifests: dict[str, Any]) -> dict[str, Any]:
    return properties(manifests=json.dumps(manifests))


OLD: dict[str, Any] = {"applied": fingerprint(properties()), "api_version": "v1.36.4"}
SETTINGS = {"kind": "ConfigMap", "data": {"a": "1"}}
CHANGES = [
    ("nothing", properties(), False),
    (
        "the order of keys",
        with_manifests(token("2026-11-24T18:00:00Z"), {"data": {"a": "1"}, "kind": "ConfigMap"}),
        False,
    ),
    ("the token's expiry", with_manifests(token("2027-01-01T00:00:00Z"), SETTINGS), False),
    ("the console's path", with_node(1, console="/y"), False),
    ("the UUID's case", with_node(1, uuid="BB"), False),
    ("the timeout", properties(timeout=60.0), False),
    ("the token", with_manifests(token("2026-11-24T18:00:00Z", "0123456789abcdef"), SETTINGS), True),
    ("a manifest", with_manifests(token("2026-11-24T18:00:00Z"), {"kind": "ConfigMap", "data": {"a": "2"}}), True),
    ("the kubeconfig", properties(kubeconfig="other"), True),
    ("an identity", with_node(1, identity="i2"), True),
    ("a machine", with_node(1, uuid="cc"), True),
    ("a node less", properties(nodes=properties()["nodes"][:1]), True),
    ("unknown machine", with_node(1, uuid=UNKNOWN), True),
    ("unknown manifests", properties(manifests=UNKNOWN), True),
    ("unknown nodes", properties(nodes=UNKNOWN), True),
]


@pytest.mark.parametrize(("news", "changed"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_what_makes_an_update(news: dict[str, Any], changed: bool) -> None:
    assert is_changed(OLD, news) is changed
    assert ReadinessProvider().diff("id", OLD, news).changes is changed


def test_state_holds_hashes_where_the_inputs_are_secret() -> None:
    found = fingerprint(properties())
    assert found["nodes"] == {"dev-controller-0": ["controller", "i0", "aa"], "dev-worker-0": ["worker", "i1", "bb"]}
    assert found["kubeconfig"] == hashlib.sha256(b"kc").hexdigest()
    assert re.fullmatch(r"[0-9a-f]{64}", found["manifests"])


def test_nodes_that_are_gone() -> None:
    assert gone_nodes(OLD, properties(nodes=properties()["nodes"][:1])) == ("dev-worker-0",)
    assert gone_nodes({}, properties()) == ()
    assert gone_nodes(OLD, properties()) == ()
    replaced = properties()["nodes"]
    replaced[0]["uuid"], replaced[1]["uuid"] = "new-controller", "new-worker"
    assert gone_nodes(OLD, properties(nodes=replaced)) == ("dev-worker-0",)


class ScriptedCluster:
    """Stands for `firestorm.readiness.api.Cluster`: each state once, the last one for good."""

    states: list[ApiState]
    calls: list[Any]

    @classmethod
    def from_kubeconfig(cls, kubeconfig: str) -> ScriptedCluster:
        cls.calls.append(kubeconfig)
        return cls()

    def __enter__(self) -> ScriptedCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.append("closed")

    def state(self) -> ApiState:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def apply(self, manifests: list[Any], *, wait: Any) -> None:
        self.calls.append(("apply", len(manifests)))

    def becomes_ready(self, *, wait: Any) -> bool:
        return self.state().ready

    def label_control_plane(self, names: Any, wait: Any) -> None:
        self.calls.append(("label", *names))

    def delete_nodes(self, names: Any, wait: Any) -> None:
        self.calls.append(("delete", *names))

    def delete_pods_of(self, names: Any, wait: Any) -> None:
        self.calls.append(("delete pods of", *names))

    def version(self) -> str:
        return "v1.36.4"


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedCluster]:
    ScriptedCluster.calls, ScriptedCluster.states = [], []
    monkeypatch.setattr(api, "Cluster", ScriptedCluster)
    return ScriptedCluster


def up() -> ApiState:
    details: Any = {"version": "v1.36.4", "os_image": "Debian", "kernel": "6.12", "runtime": "containerd://2.4.2"}
    nodes = [
        NodeStatus(name="dev-controller-0", ready=True, uuid="aa", address="192.0.2.10", **details),
        NodeStatus(name="dev-worker-0", ready=True, uuid="bb", address="192.0.2.20", **details),
        NodeStatus(name="dev-worker-9", ready=False, uuid="cc"),
    ]
    return ApiState(ready=True, nodes=tuple(nodes))


def test_outputs_and_progress(scripted: type[ScriptedCluster], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted.states = [ApiState(ready=True), ApiState(ready=True), up()]
    monkeypatch.setenv(PROGRESS_FILE, str(tmp_path / "progress"))
    nodes = properties()["nodes"]
    nodes[1]["console"] = str(tmp_path)
    outputs = wait_for_cluster(properties(nodes=nodes), gone=("dev-worker-9",))
    details = {"version": "v1.36.4", "os_image": "Debian", "kernel": "6.12", "runtime": "containerd://2.4.2"}
    assert outputs["node_table"] == [
        {"name": "dev-controller-0", "role": "controller", "address": "192.0.2.10", **details},
        {"name": "dev-worker-0", "role": "worker", "address": "192.0.2.20", **details},
    ]
    assert outputs["api_version"] == "v1.36.4"
    assert outputs["applied"] == fingerprint(properties())
    assert set(outputs["seconds"]) == {"booted", "ignition", "api", "nodes", "pods"}
    assert scripted.calls == [
        "kc",
        ("delete", "dev-worker-9"),
        ("delete pods of", "dev-worker-9"),
        ("apply", 2),
        ("label", "dev-controller-0"),
        "closed",
    ]
    lines = (tmp_path / "progress").read_text().splitlines()
    assert [line.partition(" s  ")[2] for line in lines] == [
        f"dev-worker-0: no console to read: {tmp_path}: Is a directory",
        "control plane up",
        "machines booted 2/2",
        "Ignition applied 2/2",
        "kubelet started 2/2",
        "manifests applied",
        "nodes Ready 2/2",
    ]


def test_cancellation_ends_the_wait(scripted: type[ScriptedCluster], monkeypatch: pytest.MonkeyPatch) -> None:
    scripted.states = [ApiState(error="Connection refused")]
    cancelled = threading.Event()
    cancelled.set()
    monkeypatch.setattr(provider, "CANCELLED", cancelled)
    with pytest.raises(ReadinessError, match="the wait for the cluster was stopped"):
        wait_for_cluster(properties(), gone=())
    assert scripted.calls[-1] == "closed"


def test_progress_file_that_cannot_be_written(
    scripted: type[ScriptedCluster], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scripted.states = [up()]
    monkeypatch.setenv(PROGRESS_FILE, str(tmp_path))
    with pytest.raises(ReadinessError) as caught:
        wait_for_cluster(properties(), gone=())
    assert str(caught.value) == f"{PROGRESS_FILE}: {tmp_path} cannot be written: Is a directory"


def test_members() -> None:
    controller, worker = members_of(properties())
    assert (controller.role, controller.console, worker.uuid, worker.console) == ("controller", None, "bb", "/x")
