"""What is on disk of a private libvirt: its directory, its record, its lock, and what it changed on the host.

Everything is written down before it is made, so that a run that was killed half-way can be finished or undone by the
next. The locks live apart from the directory, because ending a private libvirt removes the directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt.acceleration import boot_id
from firestorm.platforms.libvirt.supervision import Identity, Process, tool

DEFAULT_STATE_DIR = "/var/lib/firestorm"
RUNTIME_DIR = Path("/run/firestorm")
NETNS_DIR = Path("/run/netns")
Progress = Callable[[str], None]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_SOCKET_LIMIT = 107  # bytes of sun_path, see unix(7), less the final zero
_MOUNT_DIR = Path("/run/mount")  # made by mount(8)
_LOCK_TIMEOUT = 300.0

# libvirt's compiled-in directories. Inside the private mount namespace each is one of the instance's own.
MASKED = {
    "etc": Path("/etc/libvirt"),
    "lib": Path("/var/lib/libvirt"),
    "run": Path("/run/libvirt"),
    "log": Path("/var/log/libvirt"),
    "cache": Path("/var/cache/libvirt"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Where a private libvirt of some name keeps its things. Nothing here touches the disk."""

    name: str
    directory: Path

    @classmethod
    def of(cls, name: str, state_dir: str | Path = DEFAULT_STATE_DIR) -> Instance:
        """Raises PlatformError if the name or the directory cannot serve."""
        if not _NAME.fullmatch(name):
            raise PlatformError(
                f"{name!r} cannot name a private libvirt: use up to 40 lower-case letters, digits and inner hyphens"
            )
        instance = cls(name=name, directory=Path(os.path.realpath(state_dir)) / "private" / name)
        if len(os.fsencode(instance.socket)) + len("-admin") > _SOCKET_LIMIT:
            raise PlatformError(f"{instance.socket} is too long for a Unix socket: choose a shorter state directory")
        for masked in MASKED.values():
            if instance.directory.is_relative_to(masked):
                raise PlatformError(f"the state directory {state_dir} lies in {masked}, libvirt's own: choose another")
        return instance

    @property
    def namespace(self) -> str:
        return f"firestorm-{self.name}"

    @property
    def namespace_path(self) -> Path:
        return NETNS_DIR / self.namespace

    @property
    def socket(self) -> Path:
        return self.directory / "sock" / "libvirt-sock"

    @property
    def uri(self) -> str:
        """For virsh and for the Terraform provider alike: both read `socket` from a qemu+unix URI."""
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def logs(self) -> Path:
        return self.directory / "log"

    @property
    def resolver_path(self) -> Path:
        """What the daemons see as /etc/resolv.conf: empty unless there is a way out, so that questions fail at once."""
        return self.directory / "resolv.conf"

    @property
    def record_path(self) -> Path:
        return self.directory / "record.json"


@dataclass(slots=True, kw_only=True)
class Record:
    """What was started and made for an instance. `namespace` is its network namespace's identity, once it exists."""

    boot: str
    service_address: str
    namespace: Identity | None = None
    processes: dict[str, Process] = field(default_factory=dict[str, Process])
    ports: dict[str, int] = field(default_factory=dict[str, int])
    made: list[str] = field(default_factory=list[str])
    netns_mounted: bool = False


