"""What a cluster's keys and certificates are made from: a small, plain, comparable value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firestorm.errors import PkiError
from firestorm.spec.model import ClusterSpec, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiNode:
    """A machine as certificates name it: its Kubernetes node name and its IPv4 address, both as text."""

    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiRequest:
    """The inputs of `issue`; two equal requests never lead to a new key or certificate.

    `api_names` and `api_addresses` are what every API server answers to besides its own machine's address.
    `domain` is the domain of Services. A higher `generation` issues everything anew.
    """

    cluster: str
    api_names: tuple[str, ...]
    api_addresses: tuple[str, ...]
    controllers: tuple[PkiNode, ...]
    nodes: tuple[PkiNode, ...]
    domain: str
    generation: int = 1

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON data, the form in which Pulumi keeps it as a resource's input."""
        return {
            "cluster": self.cluster,
            "api_names": list(self.api_names),
            "api_addresses": list(self.api_addresses),
            "controllers": [{"name": node.name, "address": node.address} for node in self.controllers],
            "nodes": [{"name": node.name, "address": node.address} for node in self.nodes],
            "domain": self.domain,
            "generation": self.generation,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PkiRequest:
        """The request that `to_dict` wrote. Numbers may be floats, since Pulumi's wire format has no integers.

        Raises PkiError if a field is missing or has the wrong form.
        """
        try:
            return cls(
                cluster=str(data["cluster"]),
                api_names=tuple(str(name) for name in data["api_names"]),
                api_addresses=tuple(str(address) for address in data["api_addresses"]),
                controllers=_nodes(data["controllers"]),
                nodes=_nodes(data["nodes"]),
                domain=str(data["domain"]),
                generation=int(data["generation"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PkiError(
                f"the PKI request in the Pulumi state cannot be read ({error!r}); "
                "it was written by another version of Firestorm or edited by hand: restore the state from a backup"
            ) from error


def request_for(spec: ClusterSpec) -> PkiRequest:
    """The request of a cluster: every name and address its certificates have to carry."""
    domain = spec.network.domain
    return PkiRequest(
        cluster=spec.name,
        api_names=(
            spec.api_name,
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{domain}",
            "localhost",
        ),
        api_addresses=(str(spec.network.api_service), "127.0.0.1"),
        controllers=tuple(_node(node) for node in spec.controller_nodes),
        nodes=tuple(_node(node) for node in spec.nodes),
        domain=domain,
        generation=spec.pki_generation,
    )


def _node(node: Node) -> PkiNode:
    return PkiNode(name=node.name, address=str(node.address))


def _nodes(data: list[Mapping[str, Any]]) -> tuple[PkiNode, ...]:
    return tuple(PkiNode(name=str(node["name"]), address=str(node["address"])) for node in data)
