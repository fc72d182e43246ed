"""virtlogd and libvirtd of a private libvirt."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import namespace
from firestorm.platforms.libvirt.instance import MASKED, Instance, Progress, Record
from firestorm.platforms.libvirt.processes import LIBVIRTD, VIRTLOGD, start_process
from firestorm.platforms.libvirt.supervision import Process, alive, tail, terminate, tool, wait

# https://libvirt.org/manpages/libvirtd.html, https://libvirt.org/drvqemu.html. Only root reaches the socket, so that no
# further authentication is needed. Cgroups, QEMU's own mount namespaces and its confinement by AppArmor or SELinux
# want services that a machine like this does not have.
_FILES = {
    "libvirtd.conf": """\
unix_sock_dir = "{socket_dir}"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_tls = 0
listen_tcp = 0
log_level = 3
""",
    "virtlogd.conf": """\
log_level = 3
max_size = 67108864
max_backups = 1
""",
    "qemu.conf": """\
security_driver = "none"
user = "root"
group = "root"
cgroup_controllers = [ ]
namespaces = [ ]
remember_owner = 0
""",
    "network.conf": "",
}


def configure(instance: Instance) -> None:
    """Write the daemons' directories, accounts and configuration files."""
    for directory in MASKED:
        (instance.directory / directory).mkdir(mode=0o755, exist_ok=True)
    namespace.write_accounts(instance)
    instance.resolver_path.touch(mode=0o644)
    for file, text in _FILES.items():
        (instance.directory / "etc" / file).write_text(text.format(socket_dir=instance.socket.parent))


def start_virtlogd(instance: Instance, record: Record, timeout: float, progress: Progress | None) -> None:
    """Start virtlogd, unless it runs, and wait for its socket."""
    existing = record.processes.get(VIRTLOGD)
    if existing is not None and alive(existing):
        return
    socket = instance.directory / "run" / "virtlogd-sock"
    socket.unlink(missing_ok=True)
    process = _start_daemon(instance, record, VIRTLOGD)
    await_process(process, socket.is_socket, timeout, progress)


def start_libvirtd(instance: Instance, record: Record, timeout: float, progress: Progress | None) -> None:
    """Start libvirtd, unless it runs and answers, and wait for its first answer."""
    existing = record.processes.get(LIBVIRTD)
    if existing is not None and alive(existing):
        with _Question(instance) as answered:
            if wait(answered, 20.0):
                return
        if progress:
            progress("libvirtd runs but does not answer: starting it anew")
        terminate({existing.pid: existing.started})
    process = _start_daemon(instance, record, LIBVIRTD)
    with _Question(instance) as answered:
        await_process(process, answered, timeout, progress)


def _start_daemon(instance: Instance, record: Record, label: str) -> Process:
    program = tool(label, "libvirt-daemon")
    files = ("--config", f"{MASKED['etc']}/{label}.conf", "--pid-file", f"{instance.directory}/run/{label}.pid")
    # libvirtd would ask the host's firewalld, logind and machined for services: there is no D-Bus for it.
    silence = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/dev/null"}
    argv = namespace.enter(instance, [program, *files])
    return start_process(instance, record, label, argv, environment=silence)


class _Question:
    """`virsh version`, asked again until libvirtd answers: calling says whether it has. The first answer takes seconds,
    in which libvirtd finds out what QEMU can do, so that no later request has to wait for it."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._asking: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Question:
        return self

    def __exit__(self, *_: object) -> None:
        if self._asking is not None and self._asking.poll() is None:
            self._asking.kill()
            self._asking.wait()

    def __call__(self) -> bool:
        if self._asking is None:
            if self._instance.socket.is_socket():
                self._asking = subprocess.Popen(
                    [tool("virsh", "libvirt-clients"), "-c", self._instance.uri, "version"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            return False
        status = self._asking.poll()
        if status:
            self._asking = None
        return status == 0


def await_process(
    process: Process, ready: Callable[[], bool], timeout: float, progress: Progress | None = None
) -> None:
    """Wait until `ready()`; tell how long it takes after two seconds. PlatformError with the log's end if it fails."""
    began, told = time.monotonic(), 0.0
    while not ready():
        waited = time.monotonic() - began
        if not alive(process):
            raise PlatformError(f"{process.label} ended at once; the end of its log {process.log}:{_log_end(process)}")
        if waited >= timeout:
            raise PlatformError(
                f"{process.label} did not answer within {timeout:g} s; the end of its log {process.log}:"
                f"{_log_end(process)}\nTry again; if the machine is just slow, with a longer timeout"
            )
        if progress and waited - told >= 2.0:
            told = waited
            progress(f"{process.label} is starting ({waited:.0f} s)")
        time.sleep(0.1)


def _log_end(process: Process) -> str:
    return tail(Path(process.log)) or " (empty)"
