"""What a cluster's nodes download: release files with their checksums, and images by their official names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firestorm.releases import tables

if TYPE_CHECKING:  # the tables serve the specification's checks, so nothing here may import it when it runs
    from firestorm.spec.model import Arch, ClusterSpec, Mirror

REGISTRY = "registry.k8s.io"
FLANNEL_REGISTRY = "ghcr.io/flannel-io"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file that a node fetches: its URL and its SHA-256 as 64 lowercase hexadecimal digits."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Image references under their official names; registries are redirected on the node (`registry_mirrors`)."""

    apiserver: str
    controller_manager: str
    scheduler: str
    proxy: str
    etcd: str
    coredns: str
    pause: str
    flannel: str
    flannel_cni: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """All that the nodes of one architecture fetch."""

    kubelet: RemoteFile
    cni_plugins: RemoteFile
    images: Images


def lookup(spec: ClusterSpec, arch: Arch) -> Release:
    """The release files and images of a cluster, with its `artifacts` and `mirrors` applied.

    An artifact's own URL is used as it stands; mirrors redirect the official URLs only.

    Raises:
        ReleaseError: the tables lack the Kubernetes version or a checksum. A parsed specification never asks for one.
    """
    return Release(
        kubelet=_file(spec, arch, "kubelet"), cni_plugins=_file(spec, arch, "cni-plugins"), images=images(spec)
    )


def kubectl(spec: ClusterSpec, arch: Arch) -> RemoteFile:
    """The kubectl of the cluster's version, for the machine of whoever uses the cluster."""
    return _official(spec, arch, "kubectl")


def images(spec: ClusterSpec) -> Images:
    """The images of a cluster, the same on every architecture: each reference is a multi-architecture index."""
    minor = tables.kubernetes_minor(spec.kubernetes)
    flannel, flannel_cni = tables.flannel()
    version = f"v{spec.kubernetes}"
    return Images(
        apiserver=f"{REGISTRY}/kube-apiserver:{version}",
        controller_manager=f"{REGISTRY}/kube-controller-manager:{version}",
        scheduler=f"{REGISTRY}/kube-scheduler:{version}",
        proxy=f"{REGISTRY}/kube-proxy:{version}",
        etcd=f"{REGISTRY}/etcd:{minor.etcd}",
        coredns=f"{REGISTRY}/coredns/coredns:{minor.coredns}",
        pause=f"{REGISTRY}/pause:{minor.pause}",
        flannel=f"{FLANNEL_REGISTRY}/flannel:{flannel}",
        flannel_cni=f"{FLANNEL_REGISTRY}/flannel-cni-plugin:{flannel_cni}",
    )


def registry_mirrors(spec: ClusterSpec) -> dict[str, str]:
    """Which base URL serves a registry's images instead of the registry itself: {host: url}."""
    return {mirror.prefix: mirror.url for mirror in spec.mirrors if "://" not in mirror.prefix}


def mirrored(url: str, mirrors: Iterable[Mirror]) -> str:
    """`url` with the longest mirrored prefix replaced; a prefix ends at a path segment's end, never inside one."""
    best: Mirror | None = None
    for mirror in mirrors:
        prefix = mirror.prefix.rstrip("/")
        matches = "://" in prefix and (url == prefix or url.startswith((f"{prefix}/", f"{prefix}?")))
        if matches and (best is None or len(prefix) > len(best.prefix.rstrip("/"))):
            best = mirror
    if best is None:
        return url
    return best.url.rstrip("/") + url.removeprefix(best.prefix.rstrip("/"))


def _file(spec: ClusterSpec, arch: Arch, name: str) -> RemoteFile:
    for artifact in spec.artifacts:
        if (artifact.name, artifact.arch) == (name, arch):
            return RemoteFile(url=artifact.url or _url(spec, arch, name), sha256=artifact.sha256)
    return _official(spec, arch, name)


def _official(spec: ClusterSpec, arch: Arch, name: str) -> RemoteFile:
    sha256 = tables.cni_plugins()[1][arch] if name == "cni-plugins" else tables.checksum(name, spec.kubernetes, arch)
    return RemoteFile(url=_url(spec, arch, name), sha256=sha256)


def _url(spec: ClusterSpec, arch: Arch, name: str) -> str:
    """The official place of a release file, or its mirror."""
    url = f"https://dl.k8s.io/release/v{spec.kubernetes}/bin/linux/{arch}/{name}"
    if name == "cni-plugins":
        version = tables.cni_plugins()[0]
        releases = f"https://github.com/containernetworking/plugins/releases/download/v{version}"
        url = f"{releases}/cni-plugins-linux-{arch}-v{version}.tgz"
    return mirrored(url, spec.mirrors)
