"""Checks of address ranges: each by itself, against one another, against the host, and against the machines."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from firestorm.spec.host import HostFacts
from firestorm.spec.model import Cidr, Network, NodePool
from firestorm.spec.problems import shown
from firestorm.spec.section import Section
from firestorm.spec.syntax import is_dns_name

#: RFC 1918, and RFC 6598's shared space, which many clouds use inside.
_PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
_ROLES = {"nodes": "the nodes' network", "pods": "the pods' range", "services": "the Services' range"}
#: Host number of a pool's first machine within its block of 256, and what that leaves for machines.
_FIRST_HOST = 10
BLOCK = 256
BLOCK_MACHINES = 254 - _FIRST_HOST + 1
_NODES_WIDEST = 16
#: kube-controller-manager gives every node a /24 of the pods' range, and takes ranges at most 16 bits wider
#: (k8s.io/kubernetes pkg/controller/nodeipam/ipam/cidrset: "maximum 16").
_POD_PREFIX = 24
_POD_WIDEST = 8
#: kube-apiserver's limit (cmd/kube-apiserver/app/options/validation.go: maxCIDRBits 20); DNS is the tenth address.
_SERVICE_WIDEST = 12
_SERVICE_NARROWEST = 28


def check_network(section: Section, host: HostFacts, bridge: str) -> Network:
    """The cluster's address ranges; where one is unusable, its default stands in."""
    ranges = {name: _range(section, name) for name in _ROLES}
    _sizes(section, ranges)
    _overlaps(section, ranges)
    _host_overlaps(section, ranges, host, bridge)
    domain = section.text("domain")
    if not is_dns_name(domain):
        section.problem("domain", f"is {shown(domain)}, which is no DNS name", "use lowercase labels joined by dots")
    usable = {
        name: value or ipaddress.IPv4Network(str(section.record.field(name).default)) for name, value in ranges.items()
    }
    return Network(nodes=usable["nodes"], pods=usable["pods"], services=usable["services"], domain=domain)


def _range(section: Section, name: str) -> Cidr | None:
    text = section.text(name)
    try:
        value = ipaddress.ip_network(text, strict=False)
    except ValueError:
        section.problem(name, f"is {shown(text)}, which is no address range", "write it like 10.17.0.0/20")
        return None
    if isinstance(value, ipaddress.IPv6Network):
        section.problem(name, f"is {text}, an IPv6 range", "give an IPv4 range; dual stack is not supported yet")
        return None
    if "/" not in text:
        section.problem(name, f"is {text}, which has no prefix length", "write it like 10.17.0.0/20")
        return None
    address = text.split("/")[0]
    if str(value.network_address) != address:
        section.problem(name, f"is {text}, which has host bits set", f"write {value}")
    if not any(value.subnet_of(private) for private in _PRIVATE):
        section.problem(
            name,
            f"is {value}, which is not private address space",
            "choose a range within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10",
        )
    return value


def _sizes(section: Section, ranges: dict[str, Cidr | None]) -> None:
    nodes, pods, services = ranges["nodes"], ranges["pods"], ranges["services"]
    if nodes and nodes.prefixlen > 24:
        section.problem("nodes", f"is {nodes}, too small", "give at least a /24: every pool takes 256 addresses")
    if nodes and nodes.prefixlen < _NODES_WIDEST:
        section.problem("nodes", f"is {nodes}, too large", "give at most a /16")
    if pods and pods.prefixlen > _POD_PREFIX:
        section.problem("pods", f"is {pods}, too small", "give at least a /24: every node takes one")
    if pods and pods.prefixlen < _POD_WIDEST:
        section.problem("pods", f"is {pods}, too large", "give at most a /8")
    if services and services.prefixlen > _SERVICE_NARROWEST:
        section.problem("services", f"is {services}, too small", "give at least a /28: DNS is its tenth address")
    if services and services.prefixlen < _SERVICE_WIDEST:
        section.problem("services", f"is {services}, too large", "give at most a /12, the API server's limit")


def _overlaps(section: Section, ranges: dict[str, Cidr | None]) -> None:
    names = list(ranges)
    for index, name in enumerate(names):
        for earlier in names[:index]:
            mine, other = ranges[name], ranges[earlier]
            if mine and other and mine.overlaps(other):
                # Reported at what the user wrote: the default gives way.
                at, beside = (name, earlier) if section.given(name) or not section.given(earlier) else (earlier, name)
                section.problem(
                    at,
                    f"is {ranges[at]}, which overlaps {_ROLES[beside]} {ranges[beside]}",
                    "choose ranges that do not share addresses",
                )


def _host_overlaps(section: Section, ranges: dict[str, Cidr | None], host: HostFacts, bridge: str) -> None:
    for name, value in ranges.items():
        for cidr, interface in host.routes:
            route = ipaddress.IPv4Network(cidr, strict=False)
            if value and route.prefixlen and interface not in (bridge, "lo") and value.overlaps(route):
                section.problem(
                    name,
                    f"is {value}, which overlaps the host's network {route} on {interface}",
                    "choose a range that the host does not use",
                )


def check_pools(section: Section, network: Network, pools: Sequence[tuple[Section, NodePool]]) -> None:
    """Whether every pool's machines have addresses in the node network, and every node a pod range."""
    for pool_section, pool in pools:
        if pool.count > BLOCK_MACHINES:
            pool_section.problem(
                "count",
                f"is {pool.count}, more than one pool's {BLOCK_MACHINES} addresses",
                "spread the machines over several pools",
            )
        _check_block(pool_section, pool, network)
    nodes = sum(pool.count for _, pool in pools)
    pod_ranges = 2 ** max(0, _POD_PREFIX - network.pods.prefixlen)
    if nodes > pod_ranges and network.pods.prefixlen < _POD_PREFIX:
        needed = _POD_PREFIX - (nodes - 1).bit_length()
        section.problem(
            "pods",
            f"is {network.pods}, with a /24 for each of {pod_ranges} nodes, but the pools have {nodes}",
            f"give at least a /{needed}" if needed >= _POD_WIDEST else "have fewer nodes",
        )


def _check_block(section: Section, pool: NodePool, network: Network) -> None:
    blocks = network.nodes.num_addresses // BLOCK
    if not blocks or pool.block < blocks:
        return
    needed = 32 - (BLOCK * (pool.block + 1) - 1).bit_length()
    section.problem(
        "block" if section.given("block") else None,
        f"needs block {pool.block} of the node network, but {network.nodes} has {blocks} of 256 addresses each",
        f"give network.nodes a /{needed} or larger" if needed >= _NODES_WIDEST else "have fewer pools",
    )
