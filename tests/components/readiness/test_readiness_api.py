"""The API client against a small HTTPS server on loopback, with certificates of its own."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firestorm.errors import ReadinessError
from firestorm.readiness.api import Cluster
from firestorm.readiness.observation import ApiState, NodeStatus, PodStatus, Trouble, Workload

DAY = datetime.timedelta(days=1)
Json = dict[str, Any]


@dataclass(frozen=True)
class Authority:
    """A certificate authority with a certificate for 127.0.0.1 and one for a client."""

    ca: str
    server: str
    client: str
    client_key: str


def issue(
    name: str, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None
) -> tuple[str, ec.EllipticCurvePrivateKey, x509.Name]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer or (subject, key)
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        signer[0], subject, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    certificate = builder.sign(signer[1], hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), key, subject


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, *form).decode()


@pytest.fixture(scope="module")
def authority() -> Authority:
    ca, ca_key, ca_name = issue("test-ca", None)
    server, server_key, _ = issue("server", (ca_name, ca_key))
    client, client_key, _ = issue("admin", (ca_name, ca_key))
    return Authority(ca, server + pem(server_key), client, pem(client_key))


@dataclass
class State:
    """What the fake server answers, and what it was asked."""

    ready: tuple[int, str] = (200, "ok")
    lists: dict[str, list[Json]] = field(default_factory=dict)
    answers: list[tuple[int, str]] = field(default_factory=list)
    """Answers to the next PATCH and DELETE requests; 200 when empty."""
    delay: float = 0.0
    """Seconds before it answers a PATCH or DELETE request."""
    requests: list[tuple[str, str, Any, str]] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    state: ClassVar[State]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        certificate = self.connection.getpeercert()
        self.state.subjects.append(
            str(certificate["subject"][0][0][1]) if certificate else self.headers.get("Authorization", "")
        )
        path = self.path.partition("?")[0]
        if path == "/readyz":
            self.reply(*self.state.ready, kind="text/plain")
        elif path == "/version":
            self.reply(200, json.dumps({"gitVersion": "v1.36.4"}))
        elif path == "/apis/example.org/v1":
            resources = [
                {"name": "widgets/status", "kind": "Widget", "namespaced": True},
                {"name": "widgets", "kind": "Widget", "namespaced": True},
                {"name": "realms", "kind": "Realm", "namespaced": False},
            ]
            self.reply(200, json.dumps({"resources": resources}))
        elif path in self.state.lists:
            self.reply(200, json.dumps({"metadata": {}, "items": self.state.lists[path]}))
        else:
            self.refuse(404, "not there")

    def do_PATCH(self) -> None:
        self.change()

    def do_DELETE(self) -> None:
        self.change()

    def change(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(content) if content else None
        self.state.requests.append((self.command, self.path, body, self.headers.get("Content-Type", "")))
        time.sleep(self.state.delay)
        status, text = self.state.answers.pop(0) if self.state.answers else (200, "")
        if status == 200:
            self.reply(200, json.dumps(body or {"kind": "Status", "status": "Success"}))
        else:
            self.refuse(status, text)

    def refuse(self, status: int, text: str) -> None:
        self.reply(status, json.dumps({"kind": "Status", "status": "Failure", "message": text, "code": status}))

    def reply(self, status: int, text: str, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None: ...


@dataclass(frozen=True)
class Server:
    url: str
    state: State


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server.pem").write_text(authority.server)
    (tmp_path / "ca.pem").write_text(authority.ca)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.pem"))
    context.load_cert_chain(tmp_path / "server.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    state = State()
    handler = type("StateHandler", (Handler,), {"state": state})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield Server(f"https://127.0.0.1:{http.server_port}", state)
    http.shutdown()
    http.server_close()
    thread.join()


def kubeconfig(url: str, ca: str, **user: str) -> str:
    def encode(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    fields = {key: value if key == "token" else encode(value) for key, value in user.items()}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "admin@dev",
            "contexts": [{"name": "admin@dev", "context": {"cluster": "dev", "user": "admin"}}],
            "clusters": [{"name": "dev", "cluster": {"server": url, "certificate-authority-data": encode(ca)}}],
            "users": [{"name": "admin", "user": {key.replace("_", "-"): value for key, value in fields.items()}}],
        }
    )


@pytest.fixture
def cluster(server: Server, authority: Authority) -> Iterator[Cluster]:
    user = {"client_certificate_data": authority.client, "client_key_data": authority.client_key}
    with Cluster.from_kubeconfig(kubeconfig(server.url, authority.ca, **user), timeout=2.0) as made:
        yield made


def test_client_certificate_reaches_the_server_without_a_file(
    server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file with a key")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    user = {"client_certificate_data": authority.client, "client_key_data": authority.client_key}
    with Cluster.from_kubeconfig(kubeconfig(server.url, authority.ca, **user)) as cluster:
        assert cluster.readyz() == ApiState(ready=True)
        assert cluster.version() == "v1.36.4"
    assert server.state.subjects == ["admin", "admin"]


def test_key_in_a_private_file_where_memory_has_none(
    server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr("os.memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    user = {"client_certificate_data": authority.client, "client_key_data": authority.client_key}
    with Cluster.from_kubeconfig(kubeconfig(server.url, authority.ca, **user)) as cluster:
        assert list((tmp_path / "own").iterdir()) == []
        assert cluster.readyz() == ApiState(ready=True)
    assert server.state.subjects == ["admin"]


def test_token(server: Server, authority: Authority) -> None:
    server.state.lists["/api/v1/nodes"] = []
    with Cluster.from_kubeconfig(kubeconfig(server.url, authority.ca, token="s3cret")) as cluster:
        assert cluster.readyz().ready
        assert cluster.nodes() == ()
    assert server.state.subjects == ["Bearer s3cret", "Bearer s3cret"]


NOT_READY = [
    (
        (500, "[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac failed\n"),
        "readyz answered 500: etcd, poststarthook/rbac",
        False,
    ),
    ((503, "shutting down"), "readyz answered 503", False),
    ((401, "Unauthorized"), "it answered 401 to the admin certificate", True),
    ((403, "Forbidden"), "it answered 403 to the admin certificate", True),
]


@pytest.mark.parametrize(("answer", "error", "refused"), NOT_READY)
def test_api_that_is_not_ready(
    server: Server, cluster: Cluster, answer: tuple[int, str], error: str, refused: bool
) -> None:
    server.state.ready = answer
    assert cluster.state() == ApiState(error=error, refused=refused)


def test_nobody_listens(authority: Authority) -> None:
    with Cluster.from_kubeconfig(kubeconfig("https://127.0.0.1:1", authority.ca)) as cluster:
        assert cluster.state() == ApiState(error="[Errno 111] Connection refused")


def test_another_clusters_api(server: Server) -> None:
    other, _, _ = issue("test-ca", None)
    with Cluster.from_kubeconfig(kubeconfig(server.url, other)) as cluster:
        assert cluster.state() == ApiState(error="its certificate is not signed by this cluster's CA", refused=True)


BAD_CONFIGS = [
    ("", "it is not complete (TypeError)"),
    ("{", "it is not complete (ParserError)"),
    ("contexts: []", "it is not complete (StopIteration)"),
    (
        kubeconfig("https://x", "ca").replace("certificate-authority-data: Y2E=", "certificate-authority-data: '?'"),
        "it is not complete (ValueError)",
    ),
    (kubeconfig("https://x", "no certificate"), "its certificates cannot be read"),
]


@pytest.mark.parametrize(("text", "problem"), BAD_CONFIGS)
def test_unusable_kubeconfig(text: str, problem: str) -> None:
    with pytest.raises(ReadinessError) as caught:
        Cluster.from_kubeconfig(text)
    assert str(caught.value) == f"the admin kubeconfig cannot be used: {problem}"


NODE = {
    "metadata": {"name": "dev-worker-0"},
    "status": {
        "addresses": [{"type": "Hostname", "address": "dev-worker-0"}, {"type": "InternalIP", "address": "192.0.2.21"}],
        "conditions": [
            {"type": "MemoryPressure", "status": "False"},
            {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni plugin not initialized"},
        ],
        "nodeInfo": {
            "systemUUID": "4C4C4544-0001-4000-8000-0000000000A0",
            "kubeletVersion": "v1.36.4",
            "osImage": "Debian GNU/Linux 13 (trixie)",
            "kernelVersion": "6.12.57+deb13-amd64",
            "containerRuntimeVersion": "containerd://2.4.2",
            "architecture": "amd64",
            "bootID": "",
            "kubeProxyVersion": "",
            "machineID": "",
            "operatingSystem": "linux",
            "aFieldOfTheFuture": "x",
        },
    },
}


def container(name: str, state: Json, restarts: int = 0, last: Json | None = None) -> Json:
    return {
        "name": name,
        "image": "i",
        "imageID": "",
        "ready": False,
        "restartCount": restarts,
        "state": state,
        "lastState": last or {},
    }


def a_pod(name: str, status: Json, **metadata: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": "kube-system", **metadata},
        "spec": {"nodeName": "dev-worker-0", "containers": []},
        "status": status,
    }


READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
PODS = [
    a_pod("etcd-dev-controller-0", READY),
    a_pod("gone", READY, deletionTimestamp="2026-11-23T18:00:00Z"),
    a_pod("job", {"phase": "Succeeded"}),
    a_pod(
        "coredns-1",
        {
            "phase": "Pending",
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/2 nodes are available",
                }
            ],
        },
    ),
    a_pod(
        "flannel-1",
        {
            "phase": "Pending",
            "initContainerStatuses": [container("install", {"waiting": {"reason": "ErrImagePull", "message": "404"}})],
            "containerStatuses": [container("flannel", {"waiting": {"reason": "PodInitializing"}})],
        },
    ),
    a_pod(
        "proxy-1",
        {
            "phase": "Running",
            "containerStatuses": [
                container(
                    "proxy",
                    {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
                    4,
                    {"terminated": {"exitCode": 1, "reason": "Error", "message": "line\nno nftables\n"}},
                )
            ],
        },
    ),
]


def test_objects_are_reduced_to_what_matters(server: Server, cluster: Cluster) -> None:
    metadata = {"name": "kube-proxy", "namespace": "kube-system", "generation": 2}
    daemon = {"observedGeneration": 2, "desiredNumberScheduled": 2, "numberReady": 2, "updatedNumberScheduled": 1}
    daemon |= {"currentNumberScheduled": 2, "numberMisscheduled": 0}
    dns = {"name": "coredns", "namespace": "kube-system", "generation": 2}
    template: Json = {"selector": {}, "template": {}}
    server.state.lists = {
        "/api/v1/nodes": [NODE, {"metadata": {"name": "dev-controller-0"}}],
        "/api/v1/namespaces/kube-system/pods": PODS,
        "/api/v1/namespaces/kube-flannel/pods": [],
        "/apis/apps/v1/namespaces/kube-system/daemonsets": [{"metadata": metadata, "spec": template, "status": daemon}],
        "/apis/apps/v1/namespaces/kube-flannel/daemonsets": [],
        "/apis/apps/v1/namespaces/kube-system/deployments": [
            {"metadata": dns, "spec": {"replicas": 2, **template}, "status": {"observedGeneration": 1}}
        ],
        "/apis/apps/v1/namespaces/kube-flannel/deployments": [],
    }
    state = cluster.state()
    assert state.error == ""
    assert state.nodes == (
        NodeStatus(name="dev-controller-0", ready=False),
        NodeStatus(
            name="dev-worker-0",
            ready=False,
            uuid="4c4c4544-0001-4000-8000-0000000000a0",
            reason="cni plugin not initialized",
            address="192.0.2.21",
            version="v1.36.4",
            os_image="Debian GNU/Linux 13 (trixie)",
            kernel="6.12.57+deb13-amd64",
            runtime="containerd://2.4.2",
        ),
    )
    common: Json = {"namespace": "kube-system", "node": "dev-worker-0"}
    image = Trouble(container="install", reason="ErrImagePull", message="404")
    crash = "it ended with code 1 (Error): no nftables"
    assert state.pods == (
        PodStatus(name="coredns-1", phase="Pending", message="0/2 nodes are available", **common),
        PodStatus(name="etcd-dev-controller-0", phase="Running", ready=True, **common),
        PodStatus(name="flannel-1", phase="Pending", troubles=(image,), **common),
        PodStatus(
            name="proxy-1",
            phase="Running",
            troubles=(Trouble(container="proxy", reason="CrashLoopBackOff", message=crash, restarts=4),),
            **common,
        ),
    )
    assert state.workloads == (
        Workload(kind="DaemonSet", namespace="kube-system", name="kube-proxy", desired=2, ready=1, observed=True),
        Workload(kind="Deployment", namespace="kube-system", name="coredns", desired=2, ready=0, observed=False),
    )


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-flannel"}}
SETTINGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "c", "namespace": "kube-flannel"},
    "future": {"x": 1},
}
WIDGET = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "n"}}
REALM = {"apiVersion": "example.org/v1", "kind": "Realm", "metadata": {"name": "r"}}
QUERY = "?force=true&fieldManager=firestorm"


def test_apply_is_server_side_in_order_and_loses_nothing(server: Server, cluster: Cluster) -> None:
    cluster.apply([NAMESPACE, SETTINGS, WIDGET, REALM])
    kind = "application/apply-patch+yaml"
    assert server.state.requests == [
        ("PATCH", f"/api/v1/namespaces/kube-flannel{QUERY}", NAMESPACE, kind),
        ("PATCH", f"/api/v1/namespaces/kube-flannel/configmaps/c{QUERY}", SETTINGS, kind),
        ("PATCH", f"/apis/example.org/v1/namespaces/n/widgets/w{QUERY}", WIDGET, kind),
        ("PATCH", f"/apis/example.org/v1/realms/r{QUERY}", REALM, kind),
    ]


def test_apply_waits_for_a_server_that_is_starting(server: Server, cluster: Cluster) -> None:
    server.state.answers = [
        (403, "not yet ready to handle request"),
        (404, "namespace not found"),
        (500, "etcd"),
        (200, ""),
    ]
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return True

    cluster.apply([SETTINGS], wait=wait)
    assert (len(server.state.requests), waits) == (4, [1.0, 1.0, 1.0])


def test_a_write_is_not_given_up_halfway(server: Server, authority: Authority) -> None:
    """On a slow server it would be done by halves: a Service's address taken, and the Service not made."""
    server.state.delay = 1.0
    user = {"client_certificate_data": authority.client, "client_key_data": authority.client_key}
    with Cluster.from_kubeconfig(kubeconfig(server.url, authority.ca, **user), timeout=0.5) as made:
        made.apply([SETTINGS], wait=lambda _: False)
    assert len(server.state.requests) == 1


