"""What is written down of a cluster before anything of it is made: whose it is, since when, until when.

The same facts are in its home, in the host's register and, as labels, on its libvirt objects. Importing this is cheap:
lists of clusters are made from it alone.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from firestorm.clusters.files import give, write_private
from firestorm.errors import ClusterError

State = Literal["coming up", "up", "resting", "failed", "going down"]
"""Of a cluster that rests, nothing runs; a run with a snapshot goes on from it (`snapshots`)."""
FILE = "cluster.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """The process without which a cluster is nobody's: `started` in clock ticks since the boot `boot`."""

    pid: int
    started: int
    boot: str

    @classmethod
    def this(cls) -> Keeper:
        """This process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Keeper:
        """The process that has this number now."""
        from firestorm.platforms.libvirt import supervision

        return cls(pid=pid, started=supervision.start_time(pid) or 0, boot=_boot())

    @property
    def alive(self) -> bool:
        from firestorm.platforms.libvirt import supervision

        return self.boot == _boot() and supervision.start_time(self.pid) == self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRecord:
    """One cluster. Times are in UTC; `expires` is None if it never does, and of no effect while it is `held`.

    `id` is random and never used again. `uri` is its libvirt's, empty until that is known. `keeper` is the process that
    brings it up or, if it is ephemeral, uses it; None if the cluster does without.
    """

    name: str
    id: str
    owner: str
    created: datetime
    expires: datetime | None
    held: bool = False
    uri: str = ""
    state: State = "coming up"
    home: Path
    keeper: Keeper | None = None

    @classmethod
    def new(cls, name: str, home: Path, ttl: timedelta | None) -> ClusterRecord:
        """The record of a cluster that comes up now, kept by this process."""
        now = datetime.now(UTC).replace(microsecond=0)
        return cls(
            name=name,
            id=secrets.token_hex(8),
            owner=f"{_user()}@{socket.gethostname()}",
            created=now,
            expires=now + ttl if ttl is not None else None,
            home=home,
            keeper=Keeper.this(),
        )

    def expired(self, now: datetime) -> bool:
        return not self.held and self.expires is not None and now >= self.expires

    @property
    def abandoned(self) -> bool:
        """Whether the process that it needs is gone."""
        return self.keeper is not None and not self.keeper.alive

    def labels(self) -> dict[str, str]:
        """The mark on libvirt objects: plain text, without what changes from state to state."""
        return {
            "name": self.name,
            "id": self.id,
            "owner": self.owner,
            "created": self.created.isoformat(),
            "expires": "never" if self.held or self.expires is None else self.expires.isoformat(),
            "home": str(self.home),
        }

    def to_json(self) -> str:
        data = asdict(self)
        for key in ("created", "expires"):
            data[key] = data[key].isoformat() if data[key] is not None else None
        return json.dumps({**data, "home": str(self.home)}, indent=2)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ClusterRecord:
        """`to_json` backwards. Raises ValueError if it is not one."""
        try:
            state, keeper = data["state"], data["keeper"]
            if state not in get_args(State):
                raise ValueError(f"unknown state {state!r}")
            return cls(
                name=str(data["name"]),
                id=str(data["id"]),
                owner=str(data["owner"]),
                created=datetime.fromisoformat(data["created"]),
                expires=datetime.fromisoformat(data["expires"]) if data["expires"] else None,
                held=bool(data["held"]),
                uri=str(data["uri"]),
                state=state,
                home=Path(data["home"]),
                keeper=Keeper(**keeper) if keeper else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no record of a cluster: {error!r}") from error


def default_home() -> Path:
    """Where the homes of clusters are: firestorm below XDG_STATE_HOME (~/.local/state)."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser().absolute() / "firestorm"


def read(home: Path) -> ClusterRecord | None:
    """The record in a cluster's home, None if there is none. Raises ClusterError if it cannot be read."""
    path = home / FILE
    try:
        return ClusterRecord.from_json(json.loads(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise ClusterError(f"{path} may not be read: run this as its owner, or as root") from error
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"{path} cannot be read ({error}): restore it, or end the cluster with `firestorm down {home.name}`"
        ) from error


def write(record: ClusterRecord) -> ClusterRecord:
    """Write a record into its home, which exists; the record."""
    write_private(record.home / FILE, record.to_json())
    give(record.home / FILE)
    return record


def change(home: Path, **changes: Any) -> ClusterRecord | None:
    """Replace fields of the record in a home; the new one, None if there is none."""
    found = read(home)
    return write(replace(found, **changes)) if found else None


def _user() -> str:
    for name in ("SUDO_USER", "USER", "LOGNAME"):
        if value := os.environ.get(name):
            return value
    with contextlib.suppress(KeyError, OSError):
        return getpass.getuser()
    return str(os.getuid())


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
