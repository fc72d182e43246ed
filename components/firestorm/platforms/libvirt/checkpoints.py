"""Machines that are one system, frozen together and begun again from there: memory and disks.

Memory and the disks' state go into each machine's own qcow2 volume, as QEMU's internal snapshots:
https://libvirt.org/formatsnapshot.html. All machines stand still meanwhile, so that none remembers what another has yet
to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from firestorm.platforms.libvirt.virsh import Virsh

_NAME = "firestorm"


def take(virsh: Virsh, domains: Sequence[str]) -> None:
    """Freeze running machines, and let them go on. Raises PlatformError where a machine's disk or processor does not
    allow it."""
    stopped: list[str] = []
    try:
        for domain in domains:
            virsh.suspend_domain(domain)
            stopped.append(domain)
        for domain in domains:
            virsh.take_snapshot(domain, _NAME)
    finally:
        for domain in stopped:
            virsh.resume_domain(domain)


def taken(virsh: Virsh, domains: Sequence[str]) -> bool:
    """Whether there is a frozen state of every machine."""
    return all(_NAME in virsh.snapshots(domain) for domain in domains)


def restore(virsh: Virsh, domains: Sequence[str]) -> None:
    """Have machines, running or not, go on from where they were frozen. What they did since is lost."""
    for domain in domains:
        virsh.revert_domain(domain, _NAME)
    for domain in domains:
        virsh.resume_domain(domain)


def switch_off(virsh: Virsh, domains: Sequence[str]) -> None:
    """Pull the plugs of those that run."""
    active = {domain.name for domain in virsh.domains() if domain.active}
    for domain in domains:
        if domain in active:
            virsh.destroy_domain(domain)