def test_an_address_that_is_still_taken_is_waited_for(server: Server, cluster: Cluster) -> None:
    """By a write that failed halfway; one that is another Service's stays taken, and ends with the server's words."""
    taken = (
        422,
        'spec.clusterIPs: Invalid value: ["10.3.0.10"]: failed to allocate IP: provided IP is already allocated',
    )
    server.state.answers = [taken, taken, (200, "")]
    cluster.apply([SETTINGS], wait=lambda _: True)
    assert len(server.state.requests) == 3


REFUSALS = [
    (
        [(422, "spec.replicas: Invalid value: -1")],
        SETTINGS,
        "ConfigMap kube-flannel/c cannot be applied: spec.replicas: Invalid value: -1",
        1,
    ),
    ([(403, "forbidden")] * 9, SETTINGS, "ConfigMap kube-flannel/c cannot be applied: forbidden", 6),
    ([], {"kind": "X", "metadata": {}}, "X cannot be applied: it has no apiVersion", 0),
    ([], {"apiVersion": "v1", "kind": "Secret", "metadata": {}}, "Secret cannot be applied: it has no name", 0),
    (
        [],
        WIDGET | {"kind": "Gadget"},
        "Gadget n/w cannot be applied: the server does not know Gadget of example.org/v1",
        0,
    ),
]


