"""Debian packages of the machine itself, installed when they are missing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from firestorm_lab.cache import Cache
from firestorm_lab.errors import LabError
from firestorm_lab.process import Runner
from firestorm_lab.progress import step

_OPTIONS = ("-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3")
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive"}


def missing(names: Iterable[str]) -> list[str]:
    """Those of the packages that are not installed."""
    wanted = list(names)
    command = ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${Package}\n", *wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise LabError(
            f"the lab builds on Debian; install the equivalents of these by hand: {' '.join(wanted)}"
        ) from error
    present = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("ii ")}
    return [name for name in wanted if name not in present]


def require(names: Sequence[str]) -> None:
    """Install what is missing, as root or through sudo. Raises LabError when that fails."""
    absent = missing(names)
    if not absent:
        return
    prefix: tuple[str, ...] = () if os.geteuid() == 0 else ("sudo", "-n")
    environment = tuple(f"{name}={value}" for name, value in _ENVIRONMENT.items())
    apt = (*prefix, "env", *environment, "apt-get", *_OPTIONS, "-y", "-q")
    store = Cache.default()
    log = store.root / "logs" / "packages.log"
    with store.lock("packages"), step("packages", f"installing {' '.join(absent)}") as current:
        runner = Runner(log=log, step=current)
        runner.run([*apt, "update"], timeout=300)
        runner.run([*apt, "install", "--no-install-recommends", *absent], timeout=1200)
        left = missing(names)
        if left:
            raise LabError(f"packages: apt-get did not install {' '.join(left)}; its log is {log}")


def as_root(command: Sequence[str | Path]) -> list[str]:
    """The command, through sudo when this process is not root's."""
    words = [str(word) for word in command]
    return words if os.geteuid() == 0 else ["sudo", "-n", *words]
