"""The processes of a private libvirt: started and written down, ended and crossed out. All under its lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import namespace
from firestorm.platforms.libvirt.instance import Instance, Progress, Record, save
from firestorm.platforms.libvirt.supervision import MARKER, Process, alive, command, spawn, start_time, terminate

VIRTLOGD, LIBVIRTD = "virtlogd", "libvirtd"
DAEMONS = (VIRTLOGD, LIBVIRTD)


def start_process(
    instance: Instance,
    record: Record,
    label: str,
    argv: Sequence[str],
    *,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    pass_fd: int | None = None,
) -> Process:
    """Start and record a process of the instance, under its lock."""
    process = spawn(
        label,
        argv,
        log=log or instance.logs / f"{label}.log",
        environment={**(environment or {}), MARKER: str(instance.directory)},
        pass_fd=pass_fd,
    )
    record.processes[label] = process
    save(instance, record)
    return process


def end_process(instance: Instance, record: Record, label: str) -> None:
    """End a recorded process, if there is one, and its children, under the instance's lock."""
    process = record.processes.get(label)
    if process is None:
        return
    ours, _ = namespace.inhabitants(instance, record)
    terminate({pid: at for pid, at in ours.items() if namespace.in_session(pid, at, process)})
    del record.processes[label]
    save(instance, record)


def end_unrecorded_daemons(instance: Instance, record: Record) -> None:
    """A run that was killed between starting a daemon and writing that down left one that holds the pid file."""
    ended = {label for label in DAEMONS if label not in record.processes or not alive(record.processes[label])}
    if ended:
        ours, _ = namespace.inhabitants(instance, record)
        terminate({pid: at for pid, at in ours.items() if command(pid) in ended})


def end_all(instance: Instance, record: Record, progress: Progress | None = None) -> list[str]:
    """End every process of the instance, libvirtd before what it looks after; what was ended."""
    ended: list[str] = []
    recorded = {process.pid: process.label for process in record.processes.values()}
    last = [process for label, process in record.processes.items() if label == LIBVIRTD]
    terminate({process.pid: process.started for process in last if alive(process)})
    ended += [f"process {process.label} ({process.pid})" for process in last]
    for _ in range(10):  # a process may fork while it is looked for
        ours, others = namespace.inhabitants(instance, record)
        if not ours:
            break
        ended += [f"process {recorded.get(pid) or command(pid)} ({pid})" for pid in ours if start_time(pid)]
        if progress:
            progress(f"ending {len(ours)} process{'es' if len(ours) > 1 else ''}")
        terminate(ours)
    else:
        raise PlatformError(f"processes in {instance.namespace} start anew as fast as they are ended: look at them")
    for pid in others:
        ended.append(f"nothing of process {command(pid)} ({pid}): it lives in the namespace, but was not started here")
    record.processes.clear()
    return ended