@pytest.mark.parametrize(("answers", "manifest", "text", "tries"), REFUSALS)
def test_apply_gives_up_with_the_servers_words(
    server: Server, cluster: Cluster, answers: list[tuple[int, str]], manifest: Json, text: str, tries: int
) -> None:
    server.state.answers = list(answers)
    clock = [0.0]

    def wait(seconds: float) -> bool:
        clock[0] += seconds
        return True

    with pytest.raises(ReadinessError) as caught:
        cluster.apply([manifest], patience=5.0, wait=wait, clock=lambda: clock[0])
    assert str(caught.value) == f"cluster: {text}\n  step:   manifests"
    assert len(server.state.requests) == tries


def test_apply_stops_when_told(server: Server, cluster: Cluster) -> None:
    server.state.answers = [(500, "no")] * 3
    with pytest.raises(ReadinessError):
        cluster.apply([SETTINGS], wait=lambda _: False)
    assert len(server.state.requests) == 1


def test_label_and_delete(server: Server, cluster: Cluster) -> None:
    server.state.answers = [(200, ""), (404, "gone"), (200, ""), (404, "gone")]
    cluster.label_control_plane(["a", "b"])
    cluster.delete_nodes(["c", "d"])
    assert [request[:2] for request in server.state.requests] == [
        ("PATCH", "/api/v1/nodes/a?fieldManager=firestorm"),
        ("PATCH", "/api/v1/nodes/b?fieldManager=firestorm"),
        ("DELETE", "/api/v1/nodes/c"),
        ("DELETE", "/api/v1/nodes/d"),
    ]
    label = {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}
    assert server.state.requests[0][2:] == (label, "application/merge-patch+json")


