"""Forms that several objects share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Object = dict[str, Any]

SYSTEM_NAMESPACE = "kube-system"
RBAC = "rbac.authorization.k8s.io"


def metadata(name: str, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> Object:
    """An object's metadata, without what is not given."""
    result: Object = {"name": name}
    if namespace is not None:
        result["namespace"] = namespace
    if labels:
        result["labels"] = dict(labels)
    return result


def cluster_role(name: str, rules: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> Object:
    """A ClusterRole of (API group, resources, verbs) rules."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": metadata(name),
        "rules": [
            {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
            for group, resources, verbs in rules
        ],
    }


def cluster_role_binding(name: str, role: str, subject: Object) -> Object:
    """A ClusterRoleBinding of one subject."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata(name),
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def group(name: str) -> Object:
    """A group as an RBAC subject."""
    return {"apiGroup": RBAC, "kind": "Group", "name": name}


def service_account(name: str, namespace: str) -> tuple[Object, Object]:
    """A ServiceAccount, and itself as an RBAC subject."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name, namespace)}
    return account, {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def config_map(name: str, namespace: str, data: Mapping[str, str]) -> Object:
    """A ConfigMap of texts."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name, namespace), "data": dict(data)}


def field_variable(name: str, field_path: str) -> Object:
    """An environment variable that takes a field of the pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": field_path}}}


def http_probe(path: str, port: int, period: int, *, host: str | None = None, failures: int = 3) -> Object:
    """An HTTP probe; `host` for pods on the node's network that listen on one address only."""
    get: Object = {"path": path, "port": port}
    if host is not None:
        get["host"] = host
    return {"httpGet": get, "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures}


def daemon_set(name: str, namespace: str, labels: Mapping[str, str], pod: Object) -> Object:
    """A DaemonSet on every Linux node, whatever its taints, on the node's network; `pod` adds to the pod's spec."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(name, namespace, labels),
        "spec": {
            "selector": {"matchLabels": dict(labels)},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {
                    "hostNetwork": True,
                    "priorityClassName": "system-node-critical",
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "tolerations": [{"operator": "Exists"}],
                    "enableServiceLinks": False,
                    **pod,
                },
            },
        },
    }


def seccomp(kind: Literal["RuntimeDefault", "Unconfined"] = "RuntimeDefault") -> Object:
    """A seccomp profile."""
    return {"type": kind}
