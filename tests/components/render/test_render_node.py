from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from firestorm.pki import Pki, request_for
from firestorm.releases import Release
from firestorm.render import NodeFile, node_directories, node_files
from firestorm.spec.model import ClusterSpec

FACTS = Path(__file__).parent / "facts"
TOKEN = "abcdef.0123456789abcdef"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

MakeCluster = Callable[..., ClusterSpec]
Files = Mapping[str, NodeFile]


@pytest.fixture(scope="session")
def controller(spec: ClusterSpec, pki: Pki, release: Release) -> Files:
    return {file.path: file for file in node_files(spec, spec.nodes[0], pki, release, token=TOKEN)}


@pytest.fixture(scope="session")
def worker(spec: ClusterSpec, pki: Pki, release: Release) -> Files:
    return {file.path: file for file in node_files(spec, spec.nodes[1], pki, release, token=TOKEN)}


def pod(files: Files, component: str) -> dict[str, Any]:
    folder = "manifests" if component in ("etcd", "kube-apiserver") else "control-plane"
    data: dict[str, Any] = yaml.safe_load(files[f"/etc/kubernetes/{folder}/{component}.yaml"].content)
    return data


def arguments(files: Files, component: str) -> dict[str, str]:
    command = pod(files, component)["spec"]["containers"][0]["command"]
    assert command[0] == component
    pairs = [argument.removeprefix("--").partition("=") for argument in command[1:]]
    return {name: value for name, _, value in pairs}


def facts(name: str) -> set[str]:
    """Names that the released software knows: of its --help, or of its configuration's Go type."""
    return set((FACTS / f"{name}.txt").read_text().split())


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_released_binary_knows_every_flag(controller: Files, component: str) -> None:
    version = "3.6.8" if component == "etcd" else "1.36.4"
    unknown = arguments(controller, component).keys() - facts(f"{component}-{version}")
    assert unknown == set()


@pytest.mark.parametrize("role", ["controller", "worker"])
def test_the_released_kubelet_knows_every_flag_and_field(role: str, request: pytest.FixtureRequest) -> None:
    files: Files = request.getfixturevalue(role)
    config = yaml.safe_load(files["/etc/kubernetes/kubelet.yaml"].content)
    assert config.keys() - facts("kubelet-config-1.36.4") == {"apiVersion", "kind"}
    [value] = re.findall(r'^KUBELET_ARGS="(.*)"$', files["/etc/kubernetes/kubelet.env"].content, re.MULTILINE)
    names = [argument.removeprefix("--").partition("=")[0] for argument in value.split(" ")]
    assert set(names) - facts("kubelet-1.36.4") == set()


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        # What Typhoon's apiserver has, and what it lacks.
        (
            "kube-apiserver",
            {
                "advertise-address": "10.17.0.10",
                "authorization-mode": "Node,RBAC",
                "enable-bootstrap-token-auth": "true",
                "enable-admission-plugins": "NodeRestriction,DenyServiceExternalIPs",
                "etcd-servers": "https://10.17.0.10:2379",
                "kubelet-certificate-authority": "/etc/kubernetes/kube-apiserver/ca.crt",
                "profiling": "false",
                "secure-port": "6443",
                "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
                "service-account-jwks-uri": "https://demo.firestorm.internal:6443/openid/v1/jwks",
                "service-cluster-ip-range": "10.19.0.0/16",
                "tls-min-version": "VersionTLS12",
            },
        ),
        (
            "kube-controller-manager",
            {
                "allocate-node-cidrs": "true",
                "bind-address": "127.0.0.1",
                "cluster-cidr": "10.18.0.0/16",
                "cluster-signing-duration": "2160h",
                "controllers": "*,tokencleaner",
                "leader-elect": "false",
                "profiling": "false",
                "use-service-account-credentials": "true",
            },
        ),
        ("kube-scheduler", {"bind-address": "127.0.0.1", "leader-elect": "false", "profiling": "false"}),
        (
            "etcd",
            {
                "client-cert-auth": "true",
                "peer-client-cert-auth": "true",
                "initial-cluster": "demo-controller-0=https://10.17.0.10:2380",
                "listen-client-urls": "https://10.17.0.10:2379",
                "listen-metrics-urls": "http://127.0.0.1:2381",
            },
        ),
    ],
)
def test_flags(controller: Files, component: str, expected: dict[str, str]) -> None:
    actual = arguments(controller, component)
    assert {name: actual.get(name) for name in expected} == expected


