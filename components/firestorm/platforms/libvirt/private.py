"""A libvirtd of our own, for machines where none runs: a container, a CI runner, a system without systemd.

It lives in a network namespace `firestorm-<name>` and in a mount namespace where libvirt's directories are the
instance's. The host's network, firewall, D-Bus services and guests are untouched; its API is a Unix socket for root.
Nothing leads out of the namespace, unless `egress` does: guests reach one another, their gateway and `service_address`,
where `run_inside` can put a server for them.

    python -m firestorm.platforms.libvirt.private start|status|stop NAME
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import namespace
from firestorm.platforms.libvirt.acceleration import boot_id
from firestorm.platforms.libvirt.daemons import configure, start_libvirtd, start_virtlogd
from firestorm.platforms.libvirt.instance import (
    DEFAULT_STATE_DIR,
    Instance,
    Progress,
    Record,
    boot_changed,
    claim_host,
    load,
    locked,
    registered,
    release_host,
    save,
)
from firestorm.platforms.libvirt.packages import missing
from firestorm.platforms.libvirt.processes import (
    DAEMONS,
    LIBVIRTD,
    end_all,
    end_process,
    end_unrecorded_daemons,
    start_process,
)
from firestorm.platforms.libvirt.supervision import Process, alive, find

__all__ = ["PrivateLibvirt", "Status", "known", "missing", "rest", "run_inside", "start", "status", "stop"]

DEFAULT_SERVICE_ADDRESS = "10.255.255.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateLibvirt:
    """A running private libvirt. `uri` is for virsh and providers; `namespace` for `ip netns exec`; `pid` libvirtd's;
    `service_address` an address inside that every guest reaches by way of its gateway."""

    name: str
    uri: str
    namespace: str
    service_address: str
    pid: int
    directory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What there is of a private libvirt. `exists`: something of it is left; `running`: both of its daemons are."""

    name: str
    uri: str
    namespace: str
    exists: bool
    running: bool
    processes: tuple[tuple[str, int, bool], ...]  # label, pid, whether it is alive
    ports: tuple[tuple[str, int], ...]  # loopback ports of the host, by forwarder


def start(
    name: str,
    state_dir: str | Path = DEFAULT_STATE_DIR,
    *,
    service_address: str = DEFAULT_SERVICE_ADDRESS,
    timeout: float = 120.0,
    progress: Progress | None = None,
) -> PrivateLibvirt:
    """Start the private libvirt `name`, or what is missing of it: under two runs at once, after kill -9 or a reboot.

    `timeout` in seconds is for libvirtd's first answer. Raises PlatformError.
    """
    instance = Instance.of(name, state_dir)
    _require_root()
    lacking = missing()
    if lacking:
        raise PlatformError(
            "a private libvirt needs more packages: run\n"
            f"    apt-get install --no-install-recommends {' '.join(lacking)}"
        )
    address = str(_address(service_address))
    with locked(instance, progress):
        record = _prepare(instance, address)
        identity = namespace.ensure(instance, address, previous=record.service_address)
        if record.namespace not in (None, identity):  # somebody deleted ours: what still runs is cut off
            end_all(instance, record)
        record.namespace, record.service_address = identity, address
        save(instance, record)
        end_unrecorded_daemons(instance, record)
        start_virtlogd(instance, record, timeout, progress)
        start_libvirtd(instance, record, timeout, progress)
        return PrivateLibvirt(
            name=name,
            uri=instance.uri,
            namespace=instance.namespace,
            service_address=address,
            pid=record.processes[LIBVIRTD].pid,
            directory=str(instance.directory),
        )


def status(name: str, state_dir: str | Path = DEFAULT_STATE_DIR) -> Status:
    """What there is of the private libvirt `name`; changes nothing and waits for nobody."""
    instance = Instance.of(name, state_dir)
    record = load(instance)
    processes = {} if record is None or boot_changed(record) else record.processes
    states = tuple((label, process.pid, alive(process)) for label, process in processes.items())
    return Status(
        name=name,
        uri=instance.uri,
        namespace=instance.namespace,
        exists=instance.directory.exists(),
        running=set(DAEMONS) <= {label for label, _, running in states if running},
        processes=states,
        ports=tuple(record.ports.items()) if record else (),
    )


