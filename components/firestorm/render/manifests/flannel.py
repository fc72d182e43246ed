"""flannel, the pod network: VXLAN between nodes, nftables for masquerading.

https://github.com/flannel-io/flannel/blob/v0.28.10/Documentation/configuration.md
"""

from __future__ import annotations

import json

from firestorm.releases import Release
from firestorm.render.manifests.objects import (
    Object,
    cluster_role,
    cluster_role_binding,
    config_map,
    daemon_set,
    field_variable,
    http_probe,
    metadata,
    seccomp,
    service_account,
)
from firestorm.render.systems import any_selinux
from firestorm.spec.model import ClusterSpec

NAMESPACE = "kube-flannel"

_NAME = "flannel"
_CONFIG_DIRECTORY = "/etc/kube-flannel"
_CNI_BINARIES = "/opt/cni/bin"
_RUN = "/run/flannel"
_HEALTH_PORT = 8473  # beside VXLAN's 8472, which is UDP; on loopback


def flannel(spec: ClusterSpec, release: Release) -> list[Object]:
    """The DaemonSet and what it needs, in a namespace of its own.

    The CNI configuration is the node's own (cni-config.path): it makes a node ready for pods, and has to come after the
    subnet that flannel writes, where an init container would come before it.
    """
    account, subject = service_account(_NAME, NAMESPACE)
    labels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata(NAMESPACE, labels=labels)},
        account,
        cluster_role(
            "firestorm:flannel", [("", ["nodes"], ["get", "list", "watch"]), ("", ["nodes/status"], ["patch"])]
        ),
        cluster_role_binding("firestorm:flannel", "firestorm:flannel", subject),
        config_map(_NAME, NAMESPACE, {"net-conf.json": _network(spec)}),
        daemon_set(_NAME, NAMESPACE, {"k8s-app": _NAME}, _pod(spec, release)),
    ]


def _network(spec: ClusterSpec) -> str:
    return _json({"Network": str(spec.network.pods), "EnableNFTables": True, "Backend": {"Type": "vxlan"}})


def _pod(spec: ClusterSpec, release: Release) -> Object:
    security: Object = {"seccompProfile": seccomp()}
    if any_selinux(spec):
        security["seLinuxOptions"] = {"type": "spc_t"}
    return {
        "serviceAccountName": _NAME,
        "securityContext": security,
        "initContainers": [_install_plugin(release)],
        "containers": [_container(spec, release)],
        "volumes": [
            {"name": "plugin", "hostPath": {"path": _CNI_BINARIES, "type": "DirectoryOrCreate"}},
            {"name": "run", "hostPath": {"path": _RUN, "type": "DirectoryOrCreate"}},
            {"name": "config", "configMap": {"name": _NAME}},
        ],
    }


def _install_plugin(release: Release) -> Object:
    return {
        "name": "install-plugin",
        "image": release.images.flannel_cni,
        "command": ["cp", "-f", "/flannel", f"{_CNI_BINARIES}/flannel"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "10m", "memory": "10Mi"}},
        "volumeMounts": [{"name": "plugin", "mountPath": _CNI_BINARIES}],
    }


def _container(spec: ClusterSpec, release: Release) -> Object:
    return {
        "name": _NAME,
        "image": release.images.flannel,
        "command": [
            "/opt/bin/flanneld",
            "--ip-masq",
            "--kube-subnet-mgr",
            "--iface=$(NODE_IP)",
            "--healthz-ip=127.0.0.1",
            f"--healthz-port={_HEALTH_PORT}",
        ],
        "env": [
            field_variable("NODE_NAME", "spec.nodeName"),
            field_variable("NODE_IP", "status.hostIP"),
            # The API server under its own name: the pod network must not depend on kube-proxy.
            {"name": "KUBERNETES_SERVICE_HOST", "value": spec.api_name},
            {"name": "KUBERNETES_SERVICE_PORT", "value": "6443"},
        ],
        # Its root file system is writable: the image's iptables wrapper sets links at its first call.
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
        },
        "resources": {"requests": {"cpu": "50m", "memory": "40Mi"}},
        "livenessProbe": http_probe("/healthz", _HEALTH_PORT, 30, host="127.0.0.1"),
        "readinessProbe": http_probe("/readyz", _HEALTH_PORT, 5, host="127.0.0.1"),
        "volumeMounts": [
            {"name": "run", "mountPath": _RUN},
            {"name": "config", "mountPath": _CONFIG_DIRECTORY, "readOnly": True},
        ],
    }


def _json(data: Object) -> str:
    return json.dumps(data, indent=2) + "\n"
