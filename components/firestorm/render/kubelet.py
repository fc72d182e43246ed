"""The kubelet's configuration: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/"""

from __future__ import annotations

from typing import Any

from firestorm.render.files import KUBELET, MANIFESTS_DIRECTORY, VOLUME_PLUGIN_DIRECTORY
from firestorm.render.systems import SYSTEMS
from firestorm.render.text import TLS_CIPHERS, TLS_MINIMUM, to_yaml
from firestorm.spec.model import ClusterSpec, Node

CONFIG_PATH = "/etc/kubernetes/kubelet.yaml"
ENV_PATH = "/etc/kubernetes/kubelet.env"
KUBECONFIG_PATH = KUBELET.path("kubeconfig")
BOOTSTRAP_KUBECONFIG_PATH = KUBELET.path("bootstrap-kubeconfig")
WORKER_KUBECONFIG_PATH = "/var/lib/kubelet/kubeconfig"
POOL_LABEL = "firestorm.internal/pool"


def kubelet_env(node: Node) -> str:
    """An environment file with KUBELET_ARGS, every flag of the node's kubelet: those that no config file can hold."""
    own = {POOL_LABEL: node.pool.name} | node.pool.labels
    labels = ",".join(f"{key}={value}" for key, value in own.items())
    arguments = [f"--config={CONFIG_PATH}"]
    if node.role == "controller":
        arguments.append(f"--kubeconfig={KUBECONFIG_PATH}")
    else:
        # Written by the kubelet once its certificate is signed; /etc keeps what Ignition wrote.
        arguments += [f"--kubeconfig={WORKER_KUBECONFIG_PATH}", f"--bootstrap-kubeconfig={BOOTSTRAP_KUBECONFIG_PATH}"]
    arguments += [f"--hostname-override={node.name}", f"--node-ip={node.address}", f"--node-labels={labels}"]
    return f'KUBELET_ARGS="{" ".join(arguments)}"\n'


def kubelet_config(spec: ClusterSpec, node: Node) -> str:
    """The KubeletConfiguration of a node."""
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        **_access(),
        **_node(spec, node),
        **_resources(),
        **_housekeeping(),
    }
    return to_yaml(config)


def _access() -> dict[str, Any]:
    return {
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": KUBELET.path("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": KUBELET.path("server.crt"),
        "tlsPrivateKeyFile": KUBELET.path("server.key"),
        "tlsMinVersion": TLS_MINIMUM,
        "tlsCipherSuites": list(TLS_CIPHERS),
        "rotateCertificates": True,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "enableProfilingHandler": False,
        "enableDebugFlagsHandler": False,
        "streamingConnectionIdleTimeout": "30m",
    }


def _node(spec: ClusterSpec, node: Node) -> dict[str, Any]:
    config: dict[str, Any] = {
        "cgroupDriver": "systemd",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": [str(spec.network.dns_service)],
        "clusterDomain": spec.network.domain,
        "resolvConf": SYSTEMS[node.pool.os.name].resolv_conf,
        "seccompDefault": True,
        "protectKernelDefaults": True,
        "volumePluginDir": VOLUME_PLUGIN_DIRECTORY,
    }
    if node.role == "controller":
        config["staticPodPath"] = MANIFESTS_DIRECTORY
    if taints := _taints(node):
        config["registerWithTaints"] = taints
    return config


def _resources() -> dict[str, Any]:
    return {
        "systemReserved": {"cpu": "100m", "memory": "200Mi", "ephemeral-storage": "1Gi"},
        "kubeReserved": {"cpu": "100m", "memory": "200Mi", "ephemeral-storage": "1Gi"},
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "10%",
            "imagefs.inodesFree": "5%",
            "pid.available": "10%",
        },
        "podPidsLimit": 4096,
    }


def _housekeeping() -> dict[str, Any]:
    return {
        # A registry that answers slowly for one image does not hold up the others.
        "serializeImagePulls": False,
        "maxParallelImagePulls": 4,
        "imageGCHighThresholdPercent": 80,
        "imageGCLowThresholdPercent": 70,
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 5,
        "shutdownGracePeriod": "45s",
        "shutdownGracePeriodCriticalPods": "30s",
    }


def _taints(node: Node) -> list[dict[str, str]]:
    """The pool's taints; a specification gives controllers the control plane's own unless told otherwise."""
    return [
        {"key": taint.key, **({"value": taint.value} if taint.value else {}), "effect": taint.effect}
        for taint in node.pool.taints
    ]
