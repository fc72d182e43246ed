"""What of this host would keep a cluster from coming up, or make it slow: looked at without changing anything."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from firestorm.clusters import allocation
from firestorm.clusters.preparation import uses_system_libvirt
from firestorm.clusters.register import Register
from firestorm.clusters.running import KUBECTL
from firestorm.errors import FirestormError
from firestorm.platforms.libvirt import acceleration, capacity, egress, private
from firestorm.platforms.libvirt.host import access_problems, preflight
from firestorm.platforms.libvirt.naming import LibvirtNames
from firestorm.platforms.libvirt.virsh import Virsh
from firestorm.spec.host import HostFacts
from firestorm.spec.model import ClusterSpec

SYSTEM = "qemu:///system"
# The kernel's limits below which libvirt's and QEMU's watchers were seen to be refused: inotify(7), /proc interfaces.
_INOTIFY = {"max_user_instances": 128, "max_user_watches": 8192}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at, what was found and, unless that is "ok", what to do. A "failed" one keeps clusters away."""

    name: str
    result: Literal["ok", "warning", "failed"]
    found: str
    remedy: str = ""


def examine(spec: ClusterSpec, *, served: bool = False) -> tuple[Check, ...]:
    """Every check, for a cluster as `spec` describes it.

    Unless that names another libvirt than the system's, it is the system's where this user may use it, else a private
    one; `served` says that the site file has a server beside the machines, for which it is private, too.
    """
    own = spec.platform.uri == SYSTEM and (served or not uses_system_libvirt())
    return (
        *_guarded("tools", _tools),
        *_guarded("acceleration", lambda: _acceleration(spec)),
        *_guarded("libvirt", lambda: _private(served) if own else _system(spec)),
        *_guarded("room", lambda: _room(spec, own=own)),
        *_guarded("networks", lambda: _networks(spec, own=own)),
        *_guarded("inotify", _inotify),
    )


def _guarded(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """A check that cannot be made has failed."""
    try:
        yield from look()
    except (FirestormError, OSError) as error:
        yield Check(name=name, result="failed", found=str(error), remedy="see the message")


def _problems(name: str, texts: Iterable[str]) -> Iterator[Check]:
    """Failed checks of messages that tell what is wrong and, after a colon, what to do."""
    for text in texts:
        found, _, remedy = text.partition(": ")
        yield Check(name=name, result="failed", found=found, remedy=remedy)


def _tools() -> Iterator[Check]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    install = "https://www.pulumi.com/docs/install/, then `pulumi plugin install resource libvirt 0.5.4`"
    yield _program("pulumi", shutil.which("pulumi", path=path), "failed", install)
    install = f"https://kubernetes.io/docs/tasks/tools/, or {KUBECTL}=PATH; nodes come up without it"
    yield _program("kubectl", os.environ.get(KUBECTL) or shutil.which("kubectl"), "warning", install)


def _program(name: str, path: str | None, without: Literal["warning", "failed"], install: str) -> Check:
    if path:
        return Check(name=name, result="ok", found=path)
    return Check(name=name, result=without, found="not on PATH", remedy=install)


def _acceleration(spec: ClusterSpec) -> Iterator[Check]:
    found = acceleration.find(spec.platform.acceleration)
    if found.kind == "kvm":
        yield Check(name="KVM", result="ok", found=found.reason)
        return
    yield Check(
        name="KVM",
        result="warning",
        found=found.reason,
        remedy="machines are emulated (TCG), which is several times slower: use a host with KVM, or with nested KVM",
    )


def _private(served: bool) -> Iterator[Check]:
    lacking = (*private.missing(), *(() if served else egress.missing()))
    yield (
        Check(
            name="libvirt",
            result="failed",
            found=f"a private libvirt lacks {len(lacking)} packages",
            remedy=f"apt-get install --no-install-recommends {' '.join(lacking)}",
        )
        if lacking
        else Check(name="libvirt", result="ok", found="a private one is started for each cluster")
    )
    yield (
        Check(name="rights", result="ok", found="root, for network namespaces")
        if os.geteuid() == 0
        else Check(
            name="rights",
            result="failed",
            found=f"user {os.geteuid()} may not make network namespaces, nor use the system's libvirt",
            remedy="use sudo, or join the group of a libvirt that runs: usermod -aG libvirt USER",
        )
    )


def _system(spec: ClusterSpec) -> Iterator[Check]:
    uri = spec.platform.uri
    if problems := preflight(uri):
        yield from _problems("libvirt", problems)
        return
    yield Check(name="libvirt", result="ok", found=uri)
    confined = access_problems(Path(LibvirtNames.of(spec).pool_path), Virsh(uri=uri).confinement())
    yield from _problems("confinement", confined)
    if not confined:
        yield Check(name="confinement", result="ok", found="QEMU may read Ignition configs and volumes")


def _room(spec: ClusterSpec, *, own: bool) -> Iterator[Check]:
    memory, disk = capacity.wanted(spec)
    place = Path(LibvirtNames.of(spec).pool_path)
    problems = allocation.limits(
        allocation.Wish(
            nodes=spec.network.nodes,
            fixed=False,
            taken=(),
            port=own,
            memory=memory,
            disk=disk,
            private=own,
            volumes=place,
        ),
        Register.default().entries(),
    )
    yield from _problems("room", problems)
    if not problems:
        found = (
            f"{len(spec.nodes)} machines with {memory / 1024:.1f} GiB of memory fit, and {disk / 2**30:.0f} GiB of disk"
        )
        yield Check(name="room", result="ok", found=found)


def _networks(spec: ClusterSpec, *, own: bool) -> Iterator[Check]:
    used = [f"{entry.nodes} ({entry.record.name})" for entry in Register.default().entries()]
    routes = () if own else HostFacts.gather().routes
    used += [f"{cidr} ({interface})" for cidr, interface in routes]
    yield Check(name="networks", result="ok", found=f"in use: {', '.join(used) or 'none'}")
    for cidr, interface in routes:
        for title, network in (("pods", spec.network.pods), ("services", spec.network.services)):
            if network.overlaps(type(network)(cidr)):
                yield Check(
                    name="networks",
                    result="failed",
                    found=f"network.{title} {network} overlaps {cidr} of {interface}",
                    remedy=f"set network.{title} to another range",
                )


def _inotify() -> Iterator[Check]:
    low = []
    for name, least in _INOTIFY.items():
        value = int(Path("/proc/sys/fs/inotify", name).read_text())
        if value < least:
            low.append(f"fs.inotify.{name}={least}")
    yield (
        Check(name="inotify", result="warning", found="its limits are low", remedy=f"sysctl -w {' '.join(low)}")
        if low
        else Check(name="inotify", result="ok", found="its limits suffice")
    )


def healthy(checks: tuple[Check, ...]) -> bool:
    """Whether nothing keeps a cluster from coming up."""
    return all(check.result != "failed" for check in checks)
