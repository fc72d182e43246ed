"""Places for private libvirts, and definitions of what runs in them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from firestorm.platforms.libvirt import private, supervision
from firestorm.platforms.libvirt.private import PrivateLibvirt


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A name and a state directory for a private libvirt of one test's own."""

    name: str
    state_dir: Path

    @property
    def directory(self) -> Path:
        return self.state_dir / "private" / self.name

    @property
    def namespace(self) -> str:
        return f"firestorm-{self.name}"

    def start(self) -> PrivateLibvirt:
        return private.start(self.name, self.state_dir)

    def stop(self) -> tuple[str, ...]:
        return private.stop(self.name, self.state_dir)

    def traces(self) -> list[str]:
        """Everything that is on the machine because of this private libvirt."""
        found = [
            f"process {supervision.command(pid)}"
            for pid in supervision.pids()
            if supervision.start_time(pid) is not None and self._owns(pid)
        ]
        found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if self.name in line]
        paths = (self.directory, Path("/run/netns", self.namespace), Path("/run/firestorm", f"{self.name}.lock"))
        found += [str(path) for path in paths if path.exists()]
        register = Path("/run/firestorm/host.json")
        if register.exists() and self.name in register.read_text():
            found.append(str(register))
        return found

    def _owns(self, pid: int) -> bool:
        try:
            text = Path(f"/proc/{pid}/mountinfo").read_text() + Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            return False
        return supervision.marked(pid, str(self.directory)) or f"/private/{self.name}" in text


def host_network() -> dict[str, str]:
    """What of the host's network a private libvirt must not change."""
    commands = {
        "links": "ip -o link | cut -d: -f2",
        "addresses": "ip -o -4 address | tr -s ' ' | cut -d' ' -f2-4",
        "routes": "ip route show table all",
        "iptables": "iptables-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'",
        "nftables": "if command -v nft >/dev/null; then nft list ruleset; fi",
        "forwarding": "cat /proc/sys/net/ipv4/ip_forward",
    }
    return {
        name: subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=20, check=True).stdout
        for name, text in commands.items()
    }


def require_lab() -> None:
    if os.geteuid() != 0:
        pytest.fail("lab tests need root; without it run `pytest -m 'not lab'`")
    if lacking := private.missing():
        pytest.fail(f"lab tests need packages: apt-get install --no-install-recommends {' '.join(lacking)}")


def domain_xml(name: str, *, description: str = "", network: str | None = None, mac: str = "52:54:00:4d:00:0a") -> str:
    """A machine without a disk: it asks for an address by PXE, if there is a network, and then does nothing."""
    link = f"<source network='{network}'/><mac address='{mac}'/><model type='virtio'/>"
    interface = f"<interface type='network'>{link}</interface>" if network else ""
    return (
        f"<domain type='qemu'><name>{name}</name><description>{description}</description>"
        "<memory unit='MiB'>64</memory><vcpu>1</vcpu>"
        "<os><type arch='x86_64' machine='q35'>hvm</type><boot dev='network'/></os>"
        f"<devices>{interface}</devices></domain>"
    )


def network_xml(name: str, *, bridge: str, prefix: str = "10.77.0", reservations: dict[str, str] | None = None) -> str:
    """A NAT network `prefix`.0/24 with DHCP reservations {mac: address}."""
    hosts = "".join(f"<host mac='{mac}' ip='{address}'/>" for mac, address in (reservations or {}).items())
    return (
        f"<network><name>{name}</name><forward mode='nat'/><bridge name='{bridge}'/>"
        f"<ip address='{prefix}.1' netmask='255.255.255.0'><dhcp>{hosts}</dhcp></ip></network>"
    )
