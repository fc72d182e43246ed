"""The marks of clusters on what they have made: labels of libvirt objects, a record in a private libvirt's directory.

What carries no mark of ours is never touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from firestorm.clusters import record
from firestorm.clusters.record import ClusterRecord
from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import private
from firestorm.platforms.libvirt.host import socket_of
from firestorm.platforms.libvirt.instance import DEFAULT_STATE_DIR, Instance
from firestorm.platforms.libvirt.sweep import Claim as Holdings
from firestorm.platforms.libvirt.virsh import Domain, Network, Pool, Virsh

SYSTEM = "qemu:///system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Objects in libvirt that carry the mark of one cluster. `pool_path` is empty where no disk tells it."""

    record: ClusterRecord
    uri: str
    holdings: Holdings


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedInstance:
    """A private libvirt that was started for a cluster."""

    name: str
    state_dir: Path
    record: ClusterRecord


def relabel(found: ClusterRecord) -> None:
    """Have the marks in libvirt say what the record says now, as far as libvirt can be reached."""
    if not found.uri:
        return
    virsh = Virsh(uri=found.uri)
    with suppress(PlatformError):
        for domain in virsh.domains():
            if domain.labels.get("id") == found.id:
                virsh.label_domain(domain.name, {**domain.labels, **found.labels()})
        for network in virsh.networks():
            if network.labels.get("id") == found.id:
                virsh.label_network(network.name, {**network.labels, **found.labels()})


def places() -> list[str]:
    """The libvirts of this machine that can be asked: the system's, and every private one that runs."""
    socket = socket_of(SYSTEM)
    found = [SYSTEM] if socket is not None and socket.exists() else []
    for name, state_dir in _instances():
        with suppress(PlatformError):
            if private.status(name, state_dir).running:
                found.append(Instance.of(name, state_dir).uri)
    return found


def marked(uri: str) -> list[Marked]:
    """What carries a mark of ours at this libvirt, by cluster. Raises PlatformError if it cannot be asked."""
    virsh = Virsh(uri=uri)
    domains = [domain for domain in virsh.domains() if "id" in domain.labels]
    networks = [network for network in virsh.networks() if "id" in network.labels]
    pools = virsh.pools() if domains or networks else ()
    found = []
    for id_ in sorted({*(domain.labels["id"] for domain in domains), *(net.labels["id"] for net in networks)}):
        ours = tuple(domain for domain in domains if domain.labels["id"] == id_)
        nets = tuple(network for network in networks if network.labels["id"] == id_)
        owner = _record([*(domain.labels for domain in ours), *(network.labels for network in nets)], uri)
        if owner is not None:
            found.append(Marked(record=owner, uri=uri, holdings=_holdings(owner, ours, nets, pools)))
    return found


def _holdings(
    owner: ClusterRecord, domains: tuple[Domain, ...], networks: tuple[Network, ...], pools: tuple[Pool, ...]
) -> Holdings:
    """What a cluster owns, as far as it can be told from what is marked: its pool has its name, and a path as
    `naming` gives it; what else is in the cluster's directory lies beside that."""
    volumes = next((pool for pool in pools if pool.name == f"firestorm-{owner.name}" and _is_ours(pool, owner)), None)
    home = Path(volumes.path).parent if volumes else None
    return Holdings(
        description=f"firestorm:{owner.name}",
        domains=tuple(domain.name for domain in domains),
        networks=tuple((network.name, network.addresses[0]) for network in networks if network.addresses),
        pool=volumes.name if volumes else "",
        pool_path=volumes.path if volumes else "",
        files=tuple(_content(home / "console")) if home else (),
        directories=tuple(map(str, (home / "console", home, home.parent))) if home else (),
    )


def instances() -> list[MarkedInstance]:
    """The private libvirts that were started for clusters, running or not."""
    found = []
    for name, state_dir in _instances():
        owner = instance_record(name, state_dir)
        if owner is not None:
            found.append(MarkedInstance(name=name, state_dir=state_dir, record=owner))
    return found


def instance_record(name: str, state_dir: str | Path = DEFAULT_STATE_DIR) -> ClusterRecord | None:
    """The record of the cluster that the private libvirt `name` was started for; None if it was for none."""
    with suppress(OSError, ValueError):
        return ClusterRecord.from_json(json.loads((Instance.of(name, state_dir).directory / record.FILE).read_text()))
    return None


def _instances() -> Iterator[tuple[str, Path]]:
    """(name, state directory) of every private libvirt whose directory is there."""
    directories = [*Path(DEFAULT_STATE_DIR).glob("private/*"), *map(Path, private.known().values())]
    for directory in dict.fromkeys(directories):
        if directory.is_dir():
            yield directory.name, directory.parent.parent


def _record(labels: Iterable[Mapping[str, str]], uri: str) -> ClusterRecord | None:
    """The record that marks tell of, with the latest expiry of them; None if they are not whole."""
    found: list[ClusterRecord] = []
    for one in labels:
        with suppress(KeyError, ValueError):
            found.append(
                ClusterRecord(
                    name=one["name"],
                    id=one["id"],
                    owner=one["owner"],
                    created=datetime.fromisoformat(one["created"]),
                    expires=None if one["expires"] == "never" else datetime.fromisoformat(one["expires"]),
                    uri=uri,
                    home=Path(one["home"]),
                )
            )
    return next((one for one in found if one.expires is None), None) or max(
        found, key=lambda one: one.expires or one.created, default=None
    )


def _is_ours(pool: Pool, owner: ClusterRecord) -> bool:
    return Path(pool.path).parts[-3:] == ("clusters", owner.name, "volumes")


def _content(directory: Path) -> list[str]:
    with suppress(OSError):
        return [str(path) for path in directory.iterdir()]
    return []
