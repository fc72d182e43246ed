"""The arguments of a cluster as types, for programs in Python and, through Pulumi's schema, in other languages.

Each mirrors a record of `firestorm.spec.document` field by field, which a test holds true; there are the defaults and
meanings. Pulumi's analyzer takes primitives, lists, maps and TypedDicts, no unions: sizes are text ("4GiB"), snippets
and taints are objects here.
"""

# No postponed annotations here: Pulumi's analyzer cannot resolve them in a TypedDict.
from typing import TypedDict


class KubernetesArgs(TypedDict, total=False):
    """What Kubernetes is deployed."""

    version: str
    """A patch release."""


class ImageArgs(TypedDict, total=False):
    """An image file on the deploying machine, instead of a download."""

    path: str
    sha256: str
    kernel: str
    initrd: str
    kernel_arguments: list[str]


class OsArgs(TypedDict, total=False):
    """The operating system of the machines."""

    name: str
    channel: str
    version: str
    arch: str
    image: ImageArgs


class NetworkArgs(TypedDict, total=False):
    """Address ranges (IPv4) in CIDR notation, and the Services' DNS domain."""

    nodes: str
    pods: str
    services: str
    domain: str


class _TaintRequired(TypedDict):
    key: str


class TaintArgs(_TaintRequired, total=False):
    """A taint of the nodes."""

    value: str
    effect: str


class SnippetArgs(TypedDict, total=False):
    """A Butane config merged over the role's: a file's path, or a name with the content."""

    path: str
    name: str
    content: str


class ControllersArgs(TypedDict, total=False):
    """The machines of the control plane."""

    count: int
    cpus: int
    memory: str
    disk: str
    labels: dict[str, str]
    taints: list[TaintArgs]
    snippets: list[SnippetArgs]
    os: OsArgs


class WorkersArgs(ControllersArgs, total=False):
    """A pool of equal worker machines."""

    name: str
    block: int


class LibvirtArgs(TypedDict, total=False):
    """Virtual machines on a libvirt host."""

    uri: str
    acceleration: str
    api_port: int
    state_dir: str
    disk_cache: str
    labels: dict[str, str]


class PlatformArgs(TypedDict, total=False):
    """Where the machines run."""

    libvirt: LibvirtArgs


class _ArtifactRequired(TypedDict):
    name: str
    sha256: str


class ArtifactArgs(_ArtifactRequired, total=False):
    """A release file of one's own in place of the official one."""

    arch: str
    url: str


class _ClusterRequired(TypedDict):
    name: str


class ClusterArgs(_ClusterRequired, total=False):
    """A cluster; only `name` is required."""

    kubernetes: KubernetesArgs
    os: OsArgs
    network: NetworkArgs
    controllers: ControllersArgs
    workers: list[WorkersArgs]
    platform: PlatformArgs
    domain: str
    mirrors: dict[str, str]
    artifacts: list[ArtifactArgs]
    ssh_authorized_keys: list[str]
    pki_generation: int
    ready_timeout: str
