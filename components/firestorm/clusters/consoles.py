"""Consoles until their machines were frozen: libvirt begins them anew when the machines go on from there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

_FROZEN, _EARLIER = "consoles-frozen", "consoles-earlier"


def keep(home: Path, consoles: Mapping[str, str]) -> None:
    """Copy the consoles, by node, of machines that are about to be frozen. Raises OSError."""
    directory = home / _FROZEN
    directory.mkdir(mode=0o700)
    for node, console in consoles.items():
        shutil.copyfile(console, directory / f"{node}.log")


def go_on(home: Path) -> None:
    """From now on, the consoles that there are begin where the kept ones end."""
    if (home / _FROZEN).exists():
        (home / _FROZEN).rename(home / _EARLIER)


def earlier(home: Path, node: str) -> Path | None:
    """What a node's console showed before it went on from a snapshot; None if it never did."""
    path = home / _EARLIER / f"{node}.log"
    return path if path.exists() else None
