"""Which certificates a cluster has, and what each one says: the single table behind issuing and placeholders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from firestorm.pki.request import PkiNode, PkiRequest

Authority = Literal["kubernetes", "etcd", "front-proxy"]
Usage = Literal["server", "client"]

AUTHORITIES: tuple[Authority, ...] = ("kubernetes", "etcd", "front-proxy")

KUBELET_API_GROUP = "firestorm:kubelet-api-clients"
"""Group of the API server's client certificates towards kubelets; RBAC binds it to `system:kubelet-api-admin`,
so that a leaked one is not a cluster administrator's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a leaf certificate says. `organizations` are Kubernetes groups; `names` and `addresses` the SANs."""

    authority: Authority
    common_name: str
    organizations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    usages: tuple[Usage, ...]

    def describe(self) -> str:
        """One line that changes whenever the certificate's content would."""
        parts = [f"CN={self.common_name}"]
        parts += [f"O={organization}" for organization in self.organizations]
        parts += [f"DNS={name}" for name in self.names]
        parts += [f"IP={address}" for address in self.addresses]
        return f"{'+'.join(self.usages)} by {self.authority}: {' '.join(parts)}"


def leaf_profiles(request: PkiRequest) -> dict[str, Profile]:
    """Every leaf certificate of the cluster by name, `<kind>/<node>` or `admin`.

    No leaf is shared by two machines, and a leaf depends on its own machine and the cluster's names only: another
    machine's coming or going never changes it.
    """
    leaves = {
        "admin": Profile(
            authority="kubernetes",
            common_name="kubernetes-admin",
            organizations=("system:masters",),
            usages=("client",),
        )
    }
    for node in request.controllers:
        leaves |= {f"{kind}/{node.name}": profile for kind, profile in _controller(request, node)}
    for node in request.nodes:
        leaves[f"kubelet-server/{node.name}"] = Profile(
            authority="kubernetes",
            common_name=f"system:node:{node.name}",
            organizations=("system:nodes",),
            names=(node.name,),
            addresses=(node.address,),
            usages=("server",),
        )
    return leaves


def _controller(request: PkiRequest, node: PkiNode) -> Iterator[tuple[str, Profile]]:
    yield (
        "apiserver",
        Profile(
            authority="kubernetes",
            common_name="kube-apiserver",
            names=request.api_names,
            addresses=(*request.api_addresses, node.address),
            usages=("server",),
        ),
    )
    yield (
        "apiserver-kubelet-client",
        Profile(
            authority="kubernetes",
            common_name="kube-apiserver-kubelet-client",
            organizations=(KUBELET_API_GROUP,),
            usages=("client",),
        ),
    )
    yield (
        "apiserver-etcd-client",
        Profile(authority="etcd", common_name="kube-apiserver-etcd-client", usages=("client",)),
    )
    yield (
        "front-proxy-client",
        Profile(authority="front-proxy", common_name="front-proxy-client", usages=("client",)),
    )
    for component in ("controller-manager", "scheduler"):
        yield (
            component,
            Profile(authority="kubernetes", common_name=f"system:kube-{component}", usages=("client",)),
        )
        # Served on loopback only. The one name is no machine's, so that this key can pose as no other server.
        yield (
            f"{component}-server",
            Profile(
                authority="kubernetes",
                common_name=f"kube-{component}",
                names=(f"kube-{component}.kube-system.svc",),
                usages=("server",),
            ),
        )
    yield (
        "etcd-server",
        Profile(
            authority="etcd",
            common_name=node.name,
            names=(node.name,),
            addresses=(node.address,),
            usages=("server",),
        ),
    )
    # A member dials its peers and is dialled by them with the same certificate.
    yield (
        "etcd-peer",
        Profile(
            authority="etcd",
            common_name=node.name,
            names=(node.name,),
            addresses=(node.address,),
            usages=("server", "client"),
        ),
    )
    yield (
        "kubelet-client",
        Profile(
            authority="kubernetes",
            common_name=f"system:node:{node.name}",
            organizations=("system:nodes",),
            usages=("client",),
        ),
    )
