"""The names of everything a cluster owns in libvirt and on its host's disk, in one place: what is made, and swept."""

from __future__ import annotations

import grp
from dataclasses import dataclass
from pathlib import Path

from firestorm.platforms.libvirt.sweep import is_local
from firestorm.spec.model import ClusterSpec, Libvirt

_QEMU_GROUPS = ("libvirt-qemu", "qemu")  # Debian and Ubuntu; Fedora and its kin


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtNames:
    """Names computed from a spec. `description` marks a domain as this cluster's."""

    cluster: str
    pool: str
    pool_path: str
    network: str
    console_dir: str
    description: str

    @classmethod
    def of(cls, spec: ClusterSpec) -> LibvirtNames:
        home = Path(spec.platform.state_dir) / "clusters" / spec.name
        return cls(
            cluster=spec.name,
            pool=f"firestorm-{spec.name}",
            pool_path=str(home / "volumes"),
            network=f"firestorm-{spec.name}",
            console_dir=str(home / "console"),
            description=f"firestorm:{spec.name}",
        )

    def console(self, node: str) -> str:
        """The file that `node`'s serial console is written to."""
        return f"{self.console_dir}/{node}.log"

    def journal(self, node: str) -> str:
        """The host end of `node`'s journal port: QEMU's `pipe`, whose two named pipes are `journal_pipes`."""
        return f"{self.console_dir}/{node}.journal"

    def journal_pipes(self, node: str) -> tuple[str, str]:
        """What the host writes to and what it reads from. QEMU opens them when it starts: they are there before."""
        return f"{self.journal(node)}.in", f"{self.journal(node)}.out"


def pool_permissions(platform: Libvirt) -> dict[str, str]:
    """Mode and group of the pool's directory, whose Ignition volumes hold secrets and are made readable for all.

    A private libvirt's QEMU is root. A system's runs in a group of its own, which alone may pass the directory; where
    that is not known, because libvirt is on another host, the directory can be passed but not listed.
    """
    if platform.api_port is not None:
        return {"mode": "0700", "group": "0"}
    for name in _QEMU_GROUPS if is_local(platform.uri) else ():
        try:
            return {"mode": "0710", "group": str(grp.getgrnam(name).gr_gid)}
        except KeyError:
            continue
    return {"mode": "0711", "group": "0"}
