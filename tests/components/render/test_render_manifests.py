from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from firestorm.errors import RenderError
from firestorm.pki import Pki
from firestorm.releases import Release
from firestorm.render import admin_kubeconfig, manifests
from firestorm.spec.model import ClusterSpec, Libvirt

FACTS = Path(__file__).parent / "facts"
TOKEN = "abcdef.0123456789abcdef"
NOW = datetime(2026, 3, 1, 13, 0, 15, 999, tzinfo=timezone(timedelta(hours=1)))

MakeCluster = Callable[..., ClusterSpec]


def find(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def test_order(spec: ClusterSpec, release: Release) -> None:
    objects = manifests(spec, release, token=TOKEN, now=NOW)
    assert [f"{o['kind']} {o['metadata'].get('namespace', '-')} {o['metadata']['name']}" for o in objects] == [
        "ClusterRoleBinding - firestorm:node-bootstrap",
        "ClusterRoleBinding - firestorm:node-approve",
        "ClusterRoleBinding - firestorm:node-renew",
        "ClusterRoleBinding - firestorm:kubelet-api",
        "Secret kube-system bootstrap-token-abcdef",
        "Namespace - kube-flannel",
        "ServiceAccount kube-flannel flannel",
        "ClusterRole - firestorm:flannel",
        "ClusterRoleBinding - firestorm:flannel",
        "ConfigMap kube-flannel flannel",
        "DaemonSet kube-flannel flannel",
        "ServiceAccount kube-system kube-proxy",
        "ClusterRoleBinding - firestorm:kube-proxy",
        "ConfigMap kube-system kube-proxy",
        "DaemonSet kube-system kube-proxy",
        "ServiceAccount kube-system coredns",
        "ClusterRole - firestorm:coredns",
        "ClusterRoleBinding - firestorm:coredns",
        "ConfigMap kube-system coredns",
        "Service kube-system kube-dns",
        "Deployment kube-system coredns",
        "PodDisruptionBudget kube-system coredns",
    ]


def test_without_a_token_nothing_depends_on_time(spec: ClusterSpec, release: Release) -> None:
    with_token = manifests(spec, release, token=TOKEN, now=NOW)
    assert manifests(spec, release) == [o for o in with_token if o["kind"] != "Secret"]


def test_the_bootstrap_token_secret(spec: ClusterSpec, release: Release) -> None:
    secret = find(manifests(spec, release, token=TOKEN, now=NOW), "Secret", "bootstrap-token-abcdef")
    assert secret["type"] == "bootstrap.kubernetes.io/token"
    assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "expiration": "2026-03-02T12:00:15Z",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:firestorm:nodes",
    }


@pytest.mark.parametrize(
    ("token", "now", "message"),
    [
        (
            "abcdef.short",
            NOW,
            "a bootstrap token has 6 characters, a dot and 16 more, each of a-z or 0-9; this one has not",
        ),
        (
            f"{TOKEN}\n",
            NOW,
            "a bootstrap token has 6 characters, a dot and 16 more, each of a-z or 0-9; this one has not",
        ),
        (TOKEN, None, "a bootstrap token needs the time at which its life begins"),
    ],
)
def test_bad_tokens(spec: ClusterSpec, release: Release, token: str, now: datetime | None, message: str) -> None:
    with pytest.raises(RenderError) as caught:
        manifests(spec, release, token=token, now=now)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "role", "subject"),
    [
        ("firestorm:node-bootstrap", "system:node-bootstrapper", "system:bootstrappers:firestorm:nodes"),
        (
            "firestorm:node-approve",
            "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
            "system:bootstrappers:firestorm:nodes",
        ),
        (
            "firestorm:node-renew",
            "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            "system:nodes",
        ),
        ("firestorm:kubelet-api", "system:kubelet-api-admin", "firestorm:kubelet-api-clients"),
    ],
)
def test_bindings(spec: ClusterSpec, release: Release, name: str, role: str, subject: str) -> None:
    binding = find(manifests(spec, release), "ClusterRoleBinding", name)
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    assert binding["subjects"] == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": subject}]


@pytest.mark.parametrize(("workers", "replicas", "budgets"), [(0, 1, 0), (1, 2, 1), (5, 2, 1)])
def test_coredns_replicas(cluster: MakeCluster, release: Release, workers: int, replicas: int, budgets: int) -> None:
    objects = manifests(cluster(workers=workers), release)
    assert find(objects, "Deployment", "coredns")["spec"]["replicas"] == replicas
    assert len([o for o in objects if o["kind"] == "PodDisruptionBudget"]) == budgets


