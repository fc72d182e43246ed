"""Which accelerator guests can really use: KVM, or QEMU's own translator (TCG).

That `/dev/kvm` opens proves nothing: inside some virtual machines it opens, and guests hang or run many times slower
than under TCG, because every exit from the guest is emulated by the layer below. So a guest is run under both: a boot
sector that reports back through QEMU's isa-debug-exit device, under the machine type that nodes have. SeaBIOS, which
loads it, leaves the guest all the time: the worst case for KVM, and so the one to measure.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from firestorm.errors import PlatformError

Kind = Literal["kvm", "tcg"]
QEMU = "qemu-system-x86_64"

# mov al, 0x10; mov dx, 0xf4; out dx, al; hlt; jmp back to hlt
_CODE = bytes.fromhex("b010 baf400 ee f4 ebfd")
_EXIT_PORT = 0xF4
_EXIT_STATUS = (0x10 << 1) | 1  # what isa-debug-exit makes of the byte written
_IMAGE_SIZE = 2**20  # SeaBIOS refuses an AHCI disk of a single sector
# Seconds. Measured where KVM's exits are emulated below: 3.5 to 5.4 under KVM, 0.1 to 0.2 under TCG.
_QUICK, _SLOW = 1.0, 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceleration:
    """An accelerator, and why it is the one."""

    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRun:
    """One run of the test guest: how long it took, in seconds, and what went wrong, None if it ran to its end."""

    seconds: float
    failure: str | None


def boot_sector() -> bytes:
    """512 bytes that a PC BIOS boots and that end QEMU with status 33."""
    return _CODE.ljust(510, b"\0") + b"\x55\xaa"


def choose(requested: Literal["auto", "kvm", "tcg"]) -> Kind:
    """The accelerator that the specification asks for; `auto` finds out. Reasons are in `find`."""
    return find(requested).kind


def find(requested: Literal["auto", "kvm", "tcg"]) -> Acceleration:
    """As `choose`, with the reason in words."""
    if requested == "auto":
        return probe()
    return Acceleration(kind=requested, reason="the cluster's specification asks for it")


def probe(timeout: float = 5.0, *, cache: Path | None = None) -> Acceleration:
    """Whether guests run under KVM here, and no slower than without. `timeout`, in seconds, ends a test guest.

    The answer is kept until the next boot, or until another QEMU is installed, in `cache` (default: a file of the
    user's runtime directory). Raises PlatformError if QEMU is missing.
    """
    qemu = shutil.which(QEMU)
    if qemu is None:
        raise PlatformError(f"{QEMU} is not installed: install QEMU (Debian package qemu-system-x86)")
    path = cache or runtime_dir() / "acceleration.json"
    key = _key(qemu)
    known = _read(path, key)
    if known is not None:
        return known
    found = _probe(qemu, timeout)
    _write(path, key, found)
    return found


def run_guest(qemu: str, accelerator: Kind, timeout: float) -> GuestRun:
    """Boot the boot sector once."""
    began = time.monotonic()
    failure = _boot(qemu, accelerator, timeout)
    return GuestRun(seconds=time.monotonic() - began, failure=failure)


def judge(kvm: GuestRun, tcg: GuestRun) -> Acceleration:
    """Which of two runs is to be preferred. A machine that is busy slows both, so TCG's run is the measure."""
    if kvm.failure is not None:
        return Acceleration(kind="tcg", reason=f"/dev/kvm opens, but a test guest failed under it: {kvm.failure}")
    limit = _QUICK if tcg.failure is not None else min(_SLOW, max(_QUICK, 3 * tcg.seconds))
    if kvm.seconds <= limit:
        return Acceleration(kind="kvm", reason=f"a test guest ran under KVM in {kvm.seconds:.1f} s")
    return Acceleration(
        kind="tcg",
        reason=f"KVM is slower here than TCG: a test guest took {kvm.seconds:.1f} s under it and {tcg.seconds:.1f} s "
        "under TCG",
    )


def _boot(qemu: str, accelerator: Kind, timeout: float) -> str | None:
    with tempfile.NamedTemporaryFile(prefix="firestorm-probe-", suffix=".img") as image:
        image.write(boot_sector())
        image.truncate(_IMAGE_SIZE)
        image.flush()
        argv = [
            qemu,
            *("-accel", accelerator, "-machine", "q35", "-m", "32"),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=0x04"),
            *("-drive", f"file={image.name},format=raw,if=ide"),
        ]
        try:
            done = subprocess.run(
                argv,
                timeout=timeout,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env={**os.environ, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired:
            return f"a guest of three instructions did not end within {timeout:g} s"
    if done.returncode == _EXIT_STATUS:
        return None
    lines = done.stderr.strip().splitlines()
    return f"QEMU ended with status {done.returncode}" + (f": {lines[-1].strip()}" if lines else "")


def runtime_dir() -> Path:
    """Where facts that hold until the next boot are kept: the user's runtime directory, /run/firestorm for root."""
    if os.geteuid() == 0:
        return Path("/run/firestorm")
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base) / "firestorm" if base else Path(tempfile.gettempdir()) / f"firestorm-{os.geteuid()}"


def _probe(qemu: str, timeout: float) -> Acceleration:
    closed = _why_closed(Path("/dev/kvm"))
    if closed is not None:
        return Acceleration(kind="tcg", reason=closed)
    tcg = run_guest(qemu, "tcg", timeout)
    kvm = run_guest(qemu, "kvm", timeout)
    found = judge(kvm, tcg)
    if found.kind == "tcg" and kvm.failure is None:  # the machine may have been busy just then
        found = judge(run_guest(qemu, "kvm", timeout), tcg)
    return found


def _why_closed(device: Path) -> str | None:
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return f"{device} does not exist: the CPU's virtualization is off in the firmware, or this machine is a guest"
    except PermissionError:
        return f"{device} may not be opened by user {os.geteuid()}: join the group that owns it (usually kvm)"
    except OSError as error:
        return f"{device} does not open: {os.strerror(error.errno or errno.EIO)}"
    return None


def _key(qemu: str) -> str:
    """What the answer depends on: this boot, this user, this QEMU."""
    stat = Path(qemu).stat()
    return f"{boot_id()}:{os.geteuid()}:{qemu}:{stat.st_size}:{stat.st_mtime_ns}"


def boot_id() -> str:
    """The kernel's random identifier of this boot; see random(4)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _read(path: Path, key: str) -> Acceleration | None:
    """The kept answer; None if there is none, or one that others than this user could have written."""
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            data = json.load(file)
        kind, reason = data["kind"], data["reason"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if data.get("key") != key or kind not in ("kvm", "tcg") or not isinstance(reason, str):
        return None
    return Acceleration(kind=kind, reason=reason)


def _write(path: Path, key: str, found: Acceleration) -> None:
    """Keep the answer; without a place to keep it, the next run finds out again."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"key": key, **asdict(found)}) + "\n")
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
