"""What a cluster owns in libvirt: nothing of it may be there before, nothing of it may be left after.

The Pulumi state alone cannot tell: a domain that was defined but could not start is in libvirt and not in the state. So
the names are claimed before the first resource, and swept after the last. Only what is claimed is touched, and of that
only what shows that it is ours: a domain by its description, a network by its address, a pool by its path.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt.virsh import Network, Pool, Virsh


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Everything that a cluster will own.

    `description` is what its domains carry. `networks` are (name, the host's address in it). `pool_path` is the pool's
    directory, and all files in it are the pool's. `files` are others, such as serial consoles; `pipes` are named pipes.
    `directories` are removed if they are empty, in that order. Paths are absolute, on libvirt's host.
    """

    description: str
    domains: tuple[str, ...] = ()
    networks: tuple[tuple[str, str], ...] = ()
    pool: str = ""
    pool_path: str = ""
    files: tuple[str, ...] = ()
    pipes: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep removed, and what it found under a claimed name and left alone, each with the reason."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]


def claim_conflicts(uri: str, claim: Claim) -> list[str]:
    """What exists already under the names of `claim`, one message each; empty if the way is free.

    Raises PlatformError if libvirt cannot be asked.
    """
    virsh = Virsh(uri=uri)
    problems = [
        f"a domain {domain.name} exists already ({domain.state}, {_whose(domain.description)}): choose another cluster "
        f"name, or remove it with `virsh -c '{uri}' undefine --nvram {domain.name}`"
        for domain in virsh.domains()
        if domain.name in claim.domains
    ]
    addresses = {address: name for name, address in claim.networks}
    for network in virsh.networks():
        if network.name in addresses.values():
            problems.append(
                f"a network {network.name} exists already: choose another cluster name, or remove it with "
                f"`virsh -c '{uri}' net-undefine {network.name}`"
            )
        elif shared := sorted(set(network.addresses) & set(addresses)):
            problems.append(
                f"the network {network.name} has the address {shared[0]} of the cluster's own: choose another node "
                "network, or remove that one"
            )
    for pool in virsh.pools():
        if pool.name == claim.pool:
            problems.append(
                f"a storage pool {pool.name} exists already: choose another cluster name, or remove it with "
                f"`virsh -c '{uri}' pool-undefine {pool.name}`"
            )
        elif claim.pool_path and pool.path == claim.pool_path:
            problems.append(f"the storage pool {pool.name} uses {pool.path} already: remove it, or name another path")
    if is_local(uri):
        problems += [
            f"{path} exists already: remove it if nobody needs it, or choose another cluster name"
            for path in (
                *_content(claim.pool_path),
                *(path for path in claim.files if _filled(Path(path))),
                *(path for path in claim.pipes if _is_no_pipe(Path(path))),
            )
        ]
    return problems


def sweep(uri: str, claim: Claim) -> Swept:
    """Remove what there still is of `claim`. Raises PlatformError if libvirt cannot be reached or refuses."""
    run = _Run(uri, claim, known=frozenset())
    run.domains()
    run.networks()
    pool_is_foreign = run.pool()
    if is_local(uri):
        for path in (*(() if pool_is_foreign else _content(claim.pool_path)), *claim.files, *claim.pipes):
            run.file(Path(path))
        for directory in dict.fromkeys([claim.pool_path, *claim.directories]):
            if directory:
                with contextlib.suppress(OSError):
                    Path(directory).rmdir()
                    run.removed.append(f"directory {directory}")
    return run.result()


def sweep_strays(uri: str, claim: Claim, known: Iterable[str]) -> Swept:
    """Remove what a failed or killed run left of `claim` outside the Pulumi state, so that the next run can make it.

    `known` are the ids of all libvirt resources in the state (a domain's, network's and pool's UUID, a volume's path,
    an Ignition volume's path and `;` and more): these are left alone. Not to be called while an update is going on.
    """
    run = _Run(uri, claim, known=frozenset(known))
    run.domains()
    run.networks()
    run.pool()
    return run.result()


def is_local(uri: str) -> bool:
    """Whether a libvirt URI leads to this machine, so that its files are this machine's."""
    return not urlsplit(uri).hostname


