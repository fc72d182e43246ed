"""What a private libvirt needs on the machine, and which Debian packages bring it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from firestorm.platforms.libvirt import supervision

_DRIVERS = ("/usr/lib/*/libvirt/connection-driver", "/usr/lib64/libvirt/connection-driver")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """A program or libvirt driver, and its package: the first of `packages` that apt knows."""

    name: str
    packages: tuple[str, ...]
    driver: bool = False


# Since Debian 13 every libvirt driver is a package of its own; before, most are in libvirt-daemon. That of the system's
# service, libvirt-daemon-system, is not needed: it starts a libvirtd and a network on the host.
_NEEDS = (
    _Need(name="libvirtd", packages=("libvirt-daemon",)),
    _Need(name="virtlogd", packages=("libvirt-daemon-log", "libvirt-daemon")),
    _Need(name="qemu", packages=("libvirt-daemon-driver-qemu", "libvirt-daemon"), driver=True),
    _Need(name="network", packages=("libvirt-daemon-driver-network", "libvirt-daemon"), driver=True),
    _Need(name="storage", packages=("libvirt-daemon-driver-storage", "libvirt-daemon"), driver=True),
    _Need(name="virsh", packages=("libvirt-clients",)),
    _Need(name="qemu-system-x86_64", packages=("qemu-system-x86",)),
    _Need(name="qemu-img", packages=("qemu-utils",)),
    _Need(name="xsltproc", packages=("xsltproc",)),  # the provider's, for what its arguments cannot say of a domain
    _Need(name="dnsmasq", packages=("dnsmasq-base",)),
    _Need(name="ip", packages=("iproute2",)),
    _Need(name="iptables", packages=("iptables",)),
    _Need(name="nsenter", packages=("util-linux",)),
    _Need(name="unshare", packages=("util-linux",)),
    _Need(name="mount", packages=("mount",)),
)


def missing() -> tuple[str, ...]:
    """Debian packages to install, without their recommendations, before `start` can work; none if it can."""
    return resolve(_present, _known_to_apt)


def resolve(present: Callable[[str, bool], bool], known: Callable[[str], bool]) -> tuple[str, ...]:
    """As `missing`, for a machine described by `present(name, is_driver)` and a distribution by `known(package)`."""
    lacking = [need for need in _NEEDS if not present(need.name, need.driver)]
    chosen = (next((name for name in need.packages[:-1] if known(name)), need.packages[-1]) for need in lacking)
    return tuple(dict.fromkeys(chosen))


def _present(name: str, driver: bool) -> bool:
    if driver:
        return any(path for pattern in _DRIVERS for path in Path("/").glob(f"{pattern[1:]}/libvirt_driver_{name}.so"))
    return supervision.find(name) is not None


def _known_to_apt(package: str) -> bool:
    try:
        done = subprocess.run(
            ["apt-cache", "show", "--no-all-versions", package], capture_output=True, timeout=30, check=False
        )
    except OSError:
        return False
    return done.returncode == 0
