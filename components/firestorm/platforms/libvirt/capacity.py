"""Whether a host can take the machines of a cluster that do not run yet."""

from __future__ import annotations

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt.host import preflight
from firestorm.platforms.libvirt.naming import LibvirtNames
from firestorm.platforms.libvirt.virsh import Virsh
from firestorm.spec.model import ClusterSpec

# Bytes that a machine may write to its disk until it is Ready, its configs and container images above all. A controller
# of the stand-in OS writes 0.5 GiB. Its volume grows with use, so that the volume's own size says nothing.
_FIRST_USE = 2 * 2**30


def wanted(spec: ClusterSpec) -> tuple[int, int]:
    """What all machines of a cluster may take until they are Ready: memory in MiB, bytes of disk."""
    return sum(node.pool.memory for node in spec.nodes), len(spec.nodes) * _FIRST_USE


def problems(spec: ClusterSpec) -> list[str]:
    """What would keep the cluster's machines from running on its libvirt's host; each says what to do.

    A machine that runs already has its memory and its disk. Takes two calls to libvirt.
    """
    uri = spec.platform.uri
    try:
        running = frozenset(Virsh(uri=uri).run("list", "--name").split())
    except PlatformError:
        running = frozenset()  # the preflight says why
    fresh = [node for node in spec.nodes if node.name not in running]
    return preflight(
        uri,
        memory=sum(node.pool.memory for node in fresh),
        pool_path=LibvirtNames.of(spec).pool_path,
        disk=len(fresh) * _FIRST_USE,
    )
