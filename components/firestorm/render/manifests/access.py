"""Who may do what, beyond the roles that Kubernetes binds by itself."""

from __future__ import annotations

from firestorm.pki import KUBELET_API_GROUP
from firestorm.render.manifests.objects import Object, cluster_role_binding, group

BOOTSTRAP_GROUP = "system:bootstrappers:firestorm:nodes"

_SIGNING = "system:certificates.k8s.io:certificatesigningrequests"


def access() -> list[Object]:
    """Role bindings for joining nodes and for the API server's way to kubelets.

    https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/
    """
    return [
        # A new node may ask for a client certificate, which is approved, and which it may have renewed.
        cluster_role_binding("firestorm:node-bootstrap", "system:node-bootstrapper", group(BOOTSTRAP_GROUP)),
        cluster_role_binding("firestorm:node-approve", f"{_SIGNING}:nodeclient", group(BOOTSTRAP_GROUP)),
        cluster_role_binding("firestorm:node-renew", f"{_SIGNING}:selfnodeclient", group("system:nodes")),
        # `kubectl logs` and `exec`, on the API server's own behalf.
        cluster_role_binding("firestorm:kubelet-api", "system:kubelet-api-admin", group(KUBELET_API_GROUP)),
    ]
