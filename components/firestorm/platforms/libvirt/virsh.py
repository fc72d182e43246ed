"""libvirt by way of virsh: typed, bounded in time, with errors that say what to do."""

from __future__ import annotations

import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import labels
from firestorm.platforms.libvirt.supervision import find

_CONNECTION_FAILED = "failed to connect to the hypervisor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A virtual machine. `state` is virsh's word: running, shut off, paused, crashed, ...; `disks` are files."""

    name: str
    uuid: str
    state: str
    description: str
    active: bool
    persistent: bool
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    disks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A virtual network; `addresses` are the host's own in it."""

    name: str
    uuid: str
    active: bool
    bridge: str
    addresses: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A storage pool; `path` is empty if it is no directory."""

    name: str
    uuid: str
    active: bool
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Virsh:
    """virsh on one connection. Its methods raise PlatformError if libvirt refuses or needs more than `timeout` s."""

    uri: str
    timeout: float = 60.0

    def run(self, *arguments: str) -> str:
        """One virsh command; its output."""
        program = find("virsh")
        if program is None:
            raise PlatformError("virsh is not installed: install it (Debian package libvirt-clients)")
        try:
            done = subprocess.run(
                [program, "--quiet", "--connect", self.uri, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.timeout,
                check=False,
                env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "HOME": "/"},
            )
        except subprocess.TimeoutExpired as error:
            raise PlatformError(
                f"libvirt at {self.uri} did not finish `virsh {' '.join(arguments)}` within {self.timeout:g} s: see "
                "what libvirtd is busy with (its log), or restart it"
            ) from error
        if done.returncode != 0:
            raise PlatformError(self._failure(arguments, done.stderr))
        return done.stdout

    def domains(self) -> tuple[Domain, ...]:
        """All domains, running or only defined."""
        found = (self.domain(name) for name in self._names("list", "--all", "--name"))
        return tuple(domain for domain in found if domain is not None)

    def domain(self, name: str) -> Domain | None:
        """A domain, None if there is none of that name."""
        try:
            tree = self._xml("dumpxml", "--domain", name)
            lines = self.run("dominfo", "--domain", name).splitlines()
        except PlatformError:
            if name in self._names("list", "--all", "--name"):
                raise
            return None
        facts = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return Domain(
            name=tree.findtext("name", ""),
            uuid=tree.findtext("uuid", ""),
            state=facts["State"],
            description=tree.findtext("description", ""),
            active=facts["Id"] != "-",
            persistent=facts["Persistent"] == "yes",
            labels=labels.found(tree),
            disks=tuple(source.get("file", "") for source in tree.findall("devices/disk/source") if source.get("file")),
        )

    def networks(self) -> tuple[Network, ...]:
        """All networks, active or not."""
        active = set(self._names("net-list", "--name"))
        return tuple(self._network(name, name in active) for name in self._names("net-list", "--all", "--name"))

    def pools(self) -> tuple[Pool, ...]:
        """All storage pools, active or not."""
        active = set(self._names("pool-list", "--name"))
        return tuple(self._pool(name, name in active) for name in self._names("pool-list", "--all", "--name"))

    def volumes(self, pool: str) -> tuple[str, ...]:
        """The names of an active pool's volumes, after it has looked at its directory anew."""
        self.run("pool-refresh", "--pool", pool)
        lines = self.run("vol-list", "--pool", pool).splitlines()
        # "  name   path": names may hold single spaces, columns are three apart
        return tuple(line.strip().split("   ")[0] for line in lines if line.strip())

    def destroy_domain(self, name: str) -> None:
        """Pull its plug."""
        self.run("destroy", "--domain", name)

    def undefine_domain(self, name: str) -> None:
        """Forget it, with its saved state and firmware variables; its disks stay."""
        self.run(
            "undefine", "--domain", name, "--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram"
        )

    def suspend_domain(self, name: str) -> None:
        """Stop its processors; its memory stays."""
        self.run("suspend", "--domain", name)

    def resume_domain(self, name: str) -> None:
        self.run("resume", "--domain", name)

    def snapshots(self, domain: str) -> tuple[str, ...]:
        """The names of a domain's snapshots."""
        return tuple(self._names("snapshot-list", "--domain", domain, "--name"))

    def take_snapshot(self, domain: str, name: str) -> None:
        """Write its memory, if it is active, and its disks' state into its first disk, which is qcow2."""
        self.run("snapshot-create-as", "--domain", domain, "--name", name)

    def revert_domain(self, domain: str, name: str) -> None:
        """Have a domain's disks and memory be those of a snapshot; it is paused then."""
        self.run("snapshot-revert", "--domain", domain, "--snapshotname", name, "--paused")

    def start_network(self, name: str) -> None:
        self.run("net-start", "--network", name)

    def destroy_network(self, name: str) -> None:
        self.run("net-destroy", "--network", name)

    def undefine_network(self, name: str) -> None:
        self.run("net-undefine", "--network", name)

    def delete_volume(self, pool: str, name: str) -> None:
        """Delete a volume and what is in it."""
        self.run("vol-delete", "--pool", pool, "--vol", name)

    def start_pool(self, name: str) -> None:
        self.run("pool-start", "--pool", name)

    def destroy_pool(self, name: str) -> None:
        """Make it inactive; nothing of it is deleted."""
        self.run("pool-destroy", "--pool", name)

    def undefine_pool(self, name: str) -> None:
        self.run("pool-undefine", "--pool", name)

    def label_domain(self, name: str, wanted: Mapping[str, str]) -> None:
        """Have a domain carry these labels, while it runs and after."""
        domain = self.domain(name)
        scopes = [scope for scope, has in (("--live", domain and domain.active), ("--config", domain)) if has]
        set_ = ("--key", labels.PREFIX, "--set", labels.plain(wanted))
        self.run("metadata", "--domain", name, "--uri", labels.NAMESPACE, *set_, *scopes)

    def label_network(self, name: str, wanted: Mapping[str, str]) -> None:
        """Have a network's definition carry these labels. virsh changes a running one's from libvirt 9.7.0 on only."""
        tree = self._xml("net-dumpxml", "--inactive", "--network", name)
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(labels.relabelled(tree, wanted))
            file.flush()
            self.run("net-define", file.name)

    def confinement(self) -> dict[str, str]:
        """How libvirt confines guests: {model: label}. Models are apparmor, selinux and dac, whose label is QEMU's
        account as +uid:+gid."""
        return {
            model.findtext("model", ""): model.findtext("baselabel", "")
            for model in self._xml("capabilities").findall("host/secmodel")
        }

    def _names(self, *arguments: str) -> list[str]:
        return [line.strip() for line in self.run(*arguments).splitlines() if line.strip()]

    def _xml(self, *arguments: str) -> ET.Element:
        return ET.fromstring(self.run(*arguments))

    def _network(self, name: str, active: bool) -> Network:
        tree = self._xml("net-dumpxml", "--network", name)
        bridge = tree.find("bridge")
        return Network(
            name=tree.findtext("name", ""),
            uuid=tree.findtext("uuid", ""),
            active=active,
            bridge=bridge.get("name", "") if bridge is not None else "",
            addresses=tuple(ip.get("address", "") for ip in tree.findall("ip")),
            labels=labels.found(tree),
        )

    def _pool(self, name: str, active: bool) -> Pool:
        tree = self._xml("pool-dumpxml", "--pool", name)
        return Pool(
            name=tree.findtext("name", ""),
            uuid=tree.findtext("uuid", ""),
            active=active,
            path=tree.findtext("target/path", ""),
        )

    def _failure(self, arguments: tuple[str, ...], stderr: str) -> str:
        lines = [line.removeprefix("error: ").strip() for line in stderr.splitlines() if line.strip()]
        reason = "; ".join(line for line in lines if line != _CONNECTION_FAILED) or "it gave no reason"
        if _CONNECTION_FAILED in lines:
            return (
                f"libvirt at {self.uri} cannot be reached: {reason}; start libvirtd, check the URI and that this user "
                "may use its socket (group libvirt), or let Firestorm start a private libvirt"
            )
        return f"libvirt at {self.uri} refused `virsh {' '.join(arguments)}`: {reason}"
