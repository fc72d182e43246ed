"""A network namespace of our own, and who lives in it."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt.instance import MASKED, Instance, Record
from firestorm.platforms.libvirt.supervision import (
    Identity,
    Process,
    identity,
    marked,
    namespace_of,
    pids,
    session,
    start_time,
    tool,
)

# Debian's libvirt refuses to start without the account that it would run QEMU as, even when told to run it as another;
# the package that makes it also brings a system-wide libvirtd. So the account exists for the private daemons alone.
# 64055 is the number that Debian has allocated to it (README of Debian's package base-passwd).
_USERS = {"libvirt-qemu": "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin"}
_GROUPS = {"libvirt-qemu": "libvirt-qemu:x:64055:"}

# $1: the instance's directory. A new sysfs shows the links of the network namespace that it is mounted in. libvirtd
# takes seconds to find out what each QEMU can do; it runs 32-bit guests with the 64-bit one if the other is missing.
_ENTER = """
{mounts}
mount -t sysfs sysfs /sys
for file in passwd group; do mount --bind "$1/accounts/$file" "/etc/$file"; done
[ ! -e /etc/resolv.conf ] || mount --bind "$1/resolv.conf" /etc/resolv.conf
for spare in /usr/bin/qemu-system-i386; do [ ! -e "$spare" ] || mount --bind /dev/null "$spare"; done
shift
cd /
exec "$@"
""".format(mounts="\n".join(f'mount --bind "$1/{name}" {path}' for name, path in MASKED.items()))


def ensure(instance: Instance, address: str, *, previous: str | None = None) -> Identity:
    """Make the namespace unless it exists: loopback up and carrying `address`, forwarding on, no way out."""
    found = current(instance)
    if found is None:
        instance.namespace_path.unlink(missing_ok=True)  # a file left by a run that was killed, or by a reboot
        _ip("netns", "add", instance.namespace)
        found = current(instance)
    if found is None:
        raise PlatformError(f"the network namespace {instance.namespace} vanished while it was set up: try again")
    inside = ("-n", instance.namespace)
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "address", "replace", f"{address}/32", "dev", "lo")
    if previous and previous != address:
        _ip(*inside, "address", "delete", f"{previous}/32", "dev", "lo", missing_ok=True)
    _run([*join(instance), "/bin/sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
    return found


def current(instance: Instance) -> Identity | None:
    """The identity of the namespace that now bears our name; None if there is none."""
    found, own = identity(instance.namespace_path), namespace_of(os.getpid())
    return found if found and own and found[0] == own[0] else None  # else a plain file, on another file system


def has_default_route(instance: Instance) -> bool:
    """Whether something leads out of the namespace."""
    done = subprocess.run(
        [tool("ip", "iproute2"), "-n", instance.namespace, "-json", "route", "show", "default"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return done.returncode == 0 and done.stdout.strip() not in ("", "[]")


def remove(instance: Instance) -> bool:
    """Take the namespace's name away; it ends with its last process. False if there was none."""
    if not instance.namespace_path.exists():
        return False
    if current(instance) is not None:
        _ip("netns", "delete", instance.namespace)
    instance.namespace_path.unlink(missing_ok=True)
    return True


def join(instance: Instance) -> list[str]:
    """What to put before a command to run it in the network namespace, and otherwise where it is."""
    return [tool("nsenter", "util-linux"), f"--net={instance.namespace_path}"]


def enter(instance: Instance, argv: Sequence[str]) -> list[str]:
    """`argv` in the network namespace and in a mount namespace with the instance's directories over libvirt's.

    Mounts of the host made later are seen inside (propagation `slave`), none of these outside.
    """
    unshare = [tool("unshare", "util-linux"), "--mount", "--propagation", "slave"]
    return [*unshare, *join(instance), "/bin/sh", "-euc", _ENTER, "enter", str(instance.directory), *argv]


def write_accounts(instance: Instance) -> None:
    """The host's accounts and those that libvirt insists on, for the private mount namespace."""
    directory = instance.directory / "accounts"
    directory.mkdir(mode=0o755, exist_ok=True)
    users = [line for name, line in _USERS.items() if not _known(pwd.getpwnam, name)]
    groups = [line for name, line in _GROUPS.items() if not _known(grp.getgrnam, name)]
    for name, extra in (("passwd", users), ("group", groups)):
        text = Path("/etc", name).read_text().rstrip("\n")
        (directory / name).write_text("\n".join([text, *extra]) + "\n")


def inhabitants(instance: Instance, record: Record) -> tuple[dict[int, int], tuple[int, ...]]:
    """Who lives in the namespace: ({pid: start time} of the processes that are ours, the pids of all others).

    Ours are: those that carry the marker in their environment; and of those in our network namespace, the ones whose
    libvirt directory is this instance's (what libvirtd started, with an environment of its own making) and the ones
    in a session that a recorded process leads. A shell that somebody opened in the namespace is not.
    """
    spaces = {space for space in (record.namespace, current(instance)) if space is not None}
    masked = identity(instance.directory / "etc")
    leaders = record.processes.values()
    ours: dict[int, int] = {}
    others: list[int] = []
    for pid in pids():
        started = start_time(pid)
        if started is None or pid == os.getpid():
            continue
        inside = namespace_of(pid) in spaces
        recorded = any((leader.pid, leader.started) == (pid, started) for leader in leaders)
        related = inside and (_masks(pid, masked) or any(in_session(pid, started, leader) for leader in leaders))
        if recorded or related or marked(pid, str(instance.directory)):
            ours[pid] = started
        elif inside:
            others.append(pid)
    return ours, tuple(others)


def in_session(pid: int, started: int, leader: Process) -> bool:
    """Whether a process belongs to the session that `leader` was started in."""
    return session(pid) == leader.pid and started >= leader.started


def _masks(pid: int, directory: Identity | None) -> bool:
    return directory is not None and identity(Path(f"/proc/{pid}/root{MASKED['etc']}")) == directory


def _known(lookup: Callable[[str], object], name: str) -> bool:
    try:
        lookup(name)
    except KeyError:
        return False
    return True


def _ip(*arguments: str, missing_ok: bool = False) -> None:
    _run([tool("ip", "iproute2"), *arguments], check=not missing_ok)


def _run(argv: Sequence[str], *, check: bool = True) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=30, check=False)
    if check and done.returncode != 0:
        raise PlatformError(
            f"`{' '.join(argv)}` failed: {done.stderr.strip() or f'status {done.returncode}'}; a private libvirt needs "
            "the right to make network namespaces (root; in a container CAP_SYS_ADMIN and CAP_NET_ADMIN)"
        )
