from __future__ import annotations

import base64
import dataclasses
import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from firestorm.errors import PkiError
from firestorm.pki import KeyPair, Pki, PkiNode, PkiRequest, issue

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
USAGES = {SERVER: "server", CLIENT: "client"}

# name: (issuer, common name, organizations, DNS names and addresses, usages)
API = ("demo.firestorm.internal", "kubernetes", "localhost", "10.19.0.1", "127.0.0.1", "10.17.0.10")
MACHINE = ("demo-controller-0", "10.17.0.10")
LEAVES = {
    "admin": ("kubernetes-ca", "kubernetes-admin", ("system:masters",), (), ("client",)),
    "apiserver/demo-controller-0": ("kubernetes-ca", "kube-apiserver", (), API, ("server",)),
    "apiserver-kubelet-client/demo-controller-0": (
        "kubernetes-ca",
        "kube-apiserver-kubelet-client",
        ("firestorm:kubelet-api-clients",),
        (),
        ("client",),
    ),
    "apiserver-etcd-client/demo-controller-0": ("etcd-ca", "kube-apiserver-etcd-client", (), (), ("client",)),
    "front-proxy-client/demo-controller-0": ("front-proxy-ca", "front-proxy-client", (), (), ("client",)),
    "controller-manager/demo-controller-0": (
        "kubernetes-ca",
        "system:kube-controller-manager",
        (),
        (),
        ("client",),
    ),
    "controller-manager-server/demo-controller-0": (
        "kubernetes-ca",
        "kube-controller-manager",
        (),
        ("kube-controller-manager.kube-system.svc",),
        ("server",),
    ),
    "scheduler/demo-controller-0": ("kubernetes-ca", "system:kube-scheduler", (), (), ("client",)),
    "scheduler-server/demo-controller-0": (
        "kubernetes-ca",
        "kube-scheduler",
        (),
        ("kube-scheduler.kube-system.svc",),
        ("server",),
    ),
    "etcd-server/demo-controller-0": ("etcd-ca", "demo-controller-0", (), MACHINE, ("server",)),
    "etcd-peer/demo-controller-0": ("etcd-ca", "demo-controller-0", (), MACHINE, ("server", "client")),
    "kubelet-client/demo-controller-0": (
        "kubernetes-ca",
        "system:node:demo-controller-0",
        ("system:nodes",),
        (),
        ("client",),
    ),
    "kubelet-server/demo-controller-0": (
        "kubernetes-ca",
        "system:node:demo-controller-0",
        ("system:nodes",),
        MACHINE,
        ("server",),
    ),
    "kubelet-server/demo-worker-0": (
        "kubernetes-ca",
        "system:node:demo-worker-0",
        ("system:nodes",),
        ("demo-worker-0", "10.17.1.10"),
        ("server",),
    ),
}


def load(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.encode())


def values(name: x509.Name, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(attribute.value) for attribute in name.get_attributes_for_oid(oid))


