"""The shape of a cluster document, described once.

The same table makes the JSON Schema (`schema`), tells `parse` the defaults and field names, and is what the typed
arguments (`args`) are tested against. The document is what `cluster.yaml` holds, what a Pulumi configuration holds and
what `ClusterArgs` holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from firestorm.releases.tables import default_kubernetes


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string; `pattern` is an ECMA 262 regular expression without flags, for editors."""

    pattern: str | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number within inclusive bounds."""

    minimum: int
    maximum: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few strings."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number with a unit as a string ("4GiB", "30m"), or a bare number in `unit`; `units` gives each one's size."""

    unit: str
    units: Mapping[str, int]

    @property
    def pattern(self) -> str:
        return r"^[0-9]+ ?(" + "|".join(self.units) + ")?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list of one type."""

    item: Type


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """A map from strings of the user's to strings."""

    key: str
    examples: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A map with fixed fields. `text` tells what a plain string in its place means, where one is allowed.

    `planned` names fields that do not exist yet, with what to say to someone who writes them.
    """

    name: str
    description: str
    fields: tuple[Field, ...]
    text: Text | None = None
    planned: Mapping[str, str] = field(default_factory=dict[str, str])

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)


Type = Text | Whole | Choice | Quantity | ListOf | MapOf | Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a record. `default` is written as a document would write it; None means absent."""

    name: str
    type: Type
    description: str
    default: object = None
    required: bool = False


DNS_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
SHA256 = "^[0-9a-fA-F]{64}$"
CIDR = r"^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/[0-9]+$"
HTTP_URL = "^https?://"

MEBIBYTES = Quantity(unit="MiB", units={"MiB": 1, "Mi": 1, "GiB": 1024, "Gi": 1024})
GIBIBYTES = Quantity(unit="GiB", units={"GiB": 1, "Gi": 1, "TiB": 1024, "Ti": 1024})
SECONDS = Quantity(unit="s", units={"s": 1, "m": 60, "h": 3600})
ARCH = Choice(values=("amd64", "arm64"))

_IMAGE = Record(
    name="Image",
    description="An image file on the deploying machine, instead of a download.",
    fields=(
        Field(name="path", type=Text(), description="Disk image (qcow2 or raw). A relative path starts at this file."),
        Field(name="sha256", type=Text(pattern=SHA256), description="The image's SHA-256, checked before it is used."),
        Field(name="kernel", type=Text(), description="Kernel to boot directly, for an image without a boot loader."),
        Field(name="initrd", type=Text(), description="Initramfs that belongs to `kernel`."),
        Field(
            name="kernel_arguments",
            type=ListOf(item=Text()),
            description="The kernel's command line, for an image without a boot loader.",
            default=[],
        ),
    ),
)
_OS = Record(
    name="Os",
    description="The operating system of the machines.",
    fields=(
        Field(
            name="name",
            type=Choice(values=("flatcar", "fcos", "debian")),
            description="Flatcar, Fedora CoreOS, or the lab's stand-in made of Debian packages.",
            default="flatcar",
        ),
        Field(
            name="channel",
            type=Text(examples=("stable", "beta", "testing")),
            description="Flatcar's channel or Fedora CoreOS's stream; the default is stable.",
        ),
        Field(
            name="version",
            type=Text(examples=("4459.2.0",)),
            description="One release of the channel; the default is its newest.",
        ),
        Field(name="arch", type=ARCH, description="Processor architecture.", default="amd64"),
        Field(name="image", type=_IMAGE, description=_IMAGE.description),
    ),
)
_TAINT = Record(
    name="Taint",
    description='A taint of the nodes: an object, or a string as kubectl writes it, "key=value:NoSchedule".',
    fields=(
        Field(name="key", type=Text(), description="The taint's key.", required=True),
        Field(name="value", type=Text(), description="The taint's value.", default=""),
        Field(
            name="effect",
            type=Choice(values=("NoSchedule", "PreferNoSchedule", "NoExecute")),
            description="What happens to pods that do not tolerate it.",
            default="NoSchedule",
        ),
    ),
    text=Text(examples=("dedicated=gpu:NoSchedule",)),
)
_SNIPPET = Record(
    name="Snippet",
    description="A Butane config merged over the role's: the path of a file, or a name with the content itself.",
    fields=(
        Field(name="path", type=Text(), description="A Butane file. A relative path starts at this file."),
        Field(name="name", type=Text(), description="What messages call the inline content."),
        Field(name="content", type=Text(), description="The Butane config itself, instead of `path`."),
    ),
    text=Text(examples=("snippets/worker.bu",)),
)


