"""Kubeconfigs: for people, for the control plane, for kubelets. Credentials are inline, so that each is one file.

https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

from firestorm.pki import KeyPair, Pki
from firestorm.render.text import encode, to_yaml
from firestorm.spec.model import ClusterSpec, Node


def admin_kubeconfig(spec: ClusterSpec, pki: Pki) -> str:
    """The administrator's kubeconfig, for use on the deploying host; never given to a node."""
    server = f"https://{spec.admin_endpoint}"
    return _kubeconfig(spec, server, pki, f"{spec.name}-admin", _certificate(pki.leaf("admin")))


def component_kubeconfig(spec: ClusterSpec, node: Node, pki: Pki, user: str, leaf: str) -> str:
    """A control plane component's kubeconfig. It talks to the API server of its own machine (no DNS, no balancer)."""
    return _kubeconfig(spec, f"https://{node.address}:6443", pki, user, _certificate(pki.leaf(leaf, node.name)))


def bootstrap_kubeconfig(spec: ClusterSpec, pki: Pki, token: str) -> str:
    """What a worker's kubelet asks for its client certificate with."""
    return _kubeconfig(spec, f"https://{spec.api_endpoint}", pki, "kubelet-bootstrap", {"token": token})


def _certificate(pair: KeyPair) -> dict[str, str]:
    return {"client-certificate-data": encode(pair.certificate), "client-key-data": encode(pair.key)}


def _kubeconfig(spec: ClusterSpec, server: str, pki: Pki, user: str, credentials: dict[str, str]) -> str:
    authority = encode(pki.authority("kubernetes").certificate)
    return to_yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": spec.name, "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": spec.name, "context": {"cluster": spec.name, "user": user}}],
            "current-context": spec.name,
        }
    )