class _Run:
    """One sweep of everything in `claim` whose id is not among `known`."""

    def __init__(self, uri: str, claim: Claim, known: frozenset[str]) -> None:
        self._virsh = Virsh(uri=uri)
        self._claim = claim
        self._known = frozenset(id_.partition(";")[0] for id_ in known)
        self.removed: list[str] = []
        self.kept: list[str] = []

    def result(self) -> Swept:
        return Swept(removed=tuple(self.removed), kept=tuple(self.kept))

    def domains(self) -> None:
        virsh = self._virsh
        for domain in virsh.domains():
            if domain.name not in self._claim.domains or domain.uuid in self._known:
                continue
            if domain.description != self._claim.description:
                self.kept.append(f"domain {domain.name}: it is not this cluster's ({_whose(domain.description)})")
                continue
            if domain.active:
                _tolerant(virsh.destroy_domain, domain.name, self._domain_runs)
            if domain.persistent:
                _tolerant(virsh.undefine_domain, domain.name, lambda name: virsh.domain(name) is not None)
            self.removed.append(f"domain {domain.name}")

    def networks(self) -> None:
        virsh, addresses = self._virsh, dict(self._claim.networks)
        for network in virsh.networks():
            if network.name not in addresses or network.uuid in self._known:
                continue
            if addresses[network.name] not in network.addresses:
                has = ", ".join(network.addresses) or "none"
                self.kept.append(f"network {network.name}: it is not this cluster's (its address: {has})")
                continue
            if network.active:
                _tolerant(virsh.destroy_network, network.name, self._network_runs)
            _tolerant(virsh.undefine_network, network.name, lambda name: self._network(name) is not None)
            self.removed.append(f"network {network.name}")

    def pool(self) -> bool:
        """The pool and its volumes; True if a pool of that name is somebody else's."""
        virsh, pool = self._virsh, self._pool(self._claim.pool)
        if pool is None:
            return False
        if pool.path != self._claim.pool_path:
            self.kept.append(f"storage pool {pool.name}: it is not this cluster's (its path: {pool.path})")
            return True
        if not pool.active and (not is_local(virsh.uri) or Path(pool.path).is_dir()):
            virsh.start_pool(pool.name)
            pool = self._pool(pool.name) or pool
        if pool.active:
            for volume in virsh.volumes(pool.name):
                if f"{pool.path}/{volume}" not in self._known:
                    virsh.delete_volume(pool.name, volume)
                    self.removed.append(f"volume {pool.name}/{volume}")
        if pool.uuid not in self._known:
            if pool.active:
                virsh.destroy_pool(pool.name)
            _tolerant(virsh.undefine_pool, pool.name, lambda name: self._pool(name) is not None)
            self.removed.append(f"storage pool {pool.name}")
        return False

    def file(self, path: Path) -> None:
        try:
            if stat.S_ISDIR(path.lstat().st_mode):
                self.kept.append(f"{path}: it is a directory, and none was made here")
                return
            path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            self.kept.append(f"{path}: {error.strerror}")
            return
        self.removed.append(f"file {path}")

    def _domain_runs(self, name: str) -> bool:
        domain = self._virsh.domain(name)
        return domain is not None and domain.active

    def _network(self, name: str) -> Network | None:
        return next((network for network in self._virsh.networks() if network.name == name), None)

    def _network_runs(self, name: str) -> bool:
        network = self._network(name)
        return network is not None and network.active

    def _pool(self, name: str) -> Pool | None:
        return next((pool for pool in self._virsh.pools() if name and pool.name == name), None)


def _tolerant(act: Callable[[str], None], name: str, still: Callable[[str], bool]) -> None:
    """`act(name)`, and no error if what it was to end has ended by itself in the meantime."""
    try:
        act(name)
    except PlatformError:
        if still(name):
            raise


def _content(directory: str) -> tuple[str, ...]:
    try:
        return tuple(sorted(str(path) for path in Path(directory).iterdir())) if directory else ()
    except OSError:
        return ()


def _filled(path: Path) -> bool:
    """An empty file is what a run that was killed while it made it left behind."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _is_no_pipe(path: Path) -> bool:
    """A named pipe holds nothing, and is one that a killed run made."""
    try:
        return not stat.S_ISFIFO(path.lstat().st_mode)
    except OSError:
        return False


def _whose(description: str) -> str:
    return f"described as {description!r}" if description else "without a description"