def test_only_kubelet_client_certificates_are_signed(controller: Files) -> None:
    signing = {name for name in arguments(controller, "kube-controller-manager") if name.startswith("cluster-signing")}
    assert signing == {
        "cluster-signing-kubelet-client-cert-file",
        "cluster-signing-kubelet-client-key-file",
        "cluster-signing-duration",
    }


def test_all_members_of_a_larger_control_plane_know_each_other(cluster: MakeCluster, release: Release) -> None:
    spec = cluster(controllers=3)
    pki = Pki.placeholder(request_for(spec))
    files = {file.path: file for file in node_files(spec, spec.nodes[2], pki, release, token=TOKEN)}
    assert arguments(files, "etcd")["initial-cluster"].split(",") == [
        "demo-controller-0=https://10.17.0.10:2380",
        "demo-controller-1=https://10.17.0.11:2380",
        "demo-controller-2=https://10.17.0.12:2380",
    ]
    assert arguments(files, "kube-apiserver")["etcd-servers"] == "https://10.17.0.12:2379"


@pytest.mark.parametrize(
    ("component", "uid", "extra", "added"),
    [
        ("etcd", 2000, {"/var/lib/etcd"}, []),
        ("kube-apiserver", 2001, {"/var/log/kubernetes/kube-apiserver"}, ["NET_BIND_SERVICE"]),
        ("kube-controller-manager", 2002, set(), []),
        ("kube-scheduler", 2003, set(), []),
    ],
)
def test_a_static_pod_is_confined(
    spec: ClusterSpec, controller: Files, component: str, uid: int, extra: set[str], added: list[str]
) -> None:
    body = pod(controller, component)["spec"]
    [container] = body["containers"]
    assert body["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": uid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    capabilities = container["securityContext"].pop("capabilities")
    assert (capabilities["drop"], capabilities.get("add", [])) == (["ALL"], added)
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    assert body["priorityClassName"] == "system-node-critical"
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}

    own = f"/etc/kubernetes/{component}"
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in body["volumes"]}
    assert set(paths.values()) == {own, *extra}
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    assert mounts == {own: True} | dict.fromkeys(extra, False)
    assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == paths

    directories = {d.path: (d.mode, d.uid, d.gid) for d in node_directories(spec, spec.nodes[0])}
    assert {path: directories[path] for path in paths.values()} == dict.fromkeys(paths.values(), (0o700, uid, uid))


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_file_that_a_flag_names_is_there_and_readable(
    spec: ClusterSpec, controller: Files, component: str
) -> None:
    directories = {d.path for d in node_directories(spec, spec.nodes[0])}
    uid = pod(controller, component)["spec"]["securityContext"]["runAsUser"]
    paths = {value for value in arguments(controller, component).values() if value.startswith("/")}
    files = paths - directories - {"/var/log/kubernetes/kube-apiserver/audit.log"}
    assert len(files) >= 4
    assert {path: (controller[path].mode, controller[path].uid) for path in files} == dict.fromkeys(files, (0o400, uid))


def test_ids_are_unique(controller: Files) -> None:
    ids = [pod(controller, component)["spec"]["securityContext"]["runAsUser"] for component in COMPONENTS]
    assert len({*ids, 0}) == len(COMPONENTS) + 1


