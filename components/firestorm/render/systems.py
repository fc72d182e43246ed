"""Where the operating systems differ in what is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firestorm.spec.model import ClusterSpec, OsName


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """`runtime` is the OCI runtime's path; `resolv_conf` names the real DNS servers, never a stub on loopback.

    `selinux` tells whether the policy is enforced: containers then get labels, and those that work on the node's own
    files need the type `spc_t`.
    """

    runtime: str
    resolv_conf: str
    selinux: bool


SYSTEMS: Mapping[OsName, System] = {
    "flatcar": System(runtime="/usr/bin/runc", resolv_conf="/run/systemd/resolve/resolv.conf", selinux=False),
    "fcos": System(runtime="/usr/bin/runc", resolv_conf="/run/systemd/resolve/resolv.conf", selinux=True),
    "debian": System(runtime="/usr/bin/crun", resolv_conf="/etc/resolv.conf", selinux=False),
}


def any_selinux(spec: ClusterSpec) -> bool:
    """Whether some machine of the cluster enforces SELinux; the labels do nothing on the others."""
    return any(SYSTEMS[pool.os.name].selinux for pool in spec.pools)
