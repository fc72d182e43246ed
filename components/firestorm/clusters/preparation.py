"""What there has to be before Pulumi makes a cluster: its record, its share of the host, and if need be a libvirt of
its own with a server or a way out."""

from __future__ import annotations

import ipaddress
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firestorm import spec
from firestorm.clusters import allocation, document, leftovers, record
from firestorm.clusters.files import write_private
from firestorm.clusters.record import ClusterRecord, Keeper
from firestorm.clusters.register import Entry
from firestorm.clusters.site import Site
from firestorm.errors import ClusterError, PlatformError
from firestorm.platforms.libvirt import capacity, egress, forward, private
from firestorm.platforms.libvirt.claim import holdings_of
from firestorm.platforms.libvirt.host import socket_of
from firestorm.platforms.libvirt.instance import Instance
from firestorm.platforms.libvirt.naming import LibvirtNames
from firestorm.platforms.libvirt.virsh import Virsh
from firestorm.spec.model import Cidr, ClusterSpec

if TYPE_CHECKING:
    from firestorm.clusters.life import Life

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One preparation, under the cluster's lock; `source` tells where its document came from."""

    life: Life
    source: spec.Source | None
    site: Site

    def run(self, whole: dict[str, Any], before: ClusterRecord | None, ttl: timedelta | None) -> None:
        """Prepare the cluster that `whole` describes, and had the record `before` if it is there."""
        life = self.life
        found = before or ClusterRecord.new(life.name, life.home, ttl)
        # Until it is up for the first time, it is nothing without this process.
        found = record.write(replace(found, state="coming up", keeper=found.keeper and Keeper.this()))
        libvirt = dict(whole.get("platform", {}).get("libvirt", {}))
        if before is None and private.status(life.name).exists:
            raise ClusterError(
                f"a private libvirt {life.name} is there that is no cluster's: choose another name, or end it with "
                f"`python -m firestorm.platforms.libvirt.private stop {life.name}`"
            )
        own = "uri" not in libvirt and (
            bool(self.site.inside) or private.status(life.name).exists or not uses_system_libvirt()
        )
        if self.site.inside and not own:
            raise ClusterError(
                "the site's server (`inside`) runs beside a private libvirt: leave out platform.libvirt.uri, or give a "
                "site file without it"
            )
        uri = libvirt["uri"] = Instance.of(life.name).uri if own else libvirt.get("uri", "qemu:///system")
        libvirt["labels"] = {**libvirt.get("labels", {}), **self._birth(found)}
        whole = {**whole, "platform": {"libvirt": libvirt}}
        entry = self._allocate(whole, replace(found, uri=uri), own=own)
        record.write(entry.record)
        whole["network"] = {**whole.get("network", {}), "nodes": str(entry.nodes)}
        parsed = spec.parse(whole, source=self.source)
        owned = leftovers.remember(life.home, uri, holdings_of(parsed, LibvirtNames.of(parsed)))
        entry = replace(entry, owned=tuple(owned))
        life.register.put(entry)
        if own:
            libvirt["api_port"] = self._start_private(entry, parsed)
        if self.source is not None:
            document.remember(life.home, self.source)
        life.stack.configure(whole)

    def _birth(self, found: ClusterRecord) -> dict[str, str]:
        """The labels as they were first given: a change of them in the configuration would replace machines."""
        config = self.life.stack_config
        before = document.configured(config) if config.exists() else {}
        labels: dict[str, str] = before.get("platform", {}).get("libvirt", {}).get("labels", {})
        return {**found.labels(), **{key: labels[key] for key in found.labels() if labels.get("id") == found.id}}

    def _allocate(self, whole: dict[str, Any], found: ClusterRecord, *, own: bool) -> Entry:
        parsed = spec.parse(whole, source=self.source)
        memory, disk = capacity.wanted(parsed)
        names = LibvirtNames.of(parsed)
        wish = allocation.Wish(
            nodes=parsed.network.nodes,
            fixed="nodes" in whole.get("network", {}),
            taken=(parsed.network.pods, parsed.network.services, *(() if own else _networks(found.uri, names.network))),
            port=own,
            memory=memory,
            disk=disk,
            private=own,
            volumes=Path(names.pool_path),
        )
        return allocation.allocate(self.life.register, found, wish)

    def _start_private(self, entry: Entry, parsed: ClusterSpec) -> int:
        """A libvirt of the cluster's own, with the site's server or a way out; the port of the API server."""
        name, say = self.life.name, self.life.say
        say(f"a private libvirt serves {name}, in a network namespace of its own")
        if lacking := (*private.missing(), *(() if self.site.inside else egress.missing())):
            raise PlatformError(
                "a private libvirt needs more packages: run\n"
                f"    apt-get install --no-install-recommends {' '.join(lacking)}"
            )
        own = private.start(name, progress=say)
        write_private(Path(own.directory) / record.FILE, entry.record.to_json())
        if self.site.inside:
            command = self.site.command(own.service_address)
            log = self.life.home / "inside.log"
            private.run_inside(name, command, label="inside", log=log, environment=dict(os.environ))
        else:
            egress.open_egress(name)
        target = str(parsed.controller_nodes[0].address)
        for _ in range(_TRIES):
            with suppress(PlatformError):
                return forward.forward(name, target, port=entry.port)
            entry = allocation.another_port(self.life.register, entry)
        return forward.forward(name, target, port=entry.port)


def uses_system_libvirt() -> bool:
    """Whether a libvirt of the system's runs here that this user may use."""
    socket = socket_of("qemu:///system")
    return socket is not None and os.access(socket, os.R_OK | os.W_OK)


def _networks(uri: str, own: str) -> tuple[Cidr, ...]:
    """The addresses that a libvirt's networks have, but for the cluster's `own`; none if it cannot be asked."""
    try:
        found = [network for network in Virsh(uri=uri).networks() if network.name != own]
    except PlatformError:
        return ()
    return tuple(ipaddress.IPv4Network(address) for network in found for address in network.addresses if "." in address)