NODE = "demo-controller-0"
KEYS = {
    "apiserver/demo-controller-0": ["kube-apiserver/server.key"],
    "apiserver-etcd-client/demo-controller-0": ["kube-apiserver/etcd-client.key"],
    "apiserver-kubelet-client/demo-controller-0": ["kube-apiserver/kubelet-client.key"],
    "front-proxy-client/demo-controller-0": ["kube-apiserver/front-proxy-client.key"],
    "controller-manager/demo-controller-0": ["kube-controller-manager/kubeconfig"],
    "controller-manager-server/demo-controller-0": ["kube-controller-manager/server.key"],
    "scheduler/demo-controller-0": ["kube-scheduler/kubeconfig"],
    "scheduler-server/demo-controller-0": ["kube-scheduler/server.key"],
    "etcd-server/demo-controller-0": ["etcd/server.key"],
    "etcd-peer/demo-controller-0": ["etcd/peer.key"],
    "kubelet-client/demo-controller-0": ["kubelet/kubeconfig"],
    "kubelet-server/demo-controller-0": ["kubelet/server.key"],
    "ca/kubernetes": ["kube-controller-manager/ca.key"],
    "service account": ["kube-apiserver/service-account.key", "kube-controller-manager/service-account.key"],
    "encryption": ["kube-apiserver/encryption.yaml"],
}


def places(pki: Pki, files: Files) -> dict[str, list[str]]:
    """Where each secret of the PKI lies, in the clear or as base64."""
    secrets = {name: pair.key for name, pair in pki.leaves.items()}
    secrets |= {f"ca/{name}": pair.key for name, pair in pki.authorities.items()}
    secrets |= {"service account": pki.service_account.key, "encryption": pki.encryption_key}
    found: dict[str, list[str]] = defaultdict(list)
    for name, secret in secrets.items():
        for path, file in files.items():
            if secret in file.content or base64.b64encode(secret.encode()).decode() in file.content:
                found[name].append(path.removeprefix("/etc/kubernetes/"))
    return dict(found)


def test_a_controller_holds_its_own_keys_each_in_one_place(pki: Pki, controller: Files) -> None:
    assert places(pki, controller) == KEYS


def test_a_worker_holds_its_serving_key_and_the_token(pki: Pki, worker: Files) -> None:
    assert places(pki, worker) == {"kubelet-server/demo-worker-0": ["kubelet/server.key"]}
    assert [path for path, file in worker.items() if TOKEN in file.content] == [
        "/etc/kubernetes/kubelet/bootstrap-kubeconfig"
    ]
    assert worker["/etc/kubernetes/kubelet/bootstrap-kubeconfig"].mode == 0o400


def test_no_token_on_a_controller(controller: Files) -> None:
    assert [path for path, file in controller.items() if TOKEN in file.content] == []


@pytest.mark.parametrize("role", ["controller", "worker"])
def test_no_secret_is_readable_by_group_or_others(role: str, pki: Pki, request: pytest.FixtureRequest) -> None:
    files: Files = request.getfixturevalue(role)
    secret = {f"/etc/kubernetes/{path}" for paths in places(pki, files).values() for path in paths}
    secret |= {path for path, file in files.items() if "PRIVATE KEY" in file.content or TOKEN in file.content}
    assert {path: f"{files[path].mode:o}" for path in secret} == dict.fromkeys(secret, "400")


@pytest.mark.parametrize(
    ("path", "server", "user", "leaf"),
    [
        ("kubelet/kubeconfig", "https://10.17.0.10:6443", "system:node:demo-controller-0", "kubelet-client"),
        (
            "kube-controller-manager/kubeconfig",
            "https://10.17.0.10:6443",
            "system:kube-controller-manager",
            "controller-manager",
        ),
        ("kube-scheduler/kubeconfig", "https://10.17.0.10:6443", "system:kube-scheduler", "scheduler"),
    ],
)
def test_kubeconfigs(pki: Pki, controller: Files, path: str, server: str, user: str, leaf: str) -> None:
    pair = pki.leaf(leaf, NODE)
    assert yaml.safe_load(controller[f"/etc/kubernetes/{path}"].content) == kubeconfig(
        pki,
        server,
        user,
        {"client-certificate-data": encode(pair.certificate), "client-key-data": encode(pair.key)},
    )