def test_coredns_serves_the_clusters_domain_at_the_dns_address(spec: ClusterSpec, release: Release) -> None:
    objects = manifests(spec, release)
    service = find(objects, "Service", "kube-dns")["spec"]
    pod = find(objects, "Deployment", "coredns")["spec"]["template"]
    assert service["clusterIP"] == "10.19.0.10"
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    assert (
        "    kubernetes cluster.local in-addr.arpa ip6.arpa {"
        in find(objects, "ConfigMap", "coredns")["data"]["Corefile"].splitlines()
    )


def test_kube_proxy_reaches_the_api_without_services(spec: ClusterSpec, release: Release) -> None:
    data = find(manifests(spec, release), "ConfigMap", "kube-proxy")["data"]
    config, kubeconfig = (yaml.safe_load(data[name]) for name in ("config.yaml", "kubeconfig"))
    known = set((FACTS / "kube-proxy-config-1.36.4.txt").read_text().split())
    assert config.keys() - known == {"apiVersion", "kind"}
    assert (config["mode"], config["clusterCIDR"]) == ("nftables", "10.18.0.0/16")
    assert kubeconfig["clusters"][0]["cluster"] == {
        "server": "https://demo.firestorm.internal:6443",
        "certificate-authority": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    }
    assert kubeconfig["users"][0]["user"] == {"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}


def test_flannels_network(spec: ClusterSpec, release: Release) -> None:
    objects = manifests(spec, release)
    data = find(objects, "ConfigMap", "flannel")["data"]
    assert json.loads(data["net-conf.json"]) == {
        "Network": "10.18.0.0/16",
        "EnableNFTables": True,
        "Backend": {"Type": "vxlan"},
    }
    [container] = find(objects, "DaemonSet", "flannel")["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert environment["KUBERNETES_SERVICE_HOST"] == "demo.firestorm.internal"
    assert environment["KUBERNETES_SERVICE_PORT"] == "6443"


def test_no_container_is_privileged_or_keeps_default_capabilities(spec: ClusterSpec, release: Release) -> None:
    kept = {}
    for o in manifests(spec, release):
        template = o.get("spec", {}).get("template")
        if template is None:
            continue
        body = template["spec"]
        assert body["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert body["priorityClassName"].startswith("system-")
        for container in (*body.get("initContainers", ()), *body["containers"]):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"]["drop"] == ["ALL"]
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            kept[container["name"]] = security["capabilities"].get("add", [])
    assert kept == {
        "install-plugin": [],
        "flannel": ["NET_ADMIN", "NET_RAW"],
        "kube-proxy": ["NET_ADMIN"],
        "coredns": ["NET_BIND_SERVICE"],
    }


@pytest.mark.parametrize(("system", "options"), [("fcos", {"type": "spc_t"}), ("flatcar", None), ("debian", None)])
def test_flannel_under_selinux(
    cluster: MakeCluster, release: Release, system: str, options: dict[str, str] | None
) -> None:
    body = find(manifests(cluster(system), release), "DaemonSet", "flannel")["spec"]["template"]["spec"]
    assert body["securityContext"].get("seLinuxOptions") == options


def test_every_reference_to_a_configmap_and_an_account_is_met(spec: ClusterSpec, release: Release) -> None:
    objects = manifests(spec, release)
    known = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects}
    wanted = set()
    for o in objects:
        if (template := o.get("spec", {}).get("template")) is not None:
            namespace = o["metadata"]["namespace"]
            wanted.add(("ServiceAccount", namespace, template["spec"]["serviceAccountName"]))
            wanted |= {
                ("ConfigMap", namespace, volume["configMap"]["name"])
                for volume in template["spec"]["volumes"]
                if "configMap" in volume
            }
    assert len(wanted) == 6
    assert wanted <= known


@pytest.mark.parametrize(
    ("platform", "server"),
    [
        (Libvirt(uri="qemu:///system"), "https://10.17.0.10:6443"),
        (Libvirt(uri="qemu:///system", api_port=16443), "https://127.0.0.1:16443"),
    ],
)
def test_the_administrators_kubeconfig(cluster: MakeCluster, pki: Pki, platform: Libvirt, server: str) -> None:
    def encode(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    admin = pki.leaf("admin")
    assert yaml.safe_load(admin_kubeconfig(cluster(platform=platform), pki)) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "demo",
                "cluster": {
                    "server": server,
                    "certificate-authority-data": encode(pki.authority("kubernetes").certificate),
                },
            }
        ],
        "users": [
            {
                "name": "demo-admin",
                "user": {"client-certificate-data": encode(admin.certificate), "client-key-data": encode(admin.key)},
            }
        ],
        "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "demo-admin"}}],
        "current-context": "demo",
    }


def test_objects_are_made_anew_for_every_call(spec: ClusterSpec, release: Release) -> None:
    first = manifests(spec, release, token=TOKEN, now=NOW.astimezone(UTC))
    text = json.dumps(first)
    first[0]["metadata"]["name"] = "changed"
    assert json.dumps(manifests(spec, release, token=TOKEN, now=NOW)) == text