def _machine(*, cpus: int, memory: str, disk: str, min_cpus: int, taints: list[str]) -> tuple[Field, ...]:
    return (
        Field(name="cpus", type=Whole(minimum=min_cpus), description="Virtual processors.", default=cpus),
        Field(name="memory", type=MEBIBYTES, description="Memory; a bare number is in MiB.", default=memory),
        Field(name="disk", type=GIBIBYTES, description="Root disk; a bare number is in GiB.", default=disk),
        Field(
            name="labels",
            type=MapOf(key="label", examples=({"team": "blue"},)),
            description="Labels with which the nodes register.",
            default={},
        ),
        Field(
            name="taints",
            type=ListOf(item=_TAINT),
            description="Taints with which the nodes register.",
            default=taints,
        ),
        Field(
            name="snippets",
            type=ListOf(item=_SNIPPET),
            description="Butane configs merged over the role's, in this order. A change replaces the pool's machines.",
            default=[],
        ),
        Field(name="os", type=_OS, description="Differences from the cluster's operating system."),
    )


_CONTROLLERS = Record(
    name="Controllers",
    description="The machines of the control plane.",
    fields=(
        Field(name="count", type=Whole(minimum=1), description="Number of machines; 1 today.", default=1),
        *_machine(
            cpus=2,
            memory="2GiB",
            disk="20GiB",
            min_cpus=2,
            taints=["node-role.kubernetes.io/control-plane:NoSchedule"],
        ),
    ),
)
_WORKERS = Record(
    name="Workers",
    description="A pool of equal worker machines.",
    fields=(
        Field(name="name", type=Text(pattern=DNS_LABEL), description="The pool's name.", default="worker"),
        Field(name="count", type=Whole(minimum=0), description="Number of machines.", default=1),
        *_machine(cpus=2, memory="2GiB", disk="20GiB", min_cpus=1, taints=[]),
        Field(
            name="block",
            type=Whole(minimum=1, maximum=255),
            description="Which 256 addresses of the node network the pool has; the default is the lowest free block "
            "in the order of the list. Name it to keep a pool's machines when a pool before it is removed.",
        ),
    ),
)
_LIBVIRT = Record(
    name="Libvirt",
    description="Virtual machines on a libvirt host.",
    fields=(
        Field(
            name="uri",
            type=Text(pattern=r"^qemu(\+[a-z0-9]+)?://", examples=("qemu:///system", "qemu+ssh://root@host/system")),
            description="libvirt's connection URI.",
            default="qemu:///system",
        ),
        Field(
            name="acceleration",
            type=Choice(values=("auto", "kvm", "tcg")),
            description="KVM, QEMU's emulation (TCG), or whichever works.",
            default="auto",
        ),
        Field(
            name="api_port",
            type=Whole(minimum=1, maximum=65535),
            description="Loopback port of the deploying machine that leads to the API server, where the nodes' "
            "addresses cannot be reached directly.",
        ),
        Field(
            name="state_dir",
            type=Text(pattern="^/"),
            description="Directory on the libvirt host for disks and consoles.",
            default="/var/lib/firestorm",
        ),
        Field(
            name="disk_cache",
            type=Choice(values=("none", "writeback", "writethrough", "directsync", "unsafe")),
            description="QEMU's cache mode. `unsafe` is fast and ignores flushes: a crash of the host may lose the "
            "cluster.",
            default="writeback",
        ),
        Field(
            name="labels",
            type=MapOf(key="name", examples=({"owner": "team-a"},)),
            description="Facts of your own, kept as metadata of the cluster's domains and network. Changing them "
            "replaces both.",
            default={},
        ),
    ),
)
_PLANNED = "is planned, not available yet"
_PLATFORM = Record(
    name="Platform",
    description="Where the machines run: one platform.",
    fields=(Field(name="libvirt", type=_LIBVIRT, description=_LIBVIRT.description, default={}),),
    planned=dict.fromkeys(
        ("aws", "azure", "digitalocean", "gcp", "google", "hetzner", "metal", "openstack", "pxe"), _PLANNED
    ),
)
_KUBERNETES = Record(
    name="Kubernetes",
    description="What Kubernetes is deployed.",
    fields=(
        Field(
            name="version",
            type=Text(pattern=r"^v?[0-9]+\.[0-9]+\.[0-9]+$"),
            description="A patch release.",
            default=default_kubernetes(),
        ),
    ),
)
_NETWORK = Record(
    name="Network",
    description="Address ranges (IPv4); they must not overlap one another or the host's networks.",
    fields=(
        Field(
            name="nodes",
            type=Text(pattern=CIDR),
            description="The machines' network: 256 addresses for the controllers and 256 for each worker pool.",
            default="10.17.0.0/20",
        ),
        Field(
            name="pods",
            type=Text(pattern=CIDR),
            description="The pods' addresses; every node takes a /24 of it.",
            default="10.20.0.0/14",
        ),
        Field(
            name="services",
            type=Text(pattern=CIDR),
            description="The Services' addresses; the first is the API's, the tenth DNS.",
            default="10.3.0.0/16",
        ),
        Field(
            name="domain",
            type=Text(pattern=DNS_NAME),
            description="DNS domain of the Services.",
            default="cluster.local",
        ),
    ),
)
_ARTIFACT = Record(
    name="Artifact",
    description="A release file of your own in place of the official one.",
    fields=(
        Field(
            name="name",
            type=Choice(values=("kubelet", "cni-plugins")),
            description="The release file it replaces.",
            required=True,
        ),
        Field(name="arch", type=ARCH, description="Processor architecture.", default="amd64"),
        Field(
            name="url",
            type=Text(pattern=HTTP_URL),
            description="Where the nodes fetch it; the default is the official place, or its mirror.",
        ),
        Field(name="sha256", type=Text(pattern=SHA256), description="Its SHA-256.", required=True),
    ),
)
DOCUMENT = Record(
    name="Cluster",
    description="A Kubernetes cluster on container operating systems, deployed by Firestorm.",
    fields=(
        Field(
            name="name",
            type=Text(pattern=DNS_LABEL),
            description="The cluster's name: a DNS label that starts every node's name.",
            required=True,
        ),
        Field(name="kubernetes", type=_KUBERNETES, description=_KUBERNETES.description, default={}),
        Field(name="os", type=_OS, description="The operating system of every pool that names no other.", default={}),
        Field(name="network", type=_NETWORK, description=_NETWORK.description, default={}),
        Field(name="controllers", type=_CONTROLLERS, description=_CONTROLLERS.description, default={}),
        Field(
            name="workers",
            type=ListOf(item=_WORKERS),
            description="Pools of worker machines; an empty list leaves the controllers alone.",
            default=[{"name": "worker", "count": 1}],
        ),
        Field(name="platform", type=_PLATFORM, description=_PLATFORM.description, default={"libvirt": {}}),
        Field(
            name="domain",
            type=Text(pattern=DNS_NAME),
            description="DNS domain of the API server, whose name is <name>.<domain>.",
            default="firestorm.internal",
        ),
        Field(
            name="mirrors",
            type=MapOf(
                key="prefix",
                examples=(
                    {"https://dl.k8s.io": "https://mirror.example/k8s", "registry.k8s.io": "https://hub.example"},
                ),
            ),
            description="Where downloads go instead: URL prefixes for release files, bare host names for registries. "
            "The longest prefix wins.",
            default={},
        ),
        Field(
            name="artifacts",
            type=ListOf(item=_ARTIFACT),
            description="Release files of your own in place of the official ones.",
            default=[],
        ),
        Field(
            name="ssh_authorized_keys",
            type=ListOf(item=Text()),
            description="SSH public keys for people; the deployment itself never uses SSH.",
            default=[],
        ),
        Field(
            name="pki_generation",
            type=Whole(minimum=1),
            description="A higher number issues every key and certificate anew.",
            default=1,
        ),
        Field(
            name="ready_timeout",
            type=SECONDS,
            description="How long to wait for the cluster to be ready; a bare number is in seconds.",
            default="30m",
        ),
    ),
)
