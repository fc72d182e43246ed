from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from firestorm.pki import Pki, issue, request_for
from firestorm.releases import Images, Release, RemoteFile
from firestorm.spec.model import ClusterSpec, Libvirt, Network, NodePool, OsImage, OsName, Taint

MakeCluster = Callable[..., ClusterSpec]


def pool(name: str, count: int, block: int, system: OsName, **fields: Any) -> NodePool:
    if name == "controller":  # as a parsed specification has it
        fields.setdefault("taints", (Taint(key="node-role.kubernetes.io/control-plane"),))
    return NodePool(
        name=name,
        role="controller" if name == "controller" else "worker",
        count=count,
        cpus=2,
        memory=2048,
        disk=10,
        os=OsImage(name=system, channel="any"),
        block=block,
        **fields,
    )


@pytest.fixture(scope="session")
def cluster() -> MakeCluster:
    """Makes clusters: `system` is every machine's, `controller` and `worker` hold more fields of those pools."""

    def make(
        system: OsName = "debian",
        *,
        controllers: int = 1,
        workers: int = 1,
        controller: dict[str, Any] | None = None,
        worker: dict[str, Any] | None = None,
        **fields: Any,
    ) -> ClusterSpec:
        spec = ClusterSpec(
            name="demo",
            kubernetes="1.36.4",
            network=Network(
                nodes=ipaddress.IPv4Network("10.17.0.0/16"),
                pods=ipaddress.IPv4Network("10.18.0.0/16"),
                services=ipaddress.IPv4Network("10.19.0.0/16"),
            ),
            controllers=pool("controller", controllers, 0, system, **(controller or {})),
            workers=(pool("worker", workers, 1, system, **(worker or {})),) if workers else (),
            platform=Libvirt(uri="qemu:///system"),
        )
        return dataclasses.replace(spec, **fields)

    return make


@pytest.fixture(scope="session")
def spec(cluster: MakeCluster) -> ClusterSpec:
    return cluster()


@pytest.fixture(scope="session")
def release() -> Release:
    registry = "registry.k8s.io"
    file = RemoteFile(url="https://example.invalid/file", sha256="0" * 64)
    return Release(
        kubelet=file,
        cni_plugins=file,
        images=Images(
            apiserver=f"{registry}/kube-apiserver:v1.36.4",
            controller_manager=f"{registry}/kube-controller-manager:v1.36.4",
            scheduler=f"{registry}/kube-scheduler:v1.36.4",
            proxy=f"{registry}/kube-proxy:v1.36.4",
            etcd=f"{registry}/etcd:3.6.8-0",
            coredns=f"{registry}/coredns/coredns:v1.14.2",
            pause=f"{registry}/pause:3.10.2",
            flannel="ghcr.io/flannel-io/flannel:v0.28.10",
            flannel_cni="ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3",
        ),
    )


@pytest.fixture(scope="session")
def pki(spec: ClusterSpec) -> Pki:
    """Real keys for `spec`."""
    return issue(request_for(spec), None, datetime.now(UTC))
