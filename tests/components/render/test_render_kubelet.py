from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from firestorm.render import kubelet_config, kubelet_env
from firestorm.spec.model import ClusterSpec, Taint

MakeCluster = Callable[..., ClusterSpec]


def config(spec: ClusterSpec, index: int) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(kubelet_config(spec, spec.nodes[index]))
    return data


def test_access_to_the_kubelet(spec: ClusterSpec) -> None:
    actual = config(spec, 1)
    expected = {
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": "/etc/kubernetes/kubelet/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": "/etc/kubernetes/kubelet/server.crt",
        "tlsPrivateKeyFile": "/etc/kubernetes/kubelet/server.key",
        "tlsMinVersion": "VersionTLS12",
        "rotateCertificates": True,
        "readOnlyPort": 0,
        "seccompDefault": True,
        "protectKernelDefaults": True,
        "shutdownGracePeriod": "45s",
        "shutdownGracePeriodCriticalPods": "30s",
        "clusterDNS": ["10.19.0.10"],
        "clusterDomain": "cluster.local",
    }
    assert {key: actual.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("system", "path"),
    [
        ("flatcar", "/run/systemd/resolve/resolv.conf"),
        ("fcos", "/run/systemd/resolve/resolv.conf"),
        ("debian", "/etc/resolv.conf"),
    ],
)
def test_dns_servers_of_the_system(cluster: MakeCluster, system: str, path: str) -> None:
    assert config(cluster(system), 0)["resolvConf"] == path


CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("fields", "controller", "worker"),
    [
        ({}, [CONTROL_PLANE], None),
        ({"controller": {"taints": ()}}, None, None),
        (
            {"controller": {"taints": (Taint(key="node-role.kubernetes.io/control-plane"), Taint(key="a"))}},
            [CONTROL_PLANE, {"key": "a", "effect": "NoSchedule"}],
            None,
        ),
        (
            {"worker": {"taints": (Taint(key="gpu", value="yes", effect="NoExecute"),)}},
            [CONTROL_PLANE],
            [{"key": "gpu", "value": "yes", "effect": "NoExecute"}],
        ),
    ],
)
def test_taints(
    cluster: MakeCluster,
    fields: dict[str, Any],
    controller: list[dict[str, str]],
    worker: list[dict[str, str]] | None,
) -> None:
    spec = cluster(**fields)
    assert [config(spec, index).get("registerWithTaints") for index in (0, 1)] == [controller, worker]


def test_only_controllers_run_static_pods(spec: ClusterSpec) -> None:
    assert [config(spec, index).get("staticPodPath") for index in (0, 1)] == ["/etc/kubernetes/manifests", None]


def test_flags(cluster: MakeCluster) -> None:
    spec = cluster(worker={"labels": {"disk": "fast"}})
    assert [kubelet_env(node) for node in spec.nodes] == [
        'KUBELET_ARGS="--config=/etc/kubernetes/kubelet.yaml --kubeconfig=/etc/kubernetes/kubelet/kubeconfig '
        "--hostname-override=demo-controller-0 --node-ip=10.17.0.10 "
        '--node-labels=firestorm.internal/pool=controller"\n',
        'KUBELET_ARGS="--config=/etc/kubernetes/kubelet.yaml --kubeconfig=/var/lib/kubelet/kubeconfig '
        "--bootstrap-kubeconfig=/etc/kubernetes/kubelet/bootstrap-kubeconfig "
        "--hostname-override=demo-worker-0 --node-ip=10.17.1.10 "
        '--node-labels=firestorm.internal/pool=worker,disk=fast"\n',
    ]
