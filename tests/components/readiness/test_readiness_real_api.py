"""The API client against a real kube-apiserver with a real etcd, both on loopback."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firestorm.clusters.running import RunningCluster
from firestorm.errors import ClusterError, ReadinessError
from firestorm.readiness.api import Cluster

pytestmark = pytest.mark.lab

Key = ec.EllipticCurvePrivateKey
DAY = datetime.timedelta(days=1)


def binary(variable: str) -> str:
    path = os.environ.get(variable, "")
    assert Path(path).is_file(), f"{variable} must name a binary, it is {path!r}"
    return path


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def pem(key: Key) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, *form)


@dataclass(frozen=True)
class Issued:
    certificate: bytes
    key: Key
    name: x509.Name


def issue(common_name: str, organization: str, issuer: Issued | None = None) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer.name if issuer else name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    signed = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    return Issued(signed.public_bytes(serialization.Encoding.PEM), key, name)


def kubeconfig(url: str, ca: Issued, user: Issued) -> str:
    def encode(data: bytes) -> str:
        return base64.b64encode(data).decode()

    keys = {"client-certificate-data": encode(user.certificate), "client-key-data": encode(pem(user.key))}
    return yaml.safe_dump(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [
                {"name": "k", "cluster": {"server": url, "certificate-authority-data": encode(ca.certificate)}}
            ],
            "users": [{"name": "u", "user": keys}],
        }
    )


@dataclass(frozen=True)
class Plane:
    url: str
    ca: Issued
    admin: str
    nobody: str
    log: Path
    processes: tuple[subprocess.Popen[bytes], ...]

    def ended(self) -> str:
        """The log's end if a process has ended."""
        over = any(process.poll() is not None for process in self.processes)
        return self.log.read_text(errors="replace")[-2000:] if over else ""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """etcd and kube-apiserver, started but not waited for."""
    folder = tmp_path_factory.mktemp("plane")
    client, peer, secure = free_ports(3)
    ca = issue("kubernetes-ca", "test")
    server = issue("kube-apiserver", "test", ca)
    files = {"ca.pem": ca.certificate, "server.pem": server.certificate, "server.key": pem(server.key)}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    store = f"http://127.0.0.1:{client}"
    members = f"http://127.0.0.1:{peer}"
    etcd = [
        "etcd", "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync",
        "--listen-client-urls", store, "--advertise-client-urls", store,
        "--listen-peer-urls", members, "--initial-advertise-peer-urls", members,
        "--initial-cluster", f"default={members}",
    ]  # fmt: skip
    apiserver = [
        "kube-apiserver", "--etcd-servers", store,
        "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", str(secure),
        "--tls-cert-file", str(folder / "server.pem"), "--tls-private-key-file", str(folder / "server.key"),
        "--client-ca-file", str(folder / "ca.pem"), "--authorization-mode", "RBAC", "--anonymous-auth=false",
        "--service-cluster-ip-range", "10.96.0.0/24", "--service-account-issuer", "https://kubernetes.default.svc",
        "--service-account-key-file", str(folder / "server.key"),
        "--service-account-signing-key-file", str(folder / "server.key"),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, contextlib.ExitStack() as stack:
        processes = []
        programs = {"FIRESTORM_ETCD": etcd, "FIRESTORM_KUBE_CONTROL_PLANE": apiserver}  # the latter goes by its name
        for variable, command in programs.items():
            started = subprocess.Popen(command, executable=binary(variable), stdout=log, stderr=log, cwd=folder)
            process = stack.enter_context(started)
            stack.callback(process.kill)
            processes.append(process)
        url = f"https://127.0.0.1:{secure}"
        admin = kubeconfig(url, ca, issue("kubernetes-admin", "system:masters", ca))
        nobody = kubeconfig(url, ca, issue("nobody", "nobody", ca))
        yield Plane(url, ca, admin, nobody, folder / "log", tuple(processes))


def manifest(version: str, kind: str, name: str, namespace: str | None = None, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


LABELS = {"app": "flannel"}
POD = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "flannel", "image": "example.org/flannel:1"}]}}
DAEMONS = {"selector": {"matchLabels": LABELS}, "template": POD}
MANIFESTS = [
    manifest("v1", "Namespace", "kube-flannel"),
    manifest("v1", "ServiceAccount", "flannel", "kube-flannel"),
    manifest(
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        "flannel",
        rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    ),
    manifest(
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "bootstrappers",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-bootstrapper"},
        subjects=[{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:bootstrappers"}],
    ),
    manifest(
        "v1",
        "Secret",
        "bootstrap-token-07401b",
        "kube-system",
        type="bootstrap.kubernetes.io/token",
        stringData={"token-id": "07401b", "token-secret": "f395accd246ae52d"},
    ),
    manifest("v1", "ConfigMap", "settings", "kube-flannel", data={"a": "1"}),
    manifest("apps/v1", "DaemonSet", "flannel", "kube-flannel", spec=DAEMONS),
    manifest("scheduling.k8s.io/v1", "PriorityClass", "calm", value=5),
    manifest("v1", "Node", "dev-worker-0"),
    manifest("v1", "Node", "dev-controller-0"),
]  # fmt: skip


def test_from_power_on_to_applied_manifests_and_back(plane: Plane) -> None:
    with Cluster.from_kubeconfig(plane.admin) as cluster:
        states = [cluster.state()]
        deadline = time.monotonic() + 120
        while not states[-1].ready:
            assert time.monotonic() < deadline, states[-1]
            assert plane.ended() == ""
            time.sleep(0.3)
            states.append(cluster.state())
        assert states[0].error != ""
        assert not any(state.refused for state in states)
        cluster.apply(MANIFESTS)
        cluster.apply(MANIFESTS)
        assert cluster.version().startswith("v1.")
        assert [node.name for node in cluster.nodes()] == ["dev-controller-0", "dev-worker-0"]
        (workload,) = cluster.workloads()
        assert (workload.name, workload.observed) == ("flannel", False)
        cluster.label_control_plane(["dev-controller-0", "not-there"])
        cluster.delete_nodes(["dev-worker-0", "not-there"])
        assert [node.name for node in cluster.nodes()] == ["dev-controller-0"]


def test_fields_of_others_are_taken_over(plane: Plane) -> None:
    with Cluster.from_kubeconfig(plane.admin) as cluster:
        changed = manifest("v1", "ConfigMap", "settings", "kube-flannel", data={"a": "2"})
        cluster.apply([MANIFESTS[0], MANIFESTS[5], changed])
        found = raw(plane, "/api/v1/namespaces/kube-flannel/configmaps/settings")
        assert found["data"] == {"a": "2"}
        assert [entry["manager"] for entry in found["metadata"]["managedFields"]] == ["firestorm"]


def test_unknown_kind_and_invalid_object(plane: Plane) -> None:
    with Cluster.from_kubeconfig(plane.admin) as cluster:
        with pytest.raises(ReadinessError) as unknown:
            cluster.apply([manifest("v1", "Gadget", "x")], patience=0)
        with pytest.raises(ReadinessError) as invalid:
            cluster.apply([manifest("v1", "ConfigMap", "Not_A_Name", "default")])
    assert str(unknown.value) == (
        "cluster: Gadget x cannot be applied: the server does not know Gadget of v1\n  step:   manifests"
    )
    assert str(invalid.value).startswith(
        'cluster: ConfigMap default/Not_A_Name cannot be applied: ConfigMap "Not_A_Name"'
    )


def test_who_is_not_let_in(plane: Plane) -> None:
    stranger = issue("another-ca", "test")
    outsider = kubeconfig(plane.url, plane.ca, issue("admin", "system:masters", stranger))
    with Cluster.from_kubeconfig(outsider) as cluster:
        assert cluster.readyz().refused
    with Cluster.from_kubeconfig(kubeconfig(plane.url, stranger, stranger)) as cluster:
        assert cluster.readyz().error == "its certificate is not signed by this cluster's CA"
    with Cluster.from_kubeconfig(plane.nobody) as cluster, pytest.raises(ReadinessError, match="forbidden"):
        cluster.apply([manifest("v1", "ConfigMap", "x", "default")], patience=0)


def raw(plane: Plane, path: str) -> Any:
    from firestorm.readiness.access import Access

    with httpx.Client(base_url=plane.url, verify=Access.parse(plane.admin).tls(), trust_env=False) as client:
        return client.get(path).raise_for_status().json()


WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  scope: Cluster
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          status: {type: object, properties: {conditions: {nullable: true, x-kubernetes-preserve-unknown-fields: true}}}
"""
WIDGET = "{apiVersion: example.org/v1, kind: Widget, metadata: {name: one}, status: {conditions: %s}}"


def test_conditions_that_nobody_has_written_yet_are_waited_for(plane: Plane, tmp_path: Path) -> None:
    """`kubectl wait` ends at once for conditions that are null, as those of a new resource definition may be."""
    (tmp_path / "kubeconfig").write_text(plane.admin)
    cluster = RunningCluster(name="c", id="1", kubeconfig=tmp_path / "kubeconfig", api_address=plane.url, nodes=())
    cluster.kubectl("apply", "-f", "-", input=WIDGETS)
    cluster.wait("crd/widgets.example.org", "condition=Established")
    cluster.kubectl("create", "-f", "-", input=WIDGET % "null")
    with pytest.raises(ClusterError, match="widget/one had no conditions within 1 s"):
        cluster.wait("widget/one", timeout=1)
    ready = WIDGET % "[{type: Ready, status: 'True'}]"
    written = threading.Timer(2, cluster.kubectl, ("apply", "-f", "-"), {"input": ready})
    written.start()
    cluster.wait("widget/one")
    written.join()
