"""The cluster specification: the one way from arguments, Pulumi configuration or `cluster.yaml` to checked data.

spec = firestorm.spec.load("cluster.yaml")
"""

from firestorm.spec.args import ClusterArgs
from firestorm.spec.files import load, loads
from firestorm.spec.host import HostFacts
from firestorm.spec.model import (
    Artifact,
    ClusterSpec,
    Libvirt,
    Mirror,
    Network,
    Node,
    NodePool,
    OsImage,
    Snippet,
    Taint,
)
from firestorm.spec.parse import parse
from firestorm.spec.pulumi_config import document_from_config, from_config
from firestorm.spec.source import Source

__all__ = [
    "Artifact",
    "ClusterArgs",
    "ClusterSpec",
    "HostFacts",
    "Libvirt",
    "Mirror",
    "Network",
    "Node",
    "NodePool",
    "OsImage",
    "Snippet",
    "Source",
    "Taint",
    "document_from_config",
    "from_config",
    "load",
    "loads",
    "parse",
]
