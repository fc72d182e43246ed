"""What replaces a machine and what does not, and what a preview may know."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from firestorm.node import identity, node_config, preview_config
from firestorm.node.identity import PLACEHOLDER_TOKEN
from firestorm.pki import Pki, issue, request_for
from firestorm.spec.model import ClusterSpec
from tests.components.node.node_configs import MakeCluster, each_machine, files, node_of, text, texts

TOKEN = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")


def identities(spec: ClusterSpec, image: str = "image-1") -> dict[str, str]:
    return {node.name: identity(spec, node, preview_config(spec, node), image) for node in spec.nodes}


@each_machine
def test_rendering_is_deterministic(with_snippet: MakeCluster, pki: Pki, system: str, role: str) -> None:
    first, second = with_snippet(system), with_snippet(system)
    assert first == second
    node = node_of(first, role)
    assert preview_config(first, node).json == preview_config(second, node).json
    real = [node_config(spec, node, pki, "abcdef.0123456789abcdef").json for spec in (first, second)]
    assert real[0] == real[1]
    assert identities(first) == identities(second)
    assert re.fullmatch("[0-9a-f]{64}", identities(first)[node.name])


def test_keys_certificates_and_tokens_are_no_part_of_an_identity(cluster: MakeCluster, pki: Pki) -> None:
    """A renewed leaf or a new token changes what the node would be given, and not who it is."""
    spec = cluster()
    request = request_for(spec)
    renewed = dataclasses.replace(pki, leaves=issue(request, None, datetime.now(UTC) + timedelta(days=300)).leaves)
    for node in spec.nodes:
        preview = preview_config(spec, node)
        before = node_config(spec, node, pki, "abcdef.0123456789abcdef")
        after = node_config(spec, node, renewed, "fedcba.0123456789abcdef")
        assert before.json != after.json
        assert {path for path, _ in texts(before)} == {path for path, _ in texts(preview)}
    # `identity` is given a preview alone, which is made without any of them.
    assert identities(spec) == identities(cluster())


CONTROLLER, WORKER, OTHER = "demo-controller-0", "demo-worker-0", "demo-other-0"
BOTH = {CONTROLLER, WORKER}
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me"


def worker(**fields: Any) -> dict[str, Any]:
    return {"workers": [{"name": "worker", **fields}]}


@pytest.mark.parametrize(
    ("changes", "replaced"),
    [
        pytest.param(worker(labels={"team": "red"}), {WORKER}, id="worker label"),
        pytest.param(worker(taints=["gpu=yes:NoSchedule"]), {WORKER}, id="worker taint"),
        pytest.param(worker(snippets=["motd.bu"]), {WORKER}, id="worker snippet"),
        pytest.param({"controllers": {"snippets": ["motd.bu"]}}, {CONTROLLER}, id="controller snippet"),
        pytest.param({"controllers": {"labels": {"a": "b"}}}, {CONTROLLER}, id="controller label"),
        pytest.param({"kubernetes": {"version": "1.36.3"}}, BOTH, id="Kubernetes version"),
        pytest.param({"mirrors": {"registry.k8s.io": "https://hub.example"}}, BOTH, id="registry mirror"),
        pytest.param({"mirrors": {"https://dl.k8s.io": "https://hub.example"}}, BOTH, id="release mirror"),
        pytest.param({"ssh_authorized_keys": [SSH_KEY]}, BOTH, id="SSH key"),
        pytest.param({"pki_generation": 2}, BOTH, id="PKI generation"),
        pytest.param({"network": {"services": "10.4.0.0/16"}}, BOTH, id="Service network"),
        pytest.param({"domain": "other.internal"}, BOTH, id="API's domain"),
        # A disk of another size is another disk, which has to be named, sealed and given a token as such.
        pytest.param(worker(disk="40GiB"), {WORKER}, id="disk"),
        # The machine is made anew around the same disk.
        pytest.param(worker(memory="4GiB", cpus=4), set(), id="memory and processors"),
        pytest.param({"ready_timeout": "5m"}, set(), id="timeout"),
        pytest.param({"platform": {"libvirt": {"acceleration": "tcg"}}}, set(), id="acceleration"),
        # More machines are no reason to replace those that are there, and their certificates are their own.
        pytest.param({"workers": [{"name": "worker", "count": 3}]}, set(), id="larger pool"),
        pytest.param({"workers": [{"name": "worker"}, {"name": "other"}]}, set(), id="another pool"),
    ],
)
def test_what_replaces_a_machine(
    cluster: MakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], replaced: set[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("motd.bu").write_text(
        "variant: flatcar\nversion: 1.1.0\nstorage: {files: [{path: /etc/motd, contents: {inline: Hello}}]}\n"
    )
    before, after = identities(cluster()), identities(cluster(**changes))
    assert {name for name in before if before[name] != after[name]} == replaced


def test_a_file_that_a_snippet_names_is_part_of_the_identity(with_snippet: MakeCluster, tmp_path: Path) -> None:
    spec = with_snippet()
    before = identities(spec)
    (tmp_path / "greeting").write_text("Good morning\n")
    after = identities(spec)
    assert {name for name in before if before[name] != after[name]} == BOTH


def test_a_new_image_rolls_workers_and_leaves_controllers(cluster: MakeCluster) -> None:
    before, after = identities(cluster(), "image-1"), identities(cluster(), "image-2")
    assert {name for name in before if before[name] != after[name]} == {WORKER}


def test_no_two_machines_share_an_identity(cluster: MakeCluster) -> None:
    """The identity names the volumes."""
    spec = cluster(workers=[{"name": "worker", "count": 3}, {"name": "other", "count": 2}])
    assert len(set(identities(spec).values())) == 6


@each_machine
def test_a_preview_holds_no_secret(with_snippet: MakeCluster, pki: Pki, system: str, role: str) -> None:
    spec = with_snippet(system)
    node = node_of(spec, role)
    preview = dict(texts(preview_config(spec, node)))
    real = dict(texts(node_config(spec, node, pki, "abcdef.0123456789abcdef")))

    def leaks(found: dict[str, str], what: Callable[[str], bool]) -> set[str]:
        return {path for path, content in found.items() if what(content)}

    def has_pem(content: str) -> bool:
        return "-----BEGIN" in content or "LS0tLS1CRUdJTi" in content

    def has_token(content: str) -> bool:
        return bool(set(TOKEN.findall(content)) - {PLACEHOLDER_TOKEN})

    assert leaks(preview, has_pem) == set()
    assert leaks(preview, has_token) == set()
    # The same questions find what a real config holds, so they can be answered with yes.
    assert "/etc/kubernetes/kubelet/server.key" in leaks(real, has_pem)
    tokens = {"/etc/kubernetes/kubelet/bootstrap-kubeconfig"} if role == "worker" else set()
    assert leaks(real, has_token) == tokens


@each_machine
def test_keys_are_their_components_alone(cluster: MakeCluster, pki: Pki, system: str, role: str) -> None:
    """Every file with a private key, a token or the encryption key is 0400 and of the user that needs it."""
    spec = cluster(system)
    config = node_config(spec, node_of(spec, role), pki, "abcdef.0123456789abcdef")
    owners = {
        "kubelet": 0,
        "etcd": 2000,
        "kube-apiserver": 2001,
        "kube-controller-manager": 2002,
        "kube-scheduler": 2003,
    }
    secret = re.compile(r"PRIVATE KEY|client-key-data|token: |secretbox")
    found = set()
    for path, content in texts(config):
        if secret.search(content):
            file = files(config)[path]
            found.add(path)
            component = path.split("/")[3]
            assert (path, file["mode"], file.get("user", {}).get("id", 0)) == (path, 0o400, owners[component])
    assert "/etc/kubernetes/kubelet/server.key" in found
    authority = "/etc/kubernetes/kube-controller-manager/ca.key"
    assert (authority in found) == (role == "controller")


@each_machine
def test_a_node_knows_its_name_and_opens_no_ssh(cluster: MakeCluster, system: str, role: str) -> None:
    spec = cluster(system)
    config = preview_config(spec, node_of(spec, role))
    assert text(config, "/etc/hostname") == f"demo-{role}-0\n"
    assert "passwd" not in config.ignition
