"""What is released: Kubernetes with its companions, and what each operating system's releases contain.

`lookup` resolves a cluster to URLs, checksums and images; `os_line` tells what a node's operating system can do.
"""

from firestorm.releases.lookup import Images, Release, RemoteFile, images, kubectl, lookup, mirrored, registry_mirrors
from firestorm.releases.tables import (
    KubernetesMinor,
    OsFamily,
    OsLine,
    default_kubernetes,
    ignition_specs,
    kubernetes_minor,
    kubernetes_minors,
    kubernetes_versions,
    os_families,
    os_line,
)

__all__ = [
    "Images",
    "KubernetesMinor",
    "OsFamily",
    "OsLine",
    "Release",
    "RemoteFile",
    "default_kubernetes",
    "ignition_specs",
    "images",
    "kubectl",
    "kubernetes_minor",
    "kubernetes_minors",
    "kubernetes_versions",
    "lookup",
    "mirrored",
    "os_families",
    "os_line",
    "registry_mirrors",
]
