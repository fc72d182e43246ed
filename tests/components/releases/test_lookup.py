"""What a cluster's nodes fetch: official files and images, redirected and replaced."""

from __future__ import annotations

from typing import Any

import pytest

from firestorm.errors import ReleaseError
from firestorm.releases import Images, Release, RemoteFile, kubectl, lookup, mirrored, registry_mirrors
from firestorm.spec import Mirror, parse
from firestorm.spec.model import Arch

CNI = "https://github.com/containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-{arch}-v1.9.1.tgz"
KUBELET = "https://dl.k8s.io/release/v1.36.4/bin/linux/{arch}/kubelet"
# The published figures, once more: a changed table must not change what nodes run unnoticed.
SUMS: dict[Arch, tuple[str, str]] = {
    "amd64": (
        "cf2562db46c48ab84cc3791540778ee7fb1a0a008529adbb434723dd02ed8b4b",
        "b98f74a0f8522f0a83867178729c1aa70f2158f90c45a2ca8fa791db1c76b303",
    ),
    "arm64": (
        "fd53ea3fcbd077844f50a3c67e9b52f62972a563674956bab0c0f4fb7ea37d50",
        "56171987d3947707c3563db2f4001bccaf50fd63468611b9f3cbecb1375ee7ec",
    ),
}
IMAGES = Images(
    apiserver="registry.k8s.io/kube-apiserver:v1.36.4",
    controller_manager="registry.k8s.io/kube-controller-manager:v1.36.4",
    scheduler="registry.k8s.io/kube-scheduler:v1.36.4",
    proxy="registry.k8s.io/kube-proxy:v1.36.4",
    etcd="registry.k8s.io/etcd:3.6.8-0",
    coredns="registry.k8s.io/coredns/coredns:v1.14.2",
    pause="registry.k8s.io/pause:3.10.2",
    flannel="ghcr.io/flannel-io/flannel:v0.28.10",
    flannel_cni="ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3",
)


def _spec(**fields: Any) -> Any:
    return parse({"name": "dev", **fields})


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_the_default_release(arch: Arch) -> None:
    kubelet, cni = SUMS[arch]
    assert lookup(_spec(), arch) == Release(
        kubelet=RemoteFile(url=KUBELET.format(arch=arch), sha256=kubelet),
        cni_plugins=RemoteFile(url=CNI.format(arch=arch), sha256=cni),
        images=IMAGES,
    )


@pytest.mark.parametrize(
    ("version", "etcd", "coredns", "pause"),
    [
        ("1.36.0", "3.6.8-0", "v1.14.2", "3.10.2"),
        ("1.35.8", "3.6.6-0", "v1.13.1", "3.10.1"),
        ("1.34.11", "3.6.5-0", "v1.12.1", "3.10.1"),
    ],
)
def test_each_minor_has_its_companions(version: str, etcd: str, coredns: str, pause: str) -> None:
    images = lookup(_spec(kubernetes={"version": version}), "amd64").images
    assert (images.apiserver, images.etcd, images.coredns, images.pause) == (
        f"registry.k8s.io/kube-apiserver:v{version}",
        f"registry.k8s.io/etcd:{etcd}",
        f"registry.k8s.io/coredns/coredns:{coredns}",
        f"registry.k8s.io/pause:{pause}",
    )


def test_mirrors_redirect_files_but_keep_their_checksums() -> None:
    spec = _spec(
        mirrors={"https://dl.k8s.io": "http://10.17.0.1:8080/k8s/", "registry.k8s.io": "http://10.17.0.1:5000"}
    )
    release = lookup(spec, "amd64")
    assert release.kubelet == RemoteFile(
        url="http://10.17.0.1:8080/k8s/release/v1.36.4/bin/linux/amd64/kubelet", sha256=SUMS["amd64"][0]
    )
    assert release.cni_plugins.url == CNI.format(arch="amd64")
    assert release.images == IMAGES
    assert registry_mirrors(spec) == {"registry.k8s.io": "http://10.17.0.1:5000"}


def test_an_artifact_replaces_one_file_of_one_architecture() -> None:
    artifact = {"name": "kubelet", "arch": "amd64", "url": "https://dl.k8s.io/my/kubelet", "sha256": "0" * 64}
    spec = _spec(artifacts=[artifact], mirrors={"https://dl.k8s.io": "http://mirror.test"})
    assert lookup(spec, "amd64").kubelet == RemoteFile(url="https://dl.k8s.io/my/kubelet", sha256="0" * 64)
    assert lookup(spec, "arm64").kubelet == RemoteFile(
        url="http://mirror.test/release/v1.36.4/bin/linux/arm64/kubelet", sha256=SUMS["arm64"][0]
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.test/x/y/z", "http://two/z"),
        ("https://a.test/x/yy", "http://one/x/yy"),
        ("https://a.test/x/y", "http://two"),
        ("https://a.test", "http://one"),
        ("https://a.test/x/y?v=1", "http://two?v=1"),
        ("https://a.test.evil/x", "https://a.test.evil/x"),
        ("http://a.test/x", "http://a.test/x"),
    ],
)
def test_the_longest_prefix_wins_and_ends_at_a_segment(url: str, expected: str) -> None:
    mirrors = (
        Mirror(prefix="https://a.test/", url="http://one"),
        Mirror(prefix="https://a.test/x/y", url="http://two/"),
        Mirror(prefix="a.test", url="http://registry"),
    )
    assert mirrored(url, mirrors) == expected


def test_kubectl_is_of_the_clusters_version() -> None:
    assert kubectl(_spec(), "amd64") == RemoteFile(
        url="https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubectl",
        sha256="8b8f088da2dab964f853b38464033b1be15ede2839eca751482357c45abdd05a",
    )


def test_an_unknown_checksum_is_an_error_not_a_guess() -> None:
    artifact = {"name": "kubelet", "url": "https://mirror.test/kubelet", "sha256": "0" * 64}
    spec = _spec(kubernetes={"version": "1.36.99"}, artifacts=[artifact])
    assert lookup(spec, "amd64").kubelet.sha256 == "0" * 64
    with pytest.raises(ReleaseError, match=r"no checksum of kubelet 1\.36\.99 for arm64 is in the release table"):
        lookup(spec, "arm64")