def load(instance: Instance) -> Record | None:
    """The record, None if there is none. Raises PlatformError if it is not one."""
    try:
        data: dict[str, Any] = json.loads(instance.record_path.read_text())
        namespace = data["namespace"]
        return Record(
            boot=str(data["boot"]),
            service_address=str(data["service_address"]),
            namespace=(int(namespace[0]), int(namespace[1])) if namespace else None,
            processes={
                label: Process(
                    label=label,
                    pid=int(item["pid"]),
                    started=int(item["started"]),
                    argv=tuple(item["argv"]),
                    log=str(item["log"]),
                )
                for label, item in data["processes"].items()
            },
            ports={label: int(port) for label, port in data["ports"].items()},
            made=[str(path) for path in data["made"]],
            netns_mounted=bool(data["netns_mounted"]),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise PlatformError(f"{instance.record_path} may not be read: run this as root") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise PlatformError(
            f"{instance.record_path} cannot be read ({error}): it says what was started for {instance.name}; "
            "restore it, or remove it and then end the processes in the network namespace "
            f"(`ip netns pids {instance.namespace}`) yourself"
        ) from error


def save(instance: Instance, record: Record) -> None:
    """Replace the record; it is whole at any moment."""
    _write_json(instance.record_path, asdict(record))


def boot_changed(record: Record) -> bool:
    """Whether the machine was rebooted since: then every process and namespace of the record is gone."""
    return record.boot != boot_id()


@contextlib.contextmanager
def locked(instance: Instance, progress: Progress | None = None) -> Iterator[None]:
    """One run at a time per instance, on this machine. Waits for the other; PlatformError after five minutes."""
    with _lock(RUNTIME_DIR / f"{instance.name}.lock", f"the private libvirt {instance.name}", progress):
        yield


def claim_host(instance: Instance, record: Record) -> None:
    """Make the instance's directory with its record, and the directories that the mounts need. Which of these were
    missing is noted, so that the last instance to leave removes them again: Debian's libvirtd comes without them."""
    with _lock(RUNTIME_DIR / "host.lock", "the register of private libvirts", None):
        register = _Register.load()
        register.instances[instance.name] = str(instance.directory)
        wanted = [*reversed(instance.directory.parents), *MASKED.values(), NETNS_DIR, _MOUNT_DIR]
        missing = [str(path) for path in wanted if not path.exists()]
        register.made = list(dict.fromkeys([*register.made, *missing]))
        register.netns_mounted = register.netns_mounted or not _mounted(NETNS_DIR)
        register.save()
        record.made, record.netns_mounted = register.made, register.netns_mounted
        for path in wanted:
            path.mkdir(mode=0o755, exist_ok=True)
        for path in (instance.directory, instance.socket.parent):
            path.mkdir(mode=0o700, exist_ok=True)
        save(instance, record)  # from here on this instance keeps the directories from being removed


def registered() -> dict[str, str]:
    """The private libvirts in this host's register: {name: directory}."""
    return dict(_Register.load().instances)


def release_host(instance: Instance, record: Record) -> list[str]:
    """Undo `claim_host`, if no other private libvirt is left on this host; what was removed."""
    removed: list[str] = []
    with _lock(RUNTIME_DIR / "host.lock", "the register of private libvirts", None):
        register = _Register.load()
        register.instances.pop(instance.name, None)
        others = {name: path for name, path in register.instances.items() if (Path(path) / "record.json").exists()}
        made = list(dict.fromkeys([*register.made, *record.made]))
        if others:
            removed += _remove_empty([path for path in made if instance.directory.is_relative_to(path)])
            made = [path for path in made if Path(path).exists()]
            _Register(instances=others, made=made, netns_mounted=register.netns_mounted).save()
            return removed
        if (register.netns_mounted or record.netns_mounted) and _mounted(NETNS_DIR):
            _unmount_netns_dir()
        removed += _remove_empty(made)
        _Register.path().unlink(missing_ok=True)
    return removed


def _remove_empty(directories: list[str]) -> list[str]:
    """Remove what is empty of `directories`: where others have put something, it stays."""
    removed = []
    for path in sorted(directories, key=len, reverse=True):
        with contextlib.suppress(OSError):
            Path(path).rmdir()
            removed.append(f"directory {path}")
    return removed


def _mounted(path: Path) -> bool:
    """Whether something is mounted on `path`; os.path.ismount does not see a bind mount of the same file system."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return str(path) in {line.split(" ")[4] for line in mounts}


def _unmount_netns_dir() -> None:
    """ip-netns(8) mounts its directory on itself at the first namespace and leaves it so; busy means in use."""
    subprocess.run([tool("umount", "mount"), str(NETNS_DIR)], capture_output=True, timeout=10, check=False)


@dataclass(slots=True, kw_only=True)
class _Register:
    """All private libvirts of this host, and what was made for them that they share."""

    instances: dict[str, str] = field(default_factory=dict[str, str])
    made: list[str] = field(default_factory=list[str])
    netns_mounted: bool = False

    @staticmethod
    def path() -> Path:
        return RUNTIME_DIR / "host.json"

    @classmethod
    def load(cls) -> _Register:
        try:
            data = json.loads(cls.path().read_text())
            return cls(
                instances=dict(data["instances"]), made=list(data["made"]), netns_mounted=bool(data["netns_mounted"])
            )
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def save(self) -> None:
        _write_json(self.path(), asdict(self))


def _write_json(path: Path, data: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextlib.contextmanager
def _lock(path: Path, what: str, progress: Progress | None) -> Iterator[None]:
    """An exclusive flock(2) on a file that is removed when it is let go: so the lock is only had if, once it is
    granted, `path` still leads to the locked file."""
    deadline = time.monotonic() + _LOCK_TIMEOUT
    told = False
    while True:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileNotFoundError, FileExistsError):  # another run removed the directory in between
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(fd)):
                break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(fd)
                raise PlatformError(
                    f"another run has been busy with {what} for {_LOCK_TIMEOUT:.0f} s: wait for it or end it "
                    f"(`fuser {path}` names it), then try again"
                ) from None
            if progress and not told:
                progress(f"waiting for another run that is busy with {what}")
                told = True
            time.sleep(0.1)
        except FileNotFoundError:
            pass
        os.close(fd)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(fd)
        with contextlib.suppress(OSError):  # not empty: in use
            path.parent.rmdir()
