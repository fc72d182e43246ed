"""What a new cluster gets on a host beside others: a name, addresses, a port, memory and disk. All under one lock."""

from __future__ import annotations

import ipaddress
import shutil
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from firestorm.clusters.record import ClusterRecord
from firestorm.clusters.register import Entry, Register
from firestorm.errors import ClusterError
from firestorm.spec.host import HostFacts
from firestorm.spec.model import Cidr

_RANGES = ipaddress.IPv4Network("10.32.0.0/11")  # beside the defaults of a cluster's own ranges: 10.3, 10.17 and 10.20
_PORTS = range(6443, 6943)
_HOST_MEMORY = 512  # MiB that the host itself keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a cluster asks for. `nodes` is its node network, which it must have if `fixed`, else one of that size;
    `taken` are networks that it must not meet on its libvirt. `port`: whether it needs a loopback port."""

    nodes: Cidr
    fixed: bool
    taken: tuple[Cidr, ...]
    port: bool
    memory: int
    disk: int
    private: bool
    volumes: Path


def allocate(register: Register, record: ClusterRecord, wish: Wish) -> Entry:
    """Find what is wished for and write it down; again for the same cluster, what it has already.

    Raises ClusterError with everything that stands in the way: a taken name or network, too little memory or disk.
    """
    with register.locked():
        entries = register.entries()
        before = next((entry for entry in entries if entry.record.name == record.name), None)
        if before is not None and before.record.id != record.id:
            raise ClusterError(_taken(before, register))
        others = [entry for entry in entries if entry is not before]
        kept = before.nodes if before is not None and not wish.fixed else None
        nodes, problems = _network(wish, others, kept)
        problems += limits(wish, others, before)
        if problems:
            raise ClusterError("\n".join(problems))
        port = (before.port if before else None) or (_port(others) if wish.port else None)
        entry = Entry(
            record=record,
            nodes=nodes,
            port=port,
            memory=wish.memory,
            disk=wish.disk,
            private=wish.private or (before is not None and before.private),
            owned=before.owned if before is not None else (),
        )
        register.put(entry)
        return entry


def another_port(register: Register, entry: Entry) -> Entry:
    """`entry` with another port, where its own turned out to be somebody else's."""
    with register.locked():
        others = [other for other in register.entries() if other.record.name != entry.record.name]
        fresh = Entry(
            record=entry.record,
            nodes=entry.nodes,
            port=_port(others, unlike=entry.port),
            memory=entry.memory,
            disk=entry.disk,
            private=entry.private,
            owned=entry.owned,
        )
        register.put(fresh)
        return fresh


def limits(wish: Wish, others: Sequence[Entry], before: Entry | None = None) -> list[str]:
    """Whether the host can carry the cluster, besides what others were promised; each problem says what to do.

    A machine takes its memory when it touches it: of those that come up, nothing may have been taken yet; and all
    together must fit into the machine. What the cluster was promised `before` was counted then.
    """
    memory = wish.memory - (before.memory if before else 0)
    disk = wish.disk - (before.disk if before else 0)
    total, available = _memory()
    promised = sum(entry.memory for entry in others) + (before.memory if before else 0)
    coming = sum(entry.memory for entry in others if entry.record.state == "coming up")
    problems = []
    free = min(available - coming, total - _HOST_MEMORY - promised)
    if memory > free:
        beside = f"; other clusters have {promised / 1024:.1f} GiB" if others else ""
        problems.append(
            f"the machines need {memory / 1024:.1f} GiB of memory and {max(free, 0) / 1024:.1f} GiB are free"
            f"{beside}: give them less, have fewer, or end a cluster (`firestorm list`)"
        )
    place = next(path for path in (wish.volumes, *wish.volumes.parents) if path.exists())
    space = shutil.disk_usage(place).free - sum(entry.disk for entry in others if entry.record.state == "coming up")
    if disk > space:
        problems.append(
            f"the volumes need {disk / 2**30:.1f} GiB in {place} and {max(space, 0) / 2**30:.1f} GiB are free: "
            "free some, end a cluster, or set the platform's state directory to another disk"
        )
    return problems


def _network(wish: Wish, others: Sequence[Entry], kept: Cidr | None) -> tuple[Cidr, list[str]]:
    """The node network, and why it cannot be had."""
    used = [*wish.taken, *(entry.nodes for entry in others)]
    if not wish.private:
        used += [ipaddress.IPv4Network(cidr, strict=False) for cidr, _ in HostFacts.gather().routes]
    if kept is not None:
        return kept, []
    if not wish.fixed:
        for candidate in (wish.nodes, *_RANGES.subnets(new_prefix=wish.nodes.prefixlen)):
            if not any(candidate.overlaps(network) for network in used):
                return candidate, []
        return wish.nodes, [f"no /{wish.nodes.prefixlen} of {_RANGES} is free for the nodes: end a cluster"]
    return wish.nodes, [
        f"network.nodes is {wish.nodes}, which overlaps {entry.nodes} of the cluster {entry.record.name}: leave it "
        "out, choose another range, or end that cluster"
        for entry in others
        if entry.nodes.overlaps(wish.nodes)
    ]


def _port(others: Iterable[Entry], unlike: int | None = None) -> int:
    """A loopback port that nobody listens on and no other cluster was given."""
    given = {entry.port for entry in others} | {unlike}
    for port in _PORTS:
        if port in given:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise ClusterError(f"no port of 127.0.0.1 from {_PORTS.start} to {_PORTS.stop - 1} is free: end a cluster")


def _memory() -> tuple[int, int]:
    """MiB of memory: all, and what is available."""
    lines = (line.partition(":") for line in Path("/proc/meminfo").read_text().splitlines())
    found = {key: int(value.split()[0]) // 1024 for key, _, value in lines}
    return found["MemTotal"], found["MemAvailable"]


def _taken(entry: Entry, register: Register) -> str:
    record = entry.record
    if entry.orphaned:
        return f"a cluster {record.name} of {record.owner} was lost on this host: `firestorm gc` removes its rest"
    return (
        f"the name {record.name} is taken by a cluster of {record.owner}, at {record.home}: choose another name, or "
        f"end that cluster (register {register.directory})"
    )
