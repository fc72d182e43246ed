"""What is to know of the machine that libvirt runs on, before anything is made."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt.acceleration import QEMU
from firestorm.platforms.libvirt.supervision import find
from firestorm.platforms.libvirt.sweep import is_local
from firestorm.platforms.libvirt.virsh import Virsh

# Monolithic libvirtd's socket, and that of the modular daemon. https://libvirt.org/daemons.html
_SOCKETS = (Path("/run/libvirt/libvirt-sock"), Path("/run/libvirt/virtqemud-sock"))
# QEMU gets an Ignition config by `-fw_cfg file=`, of which libvirt's AppArmor helper does not know.
# https://www.flatcar.org/docs/latest/installing/vms/libvirt/
_APPARMOR_RULES = Path("/etc/apparmor.d/local/abstractions/libvirt-qemu")


def preflight(uri: str, *, memory: int = 0, pool_path: str | None = None, disk: int = 0) -> list[str]:
    """What would keep libvirt at `uri` from running machines that need `memory` MiB and `disk` bytes in `pool_path`.

    Each problem says what to do. Of a libvirt on another machine, only the connection is checked.
    """
    problems = [
        f"{program} is not installed: install it (Debian package {package})"
        for program, package, needed in (
            ("virsh", "libvirt-clients", True),
            ("xsltproc", "xsltproc", True),  # the provider's, for domains
            (QEMU, "qemu-system-x86", is_local(uri)),
        )
        if needed and find(program) is None
    ]
    if is_local(uri):
        problems += _socket_problems(uri)
        problems += _memory_problems(memory)
        if pool_path is not None:
            problems += _disk_problems(Path(pool_path), disk)
    if problems:
        return problems
    try:
        confinement = Virsh(uri=uri).confinement()
    except PlatformError as error:
        return [str(error)]
    if is_local(uri) and pool_path is not None:
        problems += access_problems(Path(pool_path), confinement)
    return problems


def socket_of(uri: str) -> Path | None:
    """The Unix socket that a local URI of the system's libvirt leads to; None if it leads elsewhere."""
    parts = urlsplit(uri)
    transport = parts.scheme.partition("+")[2]
    if not is_local(uri) or transport not in ("", "unix") or parts.path != "/system":
        return None
    named = parse_qs(parts.query).get("socket")
    return Path(named[0]) if named else next((path for path in _SOCKETS if path.exists()), _SOCKETS[0])


def access_problems(path: Path, confinement: dict[str, str], *, rules: Path = _APPARMOR_RULES) -> list[str]:
    """What keeps QEMU, confined by libvirt as `Virsh.confinement` says, from files in `path`."""
    problems: list[str] = []
    account = confinement.get("dac", "+0:+0").partition(":")[0]
    if account != "+0":
        problems += [
            f"{parent} lets no other user pass, so QEMU (user {account[1:]}) cannot reach {path}: "
            f"`chmod o+x {parent}`, or set the platform's state directory to another place"
            for parent in path.parents
            if parent.exists() and not parent.stat().st_mode & 0o001
        ]
    if "apparmor" in confinement and not _has_rule(rules, path):
        problems.append(
            f"AppArmor keeps QEMU from reading Ignition configs in {path}: add the line\n    {path}/** r,\nto {rules}"
        )
    return problems


def _socket_problems(uri: str) -> list[str]:
    socket = socket_of(uri)
    if socket is None:
        return []
    try:
        socket.stat()
    except PermissionError:
        return [f"{socket} lies where user {os.geteuid()} may not look: run as root, or use another libvirt"]
    except OSError:
        return [
            f"{socket} does not exist: no libvirt runs there; start it (`systemctl start libvirtd`), or let Firestorm "
            "start a private one (`python -m firestorm.platforms.libvirt.private start NAME`)"
        ]
    if not os.access(socket, os.R_OK | os.W_OK):
        return [f"{socket} may not be used by user {os.geteuid()}: join its group (`usermod -aG libvirt USER`)"]
    return []


def _memory_problems(wanted: int) -> list[str]:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) // 1024
    if wanted <= available:
        return []
    return [
        f"the machines need {wanted} MiB of memory and {available} MiB are available: give them less, have fewer, or "
        "end something"
    ]


def _disk_problems(path: Path, wanted: int) -> list[str]:
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if wanted <= free:
        return []
    return [
        f"the volumes need {wanted / 2**30:.1f} GiB in {path} and {free / 2**30:.1f} GiB are free: free some, or set "
        "the platform's state directory to another disk"
    ]


def _has_rule(rules: Path, path: Path) -> bool:
    """Whether a rule for `path` or a directory above it is there; patterns are not understood and count as none."""
    try:
        lines = rules.read_text().splitlines()
    except OSError:
        return False
    return any(line.strip().startswith(f"{place}/**") for line in lines for place in (path, *path.parents[:-1]))
