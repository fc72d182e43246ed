from __future__ import annotations

import dataclasses
import ipaddress
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from firestorm.errors import PkiError
from firestorm.pki import Pki, PkiNode, PkiRequest, request_for
from firestorm.spec.model import ClusterSpec, Libvirt, Network, NodePool, OsImage

IMAGE = OsImage(name="debian", channel="trixie")


def pool(name: str, count: int, block: int) -> NodePool:
    return NodePool(
        name=name,
        role="controller" if name == "controller" else "worker",
        count=count,
        cpus=2,
        memory=2048,
        disk=10,
        os=IMAGE,
        block=block,
    )


def test_the_request_of_a_cluster() -> None:
    spec = ClusterSpec(
        name="demo",
        kubernetes="1.36.4",
        network=Network(
            nodes=ipaddress.IPv4Network("10.17.0.0/16"),
            pods=ipaddress.IPv4Network("10.18.0.0/16"),
            services=ipaddress.IPv4Network("10.19.0.0/16"),
            domain="example.internal",
        ),
        controllers=pool("controller", 1, 0),
        workers=(pool("worker", 1, 1), pool("big", 1, 2)),
        platform=Libvirt(uri="qemu:///system"),
        pki_generation=3,
    )
    assert request_for(spec) == PkiRequest(
        cluster="demo",
        api_names=(
            "demo.firestorm.internal",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.example.internal",
            "localhost",
        ),
        api_addresses=("10.19.0.1", "127.0.0.1"),
        controllers=(PkiNode(name="demo-controller-0", address="10.17.0.10"),),
        nodes=(
            PkiNode(name="demo-controller-0", address="10.17.0.10"),
            PkiNode(name="demo-worker-0", address="10.17.1.10"),
            PkiNode(name="demo-big-0", address="10.17.2.10"),
        ),
        domain="example.internal",
        generation=3,
    )


def test_a_request_survives_json_and_pulumi_numbers(demo: PkiRequest) -> None:
    data = json.loads(json.dumps(demo.to_dict()))
    data["generation"] = float(data["generation"])
    assert PkiRequest.from_dict(data) == demo


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"cluster": ...}, "KeyError('cluster')"),
        ({"nodes": [{"name": "a"}]}, "KeyError('address')"),
        ({"generation": "x"}, """ValueError("invalid literal for int() with base 10: 'x'")"""),
    ],
)
def test_an_unreadable_request_is_explained(demo: PkiRequest, damage: dict[str, Any], reason: str) -> None:
    data = {key: value for key, value in (demo.to_dict() | damage).items() if value is not ...}
    with pytest.raises(PkiError) as caught:
        PkiRequest.from_dict(data)
    assert str(caught.value) == (
        f"the PKI request in the Pulumi state cannot be read ({reason}); it was written by another version of "
        "Firestorm or edited by hand: restore the state from a backup"
    )


def test_a_bundle_survives_json(issued: Pki) -> None:
    assert Pki.from_json(issued.to_json()) == issued


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("top-secret", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "KeyError"),
        ('{"format": 2}', "ValueError"),
        ('{"format": 1, "request": {}}', None),
    ],
)
def test_an_unreadable_bundle_is_explained_without_its_content(text: str, reason: str | None) -> None:
    with pytest.raises(PkiError) as caught:
        Pki.from_json(text)
    assert "top-secret" not in str(caught.value)
    assert caught.value.__cause__ is None or reason is None
    if reason is not None:
        assert str(caught.value) == (
            f"the PKI bundle in the Pulumi state cannot be read ({reason}); it was written by another version of "
            "Firestorm or edited by hand: restore the state from a backup"
        )


def test_expiries(issued: Pki) -> None:
    authorities = {f"ca/{name}": datetime(2036, 2, 29, 12, 30, 15, tzinfo=UTC) for name in issued.authorities}
    leaves = dict.fromkeys(issued.leaves, datetime(2027, 3, 1, 12, 30, 15, tzinfo=UTC))
    assert issued.expiries() == authorities | leaves


def test_a_node_the_pki_does_not_know(issued: Pki) -> None:
    with pytest.raises(PkiError, match="the PKI holds no certificate apiserver/other: it was issued for other nodes"):
        issued.leaf("apiserver", "other")


def test_a_placeholder_has_the_same_shape_and_no_key(demo: PkiRequest, issued: Pki) -> None:
    placeholder = Pki.placeholder(demo)
    assert placeholder == Pki.placeholder(demo)
    assert placeholder.authorities.keys() == issued.authorities.keys()
    assert list(placeholder.leaves) == list(issued.leaves)
    assert Pki.from_json(placeholder.to_json()) == placeholder
    assert "-----BEGIN" not in placeholder.to_json()
    assert placeholder.leaf("kubelet-server", "demo-worker-0").key == (
        "firestorm placeholder key, generation 1: server by kubernetes: "
        "CN=system:node:demo-worker-0 O=system:nodes DNS=demo-worker-0 IP=10.17.1.10\n"
    )
    with pytest.raises(PkiError, match="the PKI of cluster demo holds an unreadable certificate"):
        placeholder.expiries()


def test_a_placeholder_changes_where_the_certificate_would(demo: PkiRequest) -> None:
    before = Pki.placeholder(demo)
    extended = dataclasses.replace(demo, nodes=(*demo.nodes, PkiNode(name="demo-worker-1", address="10.17.1.11")))
    after = Pki.placeholder(extended)
    assert {name: after.leaves[name] for name in before.leaves} == before.leaves
    assert after.authorities == before.authorities

    renamed = Pki.placeholder(dataclasses.replace(demo, api_names=("other.firestorm.internal",)))
    changed = {name for name, pair in renamed.leaves.items() if pair != before.leaves[name]}
    assert changed == {"apiserver/demo-controller-0"}

    renewed = Pki.placeholder(dataclasses.replace(demo, generation=2))
    assert {name for name, pair in renewed.leaves.items() if pair == before.leaves[name]} == set()
    assert renewed.encryption_key != before.encryption_key