def test_a_worker_bootstraps_by_the_apis_name(pki: Pki, worker: Files) -> None:
    content = worker["/etc/kubernetes/kubelet/bootstrap-kubeconfig"].content
    assert yaml.safe_load(content) == kubeconfig(
        pki, "https://demo.firestorm.internal:6443", "kubelet-bootstrap", {"token": TOKEN}
    )


@pytest.mark.parametrize("system", ["debian", "flatcar", "fcos"])
def test_paths_are_unique_and_yaml_parses(cluster: MakeCluster, release: Release, system: str) -> None:
    spec = cluster(system)
    pki = Pki.placeholder(request_for(spec))
    for node in spec.nodes:
        files = node_files(spec, node, pki, release, token=TOKEN)
        paths = [file.path for file in files] + [d.path for d in node_directories(spec, node)]
        assert len(set(paths)) == len(paths)
        for file in files:
            if file.path.endswith(".yaml"):
                assert yaml.safe_load(file.content)["apiVersion"]
        assert node_files(spec, node, pki, release, token=TOKEN) == files


def test_another_worker_changes_no_other_machine(cluster: MakeCluster, release: Release) -> None:
    def rendered(spec: ClusterSpec) -> dict[str, tuple[NodeFile, ...]]:
        pki = Pki.placeholder(request_for(spec))
        return {node.name: node_files(spec, node, pki, release, token=TOKEN) for node in spec.nodes}

    few, many = rendered(cluster(workers=1)), rendered(cluster(workers=2))
    assert {name: many[name] for name in few} == few
    assert many.keys() - few.keys() == {"demo-worker-1"}


def test_selinux_types_where_it_is_enforced(cluster: MakeCluster, release: Release) -> None:
    spec = cluster("fcos")
    pki = Pki.placeholder(request_for(spec))
    files = {file.path: file for file in node_files(spec, spec.nodes[0], pki, release, token=TOKEN)}
    for component in COMPONENTS:
        assert pod(files, component)["spec"]["securityContext"]["seLinuxOptions"] == {"type": "spc_t"}


def test_the_apiservers_configuration(pki: Pki, controller: Files) -> None:
    def load(name: str) -> Any:
        return yaml.safe_load(controller[f"/etc/kubernetes/kube-apiserver/{name}.yaml"].content)

    assert load("authentication")["anonymous"] == {
        "enabled": True,
        "conditions": [{"path": "/livez"}, {"path": "/readyz"}, {"path": "/healthz"}],
    }
    [rule] = load("encryption")["resources"]
    assert rule["resources"] == ["secrets"]
    assert [next(iter(provider)) for provider in rule["providers"]] == ["secretbox", "identity"]
    assert rule["providers"][0]["secretbox"]["keys"] == [{"name": "generation-1", "secret": pki.encryption_key}]
    [plugin] = load("admission")["plugins"]
    assert plugin["configuration"]["defaults"]["enforce"] == "baseline"
    assert plugin["configuration"]["exemptions"]["namespaces"] == ["kube-system", "kube-flannel"]
    # No request body is ever recorded: it may be a Secret.
    assert {rule["level"] for rule in load("audit-policy")["rules"]} == {"None", "Metadata"}
    assert load("audit-policy")["rules"][-1] == {"level": "Metadata"}


def kubeconfig(pki: Pki, server: str, user: str, credentials: dict[str, str]) -> dict[str, Any]:
    authority = encode(pki.authority("kubernetes").certificate)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "demo", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": user}}],
        "current-context": "demo",
    }


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
