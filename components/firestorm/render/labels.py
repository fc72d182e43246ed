"""Node labels: which a kubelet may give its own node, and which an administrator has to."""

from __future__ import annotations

from typing import Any

from firestorm.spec.model import ClusterSpec, Node

POOL_LABEL = "firestorm.internal/pool"

# What the kubelet accepts under kubernetes.io and k8s.io (k8s.io/kubelet/pkg/apis/well_known_labels.go, v0.36); the
# NodeRestriction admission plugin refuses the rest, so that a stolen node cannot attract other nodes' pods.
_KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
    }
)
_KUBELET_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_KUBERNETES_NAMESPACES = ("kubernetes.io", "k8s.io")


def kubelet_may_set(key: str) -> bool:
    """Whether `--node-labels` may hold this label."""
    namespace, slash, _ = key.partition("/")
    if not slash or not _within(namespace, _KUBERNETES_NAMESPACES):
        return True
    return key in _KUBELET_LABELS or _within(namespace, _KUBELET_NAMESPACES)


def kubelet_labels(node: Node) -> dict[str, str]:
    """The labels with which the node registers itself: its pool, and of the pool's own what a kubelet may set."""
    own = {key: value for key, value in node.pool.labels.items() if kubelet_may_set(key)}
    return {POOL_LABEL: node.pool.name} | own


def node_patches(spec: ClusterSpec) -> list[dict[str, Any]]:
    """Labels that only an administrator may set, as one partial Node object per machine.

    To be applied to nodes that have registered: a Node made beforehand would never get its taints, which the kubelet
    sets at registration only.
    """
    patches = []
    for node in spec.nodes:
        labels = {f"node-role.kubernetes.io/{'control-plane' if node.role == 'controller' else 'worker'}": ""}
        labels |= {key: value for key, value in node.pool.labels.items() if not kubelet_may_set(key)}
        patches.append({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name, "labels": labels}})
    return patches


def _within(namespace: str, parents: tuple[str, ...]) -> bool:
    return any(namespace == parent or namespace.endswith(f".{parent}") for parent in parents)
