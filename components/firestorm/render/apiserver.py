"""The API server's configuration files: who may come in, what is admitted, what is recorded, what is encrypted."""

from __future__ import annotations

from typing import Any

from firestorm.pki import Pki
from firestorm.render.text import to_yaml

HEALTH_PATHS = ("/livez", "/readyz", "/healthz")
EXEMPT_NAMESPACES = ("kube-system", "kube-flannel")

_AUTHENTICATED_READS = ["get", "list", "watch"]


def authentication_config() -> str:
    """Anonymous requests pass on the health paths alone: kubelets' probes and load balancers have no certificate.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#anonymous-authenticator-configuration
    """
    return to_yaml(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "anonymous": {"enabled": True, "conditions": [{"path": path} for path in HEALTH_PATHS]},
        }
    )


def admission_config() -> str:
    """Pod Security: `baseline` is enforced in every namespace that says nothing else, but for the system's own.

    https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/
    """
    return to_yaml(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AdmissionConfiguration",
            "plugins": [
                {
                    "name": "PodSecurity",
                    "configuration": {
                        "apiVersion": "pod-security.admission.config.k8s.io/v1",
                        "kind": "PodSecurityConfiguration",
                        "defaults": {
                            "enforce": "baseline",
                            "enforce-version": "latest",
                            "audit": "restricted",
                            "audit-version": "latest",
                            "warn": "restricted",
                            "warn-version": "latest",
                        },
                        "exemptions": {
                            "usernames": [],
                            "runtimeClasses": [],
                            "namespaces": list(EXEMPT_NAMESPACES),
                        },
                    },
                }
            ],
        }
    )


def encryption_config(pki: Pki) -> str:
    """Secrets are written with XSalsa20-Poly1305 ("secretbox"); what was written before in the clear is still read.

    https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
    """
    key = {"name": f"generation-{pki.request.generation}", "secret": pki.encryption_key}
    return to_yaml(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [
                {"resources": ["secrets"], "providers": [{"secretbox": {"keys": [key]}}, {"identity": {}}]},
            ],
        }
    )


def audit_policy() -> str:
    """Who changed what, and who read Secrets; never a request's body, which may itself be a secret.

    The first rule that matches decides. https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
    """
    secrets = [{"group": "", "resources": ["secrets", "serviceaccounts/token"]}]
    rules: list[dict[str, Any]] = [
        {"level": "None", "nonResourceURLs": [*(f"{path}*" for path in HEALTH_PATHS), "/version", "/openapi*"]},
        {"level": "None", "resources": [{"group": "", "resources": ["events"]}, {"group": "events.k8s.io"}]},
        # The heartbeats of nodes and leaders: several a second, and nothing to learn from them.
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {
            "level": "None",
            "userGroups": ["system:nodes"],
            "resources": [{"group": "", "resources": ["nodes/status", "pods/status"]}],
        },
        # Tokens for pods are renewed by kubelets all the time; a person asking for one is of interest.
        {"level": "None", "userGroups": ["system:nodes"], "resources": secrets},
        {"level": "Metadata", "resources": secrets},
        {"level": "None", "verbs": _AUTHENTICATED_READS},
        {"level": "Metadata"},
    ]
    return to_yaml(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "omitManagedFields": True,
            "rules": rules,
        }
    )