def description(certificate: x509.Certificate) -> tuple[object, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return (
        *values(certificate.issuer, NameOID.COMMON_NAME),
        *values(certificate.subject, NameOID.COMMON_NAME),
        values(certificate.subject, NameOID.ORGANIZATION_NAME),
        (
            *names.get_values_for_type(x509.DNSName),
            *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
        ),
        tuple(USAGES[usage] for usage in usages),
    )


def test_every_leaf_says_what_it_should(issued: Pki) -> None:
    assert {name: description(load(pair)) for name, pair in issued.leaves.items()} == LEAVES


def test_keys_are_p256_unique_and_belong_to_their_certificates(issued: Pki) -> None:
    pairs = [*issued.authorities.values(), *issued.leaves.values()]
    for pair in pairs:
        key = serialization.load_pem_private_key(pair.key.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert key.curve.name == "secp256r1"
        assert key.public_key() == load(pair).public_key()
        assert isinstance(load(pair).signature_hash_algorithm, hashes.SHA256)
    assert len({pair.key for pair in pairs}) == len(pairs)
    assert len({load(pair).serial_number for pair in pairs}) == len(pairs)


@pytest.mark.parametrize("name", ["kubernetes", "etcd", "front-proxy"])
def test_authorities(issued: Pki, name: str, now: datetime) -> None:
    certificate = load(issued.authorities[name])
    assert certificate.subject == certificate.issuer
    assert values(certificate.subject, NameOID.COMMON_NAME) == (f"{name}-ca",)
    assert values(certificate.subject, NameOID.ORGANIZATION_NAME) == ("demo",)
    assert {extension.oid: (extension.critical, extension.value) for extension in certificate.extensions} == {
        ExtensionOID.BASIC_CONSTRAINTS: (True, x509.BasicConstraints(ca=True, path_length=0)),
        ExtensionOID.KEY_USAGE: (True, key_usage(signs=True)),
        ExtensionOID.SUBJECT_KEY_IDENTIFIER: (
            False,
            x509.SubjectKeyIdentifier.from_public_key(public_key(certificate)),
        ),
    }
    start = datetime(2026, 3, 1, 11, 30, 15, tzinfo=UTC)
    assert certificate.not_valid_before_utc == start
    assert certificate.not_valid_after_utc == start + timedelta(hours=1, days=3652)


def test_leaves_are_bound_to_use_and_issuer(issued: Pki) -> None:
    for name, pair in issued.leaves.items():
        certificate = load(pair)
        authority = load(issued.authorities[LEAVES[name][0].removesuffix("-ca")])
        certificate.verify_directly_issued_by(authority)
        extensions = {extension.oid: (extension.critical, extension.value) for extension in certificate.extensions}
        assert extensions[ExtensionOID.BASIC_CONSTRAINTS] == (True, x509.BasicConstraints(False, None))
        assert extensions[ExtensionOID.KEY_USAGE] == (True, key_usage(signs=False))
        issuer_key = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        assert extensions[ExtensionOID.AUTHORITY_KEY_IDENTIFIER] == (
            False,
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key),
        )
        assert certificate.not_valid_before_utc == datetime(2026, 3, 1, 11, 30, 15, tzinfo=UTC)
        assert certificate.not_valid_after_utc == datetime(2027, 3, 1, 12, 30, 15, tzinfo=UTC)


def test_a_verifier_accepts_every_name_of_the_api_server_and_no_other(issued: Pki, now: datetime) -> None:
    store = Store([load(issued.authority("kubernetes"))])
    certificate = load(issued.leaf("apiserver", "demo-controller-0"))

    def verify(subject: x509.GeneralName) -> None:
        assert isinstance(subject, x509.DNSName | x509.IPAddress)
        PolicyBuilder().store(store).time(now).build_server_verifier(subject).verify(certificate, [])

    for name in API:
        verify(general_name(name))
    for name in ("demo-controller-0", "demo-worker-0", "10.17.1.10"):
        with pytest.raises(x509.verification.VerificationError):
            verify(general_name(name))


def test_the_other_keys(issued: Pki) -> None:
    private = serialization.load_pem_private_key(issued.service_account.key.encode(), None)
    public = serialization.load_pem_public_key(issued.service_account.certificate.encode())
    assert private.public_key() == public
    assert len(base64.b64decode(issued.encryption_key, validate=True)) == 32


OTHER = PkiNode(name="demo-controller-1", address="10.17.0.11")
EXTRA = PkiNode(name="demo-worker-1", address="10.17.1.11")
ALL_OF_OTHER = {
    f"{kind}/demo-controller-1"
    for kind in (name.partition("/")[0] for name in LEAVES if name.endswith("/demo-controller-0"))
}


@pytest.mark.parametrize(
    ("change", "new", "gone"),
    [
        pytest.param({}, set(), set(), id="nothing"),
        pytest.param(
            {"nodes": ("controller", "worker", EXTRA)}, {"kubelet-server/demo-worker-1"}, set(), id="a new worker"
        ),
        pytest.param(
            {"controllers": ("controller", OTHER), "nodes": ("controller", OTHER, "worker")},
            ALL_OF_OTHER,
            set(),
            id="a new controller",
        ),
        pytest.param({"nodes": ("controller",)}, set(), {"kubelet-server/demo-worker-0"}, id="a worker less"),
        pytest.param(
            {"nodes": ("controller", PkiNode(name="demo-worker-0", address="10.17.1.99"))},
            {"kubelet-server/demo-worker-0"},
            set(),
            id="a worker's address",
        ),
        pytest.param(
            {"api_names": ("other.firestorm.internal", "kubernetes", "localhost")},
            {"apiserver/demo-controller-0"},
            set(),
            id="the API's name",
        ),
        pytest.param({"domain": "example.internal"}, set(), set(), id="a field that no certificate names"),
    ],
)
def test_only_what_changed_is_issued(
    demo: PkiRequest, issued: Pki, now: datetime, change: dict[str, Any], new: set[str], gone: set[str]
) -> None:
    stand_ins = {"controller": demo.nodes[0], "worker": demo.nodes[1]}
    fields: dict[str, Any] = {
        key: tuple(stand_ins.get(node, node) for node in value) if isinstance(value, tuple) else value
        for key, value in change.items()
    }
    # Two years on: that certificates have ended is no reason either.
    after = issue(dataclasses.replace(demo, **fields), issued, now + timedelta(days=730))
    assert {name for name, pair in after.leaves.items() if issued.leaves.get(name) != pair} == new
    assert issued.leaves.keys() - after.leaves.keys() == gone
    assert after.authorities == issued.authorities
    assert after.service_account == issued.service_account
    assert after.encryption_key == issued.encryption_key


@pytest.mark.parametrize("change", [{"generation": 2}, {"cluster": "other"}], ids=["generation", "cluster"])
def test_a_new_generation_or_cluster_keeps_nothing(
    demo: PkiRequest, issued: Pki, now: datetime, change: Mapping[str, Any]
) -> None:
    after = issue(dataclasses.replace(demo, **change), issued, now)
    assert after.leaves.keys() == issued.leaves.keys()
    assert secrets_of(after).isdisjoint(secrets_of(issued))


def test_a_leaf_of_another_authority_is_issued_anew(demo: PkiRequest, issued: Pki, now: datetime) -> None:
    stranger = issue(demo, None, now)
    mixed = dataclasses.replace(issued, authorities={**issued.authorities, "etcd": stranger.authority("etcd")})
    after = issue(demo, mixed, now)
    assert {name for name, pair in after.leaves.items() if pair != issued.leaves[name]} == {
        "apiserver-etcd-client/demo-controller-0",
        "etcd-server/demo-controller-0",
        "etcd-peer/demo-controller-0",
    }


def test_an_unreadable_leaf_is_issued_anew(demo: PkiRequest, issued: Pki, now: datetime) -> None:
    broken = dataclasses.replace(issued, leaves={**issued.leaves, "admin": KeyPair(certificate="?", key="?")})
    after = issue(demo, broken, now)
    assert {name for name, pair in after.leaves.items() if pair != issued.leaves[name]} == {"admin"}
    assert description(load(after.leaf("admin"))) == LEAVES["admin"]


def test_a_leaf_never_outlives_its_authority(demo: PkiRequest, issued: Pki) -> None:
    end = load(issued.authority("kubernetes")).not_valid_after_utc
    extended = dataclasses.replace(demo, nodes=(*demo.nodes, EXTRA))
    after = issue(extended, issued, end - timedelta(days=10))
    assert load(after.leaf("kubelet-server", "demo-worker-1")).not_valid_after_utc == end


def test_a_name_that_does_not_fit_is_explained(demo: PkiRequest, now: datetime) -> None:
    node = PkiNode(name="n" * 53, address="10.17.1.12")
    with pytest.raises(PkiError) as caught:
        issue(dataclasses.replace(demo, nodes=(node,)), None, now)
    assert str(caught.value) == (
        f"certificate name 'system:node:{'n' * 53}' has 65 characters, and X.509 (RFC 5280, appendix A) allows 64; "
        "shorten the cluster's or the pool's name"
    )


def secrets_of(pki: Pki) -> set[str]:
    pairs = [*pki.authorities.values(), *pki.leaves.values(), pki.service_account]
    return {text for pair in pairs for text in (pair.certificate, pair.key)} | {pki.encryption_key}


def public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def general_name(name: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


def key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, signs, signs, False, False)
