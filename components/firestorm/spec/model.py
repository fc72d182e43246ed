"""The cluster specification: plain, frozen, already-validated data.

Everything after this module reads these types and nothing else: rendering, PKI and platforms never see user input.
Instances are built by `firestorm.spec.parse`, which gathers every problem before it raises.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, field
from typing import Literal

OsName = Literal["flatcar", "fcos", "debian"]
Arch = Literal["amd64", "arm64"]
Role = Literal["controller", "worker"]
Acceleration = Literal["auto", "kvm", "tcg"]
DiskCache = Literal["none", "writeback", "writethrough", "directsync", "unsafe"]
Address = ipaddress.IPv4Address
Cidr = ipaddress.IPv4Network


@dataclass(frozen=True, slots=True, kw_only=True)
class OsImage:
    """Which operating system image a node boots.

    `channel` is Flatcar's channel or Fedora CoreOS's stream; `version` pins a release, None takes the channel's newest.
    `path` and `sha256` name an image file of the user's own (and, for an image without a boot loader, `kernel` and
    `initrd` with their `kernel_arguments`), in which case nothing is downloaded.
    """

    name: OsName
    channel: str
    version: str | None = None
    arch: Arch = "amd64"
    path: str | None = None
    sha256: str | None = None
    kernel: str | None = None
    initrd: str | None = None
    kernel_arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A node taint, as Kubernetes' core/v1 Taint."""

    key: str
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A Butane config of the user's, merged over a role's config. `source` is what messages call it (a file's path)."""

    source: str
    content: str
    files_dir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePool:
    """A set of equal machines. Pool `name` is "controller" for the control plane.

    `memory` in MiB, `disk` in GiB. `block` is the pool's share of the node network: its machines' addresses start
    at host number 256 x block + 10 of `network.nodes` (controllers: block 0), so that pools never shift one another's.
    """

    name: str
    role: Role
    count: int
    cpus: int
    memory: int
    disk: int
    os: OsImage
    block: int
    labels: dict[str, str] = field(default_factory=dict[str, str])
    taints: tuple[Taint, ...] = ()
    snippets: tuple[Snippet, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The cluster's address ranges. The API's Service is the first address of `services`, DNS the tenth."""

    nodes: Cidr
    pods: Cidr
    services: Cidr
    domain: str = "cluster.local"

    @property
    def gateway(self) -> Address:
        """The node network's first address: the host (libvirt) or the router."""
        return self.nodes[1]

    @property
    def api_service(self) -> Address:
        return self.services[1]

    @property
    def dns_service(self) -> Address:
        return self.services[10]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Where downloads go instead: every URL or image that starts with `prefix` is taken from `url` instead.

    A prefix with a scheme ("https://dl.k8s.io") redirects release files; one without ("registry.k8s.io") redirects a
    container registry, through containerd's certs.d.
    """

    prefix: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A release file that the user has built or vetted, replacing the table's (kubelet, cni-plugins).

    `url` None means the official URL, mirrors applied; a URL of the user's own is used as it stands.
    """

    name: str
    arch: Arch
    sha256: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Libvirt:
    """The libvirt platform. `uri` is libvirt's connection URI; `api_port` a loopback port of the deploying host
    through which a private libvirt's API server is reached (None: nodes are reached directly at their addresses).
    `disk_cache` is QEMU's cache mode: "unsafe" ignores flushes, so that a host's crash may lose the cluster.
    `labels` are kept on the domains and the network, see `firestorm.platforms.libvirt.labels`."""

    uri: str
    acceleration: Acceleration = "auto"
    api_port: int | None = None
    state_dir: str = "/var/lib/firestorm"
    disk_cache: DiskCache = "writeback"
    labels: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine, computed from its pool: its Kubernetes node name, its fixed address, its MAC."""

    name: str
    role: Role
    pool: NodePool
    index: int
    address: Address
    mac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """A whole cluster."""

    name: str
    kubernetes: str  # "1.36.4", without the v
    network: Network
    controllers: NodePool
    workers: tuple[NodePool, ...]
    platform: Libvirt
    domain: str = "firestorm.internal"  # the API's DNS name is <name>.<domain>
    mirrors: tuple[Mirror, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    ssh_authorized_keys: tuple[str, ...] = ()
    pki_generation: int = 1  # a higher number issues every key and certificate anew
    ready_timeout: int = 1800  # seconds

    @property
    def api_name(self) -> str:
        return f"{self.name}.{self.domain}"

    @property
    def bridge(self) -> str:
        """The host's bridge for the node network: stable for a name, and within Linux's 15 characters."""
        return bridge_name(self.name)

    @property
    def pools(self) -> tuple[NodePool, ...]:
        return (self.controllers, *self.workers)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every machine, controllers first. Names are <cluster>-<pool>-<index>; MACs are 52:54:00 and the address."""
        return tuple(self._node(pool, index) for pool in self.pools for index in range(pool.count))

    @property
    def controller_nodes(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.role == "controller")

    @property
    def api_endpoint(self) -> str:
        """host:port as seen by the nodes."""
        return f"{self.api_name}:6443"

    @property
    def admin_endpoint(self) -> str:
        """host:port as seen from the deploying host."""
        if self.platform.api_port is not None:
            return f"127.0.0.1:{self.platform.api_port}"
        return f"{self.controller_nodes[0].address}:6443"

    def _node(self, pool: NodePool, index: int) -> Node:
        address = self.network.nodes[256 * pool.block + 10 + index]
        packed = address.packed
        mac = "52:54:00:" + ":".join(f"{byte:02x}" for byte in packed[1:])
        return Node(
            name=f"{self.name}-{pool.name}-{index}", role=pool.role, pool=pool, index=index, address=address, mac=mac
        )


def bridge_name(cluster: str) -> str:
    """The bridge of the cluster of that name: "fs" and the first 8 hexadecimal digits of the name's SHA-256."""
    return "fs" + hashlib.sha256(cluster.encode()).hexdigest()[:8]
