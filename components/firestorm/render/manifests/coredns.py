"""CoreDNS, the cluster's DNS: https://kubernetes.io/docs/tasks/administer-cluster/coredns/"""

from __future__ import annotations

from firestorm.releases import Release
from firestorm.render.manifests.objects import (
    SYSTEM_NAMESPACE,
    Object,
    cluster_role,
    cluster_role_binding,
    config_map,
    http_probe,
    metadata,
    seccomp,
    service_account,
)
from firestorm.spec.model import ClusterSpec

_NAME = "coredns"
_LABELS = {"k8s-app": "kube-dns"}  # what Kubernetes' own tools and tests look for
_USER = 65532


def coredns(spec: ClusterSpec, release: Release) -> list[Object]:
    """The Deployment, its Service at the cluster's DNS address, and what they need."""
    replicas = 1 if len(spec.nodes) == 1 else 2
    account, subject = service_account(_NAME, SYSTEM_NAMESPACE)
    return [
        account,
        cluster_role(
            "firestorm:coredns",
            [
                ("", ["services", "pods", "namespaces"], ["list", "watch"]),
                ("discovery.k8s.io", ["endpointslices"], ["list", "watch"]),
            ],
        ),
        cluster_role_binding("firestorm:coredns", "firestorm:coredns", subject),
        config_map(_NAME, SYSTEM_NAMESPACE, {"Corefile": _corefile(spec)}),
        _service(spec),
        _deployment(release, replicas),
        *([_disruption_budget()] if replicas > 1 else []),
    ]


def _corefile(spec: ClusterSpec) -> str:
    return f""".:53 {{
    errors
    health {{
        lameduck 5s
    }}
    ready
    kubernetes {spec.network.domain} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
        max_concurrent 1000
    }}
    cache 30
    loop
    reload
    loadbalance
}}
"""


def _service(spec: ClusterSpec) -> Object:
    labels = _LABELS | {"kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata("kube-dns", SYSTEM_NAMESPACE, labels),
        "spec": {
            "selector": dict(_LABELS),
            "clusterIP": str(spec.network.dns_service),
            "ports": [
                {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 53},
                {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": 53},
                {"name": "metrics", "protocol": "TCP", "port": 9153, "targetPort": 9153},
            ],
        },
    }


def _deployment(release: Release, replicas: int) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(_NAME, SYSTEM_NAMESPACE, _LABELS),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": dict(_LABELS)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {"metadata": {"labels": dict(_LABELS)}, "spec": _pod(release)},
        },
    }


def _pod(release: Release) -> Object:
    return {
        "serviceAccountName": _NAME,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "enableServiceLinks": False,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(_LABELS)},
            }
        ],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": seccomp(),
            # Port 53 without a capability; a safe sysctl, of the pod's own network namespace.
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        },
        "containers": [_container(release)],
        "volumes": [{"name": "config", "configMap": {"name": _NAME}}],
    }


def _container(release: Release) -> Object:
    return {
        "name": _NAME,
        "image": release.images.coredns,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        # NET_BIND_SERVICE is a file capability of the official image's binary, which cannot be executed without it.
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        },
        "resources": {"requests": {"cpu": "50m", "memory": "70Mi"}, "limits": {"memory": "170Mi"}},
        "livenessProbe": http_probe("/health", 8080, 30, failures=5),
        "readinessProbe": http_probe("/ready", 8181, 10),
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }


def _disruption_budget() -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(_NAME, SYSTEM_NAMESPACE, _LABELS),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": dict(_LABELS)}},
    }
