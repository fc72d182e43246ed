"""Files of one owner alone, written whole or not at all, and directories removed so; and how progress is told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[str], None]
"""Gets a line when something is begun or was found out."""

OWNER = "FIRESTORM_OWNER"
"""Environment variable: uid:gid of the user for whom root makes clusters, who may read their kubeconfigs."""


def silent(_line: str) -> None:
    """The progress that nobody wants to hear of."""


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read: whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


REMOVED = ".removed-"
"""How the name of a home begins that a run was killed at removing."""


def remove_home(home: Path) -> Path:
    """At once: a home is there as a whole, or not at all. The path that it had last."""
    removed = home.with_name(f"{REMOVED}{home.name}-{os.getpid()}")
    home.rename(removed)
    shutil.rmtree(removed)
    return removed


def give(path: Path) -> None:
    """Hand a file that root made to the user it is for."""
    owner = os.environ.get(OWNER)
    if owner and os.geteuid() == 0:
        user, _, group = owner.partition(":")
        os.chown(path, int(user), int(group))