def test_answer_of_an_unknown_shape_is_an_error_not_a_crash(server: Server, cluster: Cluster) -> None:
    server.state.lists = {"/api/v1/nodes": [{"metadata": {"name": "n"}, "status": {"nodeInfo": {}}}]}
    state = cluster.state()
    assert not state.ready
    assert state.error.startswith("Object missing required field")


def test_a_busy_server_is_asked_again(server: Server, cluster: Cluster) -> None:
    server.state.answers = [(503, "busy"), (500, "etcd"), (200, ""), (429, "later"), (404, "gone")]
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return True

    cluster.delete_nodes(["a", "b"], wait)
    assert [request[1] for request in server.state.requests] == ["/api/v1/nodes/a"] * 3 + ["/api/v1/nodes/b"] * 2
    assert waits == [1.0] * 3


def test_a_busy_server_is_left_alone_when_told(server: Server, cluster: Cluster) -> None:
    server.state.answers = [(503, "busy")] * 3
    with pytest.raises(ReadinessError, match=r"^the API refused: busy$"):
        cluster.delete_nodes(["a"], lambda _: False)
    assert len(server.state.requests) == 1


def test_a_server_that_becomes_ready(server: Server, cluster: Cluster) -> None:
    server.state.ready = (500, "[-]etcd failed")
    assert not cluster.becomes_ready(wait=lambda _: False)

    def wait(_: float) -> bool:
        server.state.ready = (200, "ok")
        return True

    assert cluster.becomes_ready(wait=wait)


def test_refusal_to_delete_is_told(server: Server, cluster: Cluster) -> None:
    server.state.answers = [(403, "nodes is forbidden")]
    with pytest.raises(ReadinessError, match=r"^the API refused: nodes is forbidden$"):
        cluster.delete_nodes(["c"])
