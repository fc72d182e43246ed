"""The register of a host's clusters: who has which name, addresses, port and share of the machine.

One file for each cluster, written under a lock before anything of it is made, and removed after everything of it is
gone. It also holds what has to be known to remove the cluster where its home is lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from firestorm.clusters.files import write_private
from firestorm.clusters.record import ClusterRecord, default_home
from firestorm.clusters.record import read as read_record
from firestorm.errors import ClusterError
from firestorm.platforms.libvirt.instance import DEFAULT_STATE_DIR

VARIABLE = "FIRESTORM_REGISTER"
"""Environment variable: the register's directory, where it is not the host's own."""
_PATIENCE = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a cluster has on the host.

    `nodes` is its node network, `port` the loopback port of its API server (None without one), `memory` in MiB and
    `disk` in bytes what its machines may take. `private` says that a private libvirt of its name is its own. `owned`
    are its holdings in libvirt, as plain data.
    """

    record: ClusterRecord
    nodes: ipaddress.IPv4Network
    port: int | None
    memory: int
    disk: int
    private: bool
    owned: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def orphaned(self) -> bool:
        """Whether the cluster's home is certainly gone, or another cluster's. One that may not be read is there."""
        return is_orphaned(self.record.home, self.record.id)


def is_orphaned(home: Path, id_: str) -> bool:
    """Whether the cluster `id_` certainly has no home at `home`."""
    try:
        found = read_record(home)
    except ClusterError:
        return False
    return found is None or found.id != id_


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """A register in a directory."""

    directory: Path

    @classmethod
    def default(cls) -> Register:
        """The host's, for root and for whoever may write there; else one of the user's own."""
        if named := os.environ.get(VARIABLE):
            return cls(directory=Path(named).absolute())
        shared = Path(DEFAULT_STATE_DIR) / "register"
        nearest = next(path for path in (shared, *shared.parents) if path.exists())
        if os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
            return cls(directory=shared)
        return cls(directory=default_home() / ".register")

    @contextmanager
    def locked(self, name: str = "lock") -> Iterator[None]:
        """One process at a time. Raises ClusterError after two minutes of waiting."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.directory / name).open("a") as file:
            deadline = time.monotonic() + _PATIENCE
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ClusterError(
                            f"another process has been busy with {file.name} for {_PATIENCE:.0f} s: wait for it or end "
                            f"it (`fuser {file.name}` names it), then try again"
                        ) from None
                    time.sleep(0.02)
            yield

    def entries(self) -> tuple[Entry, ...]:
        """All of them, by name. Raises ClusterError if one cannot be read: nothing may be given away beside it."""
        found = []
        for path in sorted(self.directory.glob("*.json")):
            with contextlib.suppress(FileNotFoundError):
                found.append(_read(path))
        return tuple(found)

    def entry(self, name: str) -> Entry | None:
        path = self._path(name)
        return _read(path) if path.exists() else None

    def put(self, entry: Entry) -> None:
        """Write an entry, under the lock if it is new or asks for more."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = asdict(entry)
        record["record"] = json.loads(entry.record.to_json())
        write_private(self._path(entry.record.name), json.dumps({**record, "nodes": str(entry.nodes)}, indent=1))

    def update(self, record: ClusterRecord) -> None:
        """Have the entry of a cluster, if there is one, hold its record as it is now."""
        found = self.entry(record.name)
        if found is not None and found.record.id == record.id:
            self.put(replace(found, record=record))

    def remove(self, record: ClusterRecord) -> None:
        """Release all that a cluster has; nothing if the entry of its name is another's."""
        found = self.entry(record.name)
        if found is not None and found.record.id == record.id:
            self._path(record.name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what processes that were killed had not written to its end."""
        for path in self.directory.glob(".*.json.*"):
            if not Path("/proc", path.suffix[1:]).exists():
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"


def _read(path: Path) -> Entry:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        return Entry(
            record=ClusterRecord.from_json(data["record"]),
            nodes=ipaddress.IPv4Network(data["nodes"]),
            port=int(data["port"]) if data["port"] is not None else None,
            memory=int(data["memory"]),
            disk=int(data["disk"]),
            private=bool(data["private"]),
            owned=tuple(data["owned"]),
        )
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(
            f"{path} cannot be read ({error}): it says what a cluster has on this host; restore it, or remove it once "
            "nothing of that cluster is left"
        ) from error