def stop(name: str, state_dir: str | Path = DEFAULT_STATE_DIR, *, progress: Progress | None = None) -> tuple[str, ...]:
    """End all that was started for `name`, guests included, and remove its namespace and directory; what was removed.

    Also undoes what a killed run left behind; nothing to do is no error. Its domain and network definitions go with
    it, storage elsewhere stays. Raises PlatformError if a process cannot be ended.
    """
    instance = Instance.of(name, state_dir)
    _require_root()
    with locked(instance, progress):
        known = load(instance)
        record = known or Record(boot=boot_id(), service_address="")
        _forget_boot(record)
        removed = end_all(instance, record, progress)
        if known is not None and _is_ours(instance, record) and namespace.remove(instance):
            removed.append(f"network namespace {instance.namespace}")
        if instance.directory.exists():
            for path in instance.directory.iterdir():
                if path != instance.record_path:  # last, so that a stop that is killed can be repeated
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            shutil.rmtree(instance.directory)
            removed.append(f"directory {instance.directory}")
        removed += release_host(instance, record)
    return tuple(removed)


def rest(name: str, state_dir: str | Path = DEFAULT_STATE_DIR, *, progress: Progress | None = None) -> tuple[str, ...]:
    """End all that was started for `name`, guests included, but keep what is defined in it for the next `start`; what
    was ended. Raises PlatformError if a process cannot be ended."""
    instance = Instance.of(name, state_dir)
    _require_root()
    with locked(instance, progress):
        record = load(instance)
        if record is None:
            return ()
        _forget_boot(record)
        ended = end_all(instance, record, progress)
        save(instance, record)
    return tuple(ended)


def run_inside(
    name: str,
    argv: Sequence[str],
    *,
    log: str | Path | None = None,
    label: str | None = None,
    environment: Mapping[str, str] | None = None,
    state_dir: str | Path = DEFAULT_STATE_DIR,
) -> Process:
    """Run a server in the network namespace of the started private libvirt `name` until `stop`.

    `label` (default: the program's name) tells it from others: if one of that label runs with the same arguments, it
    is left alone, else replaced. `log` (default: a file that `stop` removes) gets its output. It sees the host's files.
    """
    key = label or Path(argv[0]).name
    with session(name, state_dir) as (instance, record):
        program = argv[0] if "/" in argv[0] else find(argv[0])
        if program is None:
            raise PlatformError(f"{argv[0]} is not installed: install it, or name the program by its path")
        wanted = (*namespace.join(instance), program, *argv[1:])
        existing = record.processes.get(key)
        if existing is not None and existing.argv == wanted and alive(existing):
            return existing
        end_process(instance, record, key)
        return start_process(
            instance, record, key, wanted, log=Path(log) if log else None, environment=environment or {}
        )


def known() -> dict[str, str]:
    """The private libvirts of this host that were started and not stopped: {name: directory}."""
    return registered()


@contextmanager
def session(name: str, state_dir: str | Path) -> Iterator[tuple[Instance, Record]]:
    """The instance and its record, locked. Raises PlatformError if it does not run."""
    instance = Instance.of(name, state_dir)
    _require_root()
    with locked(instance):
        record = load(instance)
        if record is None or boot_changed(record) or namespace.current(instance) is None:
            raise PlatformError(
                f"the private libvirt {name} does not run: start it with "
                f"`python -m firestorm.platforms.libvirt.private start {name}`"
            )
        yield instance, record


def _prepare(instance: Instance, address: str) -> Record:
    """The record, and the directories that the daemons need; refuses a namespace that is not ours."""
    record = load(instance)
    if record is not None and boot_changed(record):
        shutil.rmtree(instance.directory / "run", ignore_errors=True)  # as a reboot does to /run
        _forget_boot(record)
    if namespace.current(instance) is not None and (record is None or not _is_ours(instance, record)):
        raise PlatformError(
            f"a network namespace {instance.namespace} exists that was not made for {instance.directory}: choose "
            f"another name, or remove it (`ip netns delete {instance.namespace}`) if nobody needs it"
        )
    record = record or Record(boot=boot_id(), service_address=address)
    claim_host(instance, record)
    configure(instance)
    return record


def _is_ours(instance: Instance, record: Record) -> bool:
    """Whether the namespace of our name is the one of the record; a record without one was made just before it."""
    return record.namespace in (None, namespace.current(instance))


def _forget_boot(record: Record) -> None:
    if boot_changed(record):
        record.boot, record.namespace, record.netns_mounted = boot_id(), None, False
        record.processes.clear()


def _address(text: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError as error:
        raise PlatformError(f"{text!r} is not an IPv4 address: give one such as {DEFAULT_SERVICE_ADDRESS}") from error


def _require_root() -> None:
    if os.geteuid() != 0:
        raise PlatformError("a private libvirt needs root: run this as root, or use a libvirt that runs already")


if __name__ == "__main__":
    from firestorm.platforms.libvirt.private_cli import main

    sys.exit(main())
