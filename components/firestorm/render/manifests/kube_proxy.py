"""kube-proxy in nftables mode: https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-nftables"""

from __future__ import annotations

from firestorm.releases import Release
from firestorm.render.manifests.objects import (
    SYSTEM_NAMESPACE,
    Object,
    cluster_role_binding,
    config_map,
    daemon_set,
    field_variable,
    http_probe,
    seccomp,
    service_account,
)
from firestorm.render.text import to_yaml
from firestorm.spec.model import ClusterSpec

_NAME = "kube-proxy"
_CONFIG_DIRECTORY = "/etc/kube-proxy"
_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
_HEALTH_PORT = 10256


def kube_proxy(spec: ClusterSpec, release: Release) -> list[Object]:
    """The DaemonSet and what it needs."""
    account, subject = service_account(_NAME, SYSTEM_NAMESPACE)
    files = {"kubeconfig": _kubeconfig(spec), "config.yaml": _config(spec)}
    return [
        account,
        cluster_role_binding("firestorm:kube-proxy", "system:node-proxier", subject),
        config_map(_NAME, SYSTEM_NAMESPACE, files),
        daemon_set(_NAME, SYSTEM_NAMESPACE, {"k8s-app": _NAME}, _pod(release)),
    ]


def _pod(release: Release) -> Object:
    return {
        "serviceAccountName": _NAME,
        "securityContext": {"seccompProfile": seccomp()},
        "containers": [
            {
                "name": _NAME,
                "image": release.images.proxy,
                "command": [_NAME, f"--config={_CONFIG_DIRECTORY}/config.yaml", "--hostname-override=$(NODE_NAME)"],
                "env": [field_variable("NODE_NAME", "spec.nodeName")],
                # All that nft needs; what kube-proxy would do with more, the node's sysctls have done.
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
                },
                "resources": {"requests": {"cpu": "50m", "memory": "40Mi"}},
                "livenessProbe": http_probe("/livez", _HEALTH_PORT, 30, host="127.0.0.1", failures=6),
                "readinessProbe": http_probe("/healthz", _HEALTH_PORT, 10, host="127.0.0.1"),
                "volumeMounts": [{"name": "config", "mountPath": _CONFIG_DIRECTORY, "readOnly": True}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": _NAME}}],
    }


def _config(spec: ClusterSpec) -> str:
    return to_yaml(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": f"{_CONFIG_DIRECTORY}/kubeconfig"},
            "clusterCIDR": str(spec.network.pods),
            "detectLocalMode": "ClusterCIDR",
            "healthzBindAddress": f"0.0.0.0:{_HEALTH_PORT}",
            "metricsBindAddress": "127.0.0.1:10249",
            # Zero leaves the kernel's values alone: setting them takes root with a writable /proc/sys.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
                "udpTimeout": "0s",
                "udpStreamTimeout": "0s",
            },
        }
    )


def _kubeconfig(spec: ClusterSpec) -> str:
    """The API server under its own name: the Service `kubernetes` works only once kube-proxy does."""
    return to_yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": spec.name,
                    "cluster": {
                        "server": f"https://{spec.api_endpoint}",
                        "certificate-authority": f"{_ACCOUNT_DIRECTORY}/ca.crt",
                    },
                }
            ],
            "users": [{"name": _NAME, "user": {"tokenFile": f"{_ACCOUNT_DIRECTORY}/token"}}],
            "contexts": [{"name": spec.name, "context": {"cluster": spec.name, "user": _NAME}}],
            "current-context": spec.name,
        }
    )
