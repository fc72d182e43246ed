"""What a cluster owns on its libvirt host, written down beside its state: enough to clean up where Pulumi cannot.

Names alone prove nothing, and so the sweep looks at descriptions, addresses and paths before it removes; see
`firestorm.platforms.libvirt.sweep`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from firestorm.clusters.files import write_private
from firestorm.clusters.stack import Stack
from firestorm.platforms.libvirt.claim import holdings_from, inputs_of
from firestorm.platforms.libvirt.sweep import Claim as Holdings
from firestorm.platforms.libvirt.sweep import Swept, is_local, sweep, sweep_strays

_LISTS = ("domains", "networks", "files", "pipes", "directories")
_CLAIM = "pulumi-python:dynamic/firestorm:LibvirtClaim"


def remember(home: Path, uri: str, holdings: Holdings) -> list[dict[str, Any]]:
    """Write down that the cluster whose home this is will own `holdings`, too; all that it owns, as plain data."""
    fresh = inputs_of(uri, holdings)
    records = _records(home)
    for record in records:
        if all(record[key] == fresh[key] for key in ("uri", "description", "pool", "pool_path")):
            for key in _LISTS:
                known = record.setdefault(key, [])
                known += [item for item in fresh[key] if item not in known]
            break
    else:
        records.append(fresh)
    write_private(home / "holdings.json", json.dumps(records, indent=2))
    return records


def recall(home: Path) -> list[tuple[str, Holdings]]:
    """Everything that was written down: (libvirt's URI, what is owned there)."""
    return [(record["uri"], holdings_from(record)) for record in _records(home)]


def remove_strays(stack: Stack) -> list[str]:
    """Remove what a run that failed or was killed made outside the state, so that the next can make it; what it was.

    Without a claim in the state nothing of ours can be there: what bears the names is somebody else's.
    """
    resources = stack.resources()
    if not any(resource["type"] == _CLAIM for resource in resources):
        return []
    known = [resource["id"] for resource in resources if resource["type"].startswith("libvirt:") and "id" in resource]
    return _swept(sweep_strays(uri, holdings, known) for uri, holdings in recall(stack.home))


def remove_all(home: Path) -> list[str]:
    """Remove all that the cluster owns, without its state; what it was. Raises PlatformError if libvirt fails."""
    return sweep_all(recall(home))


def sweep_all(owned: Iterable[tuple[str, Holdings]]) -> list[str]:
    """Remove what there is of what is `owned`, by libvirt's URI; what it was."""
    return _swept(sweep(uri, holdings) for uri, holdings in owned)


def remove_files(home: Path, *, which: Callable[[Path], bool] = lambda _: True) -> list[str]:
    """Remove the cluster's files on this machine, those that `which` names, and what directories that empties."""
    return remove_files_of(recall(home), which=which)


def remove_files_of(
    owned: Iterable[tuple[str, Holdings]], *, which: Callable[[Path], bool] = lambda _: True
) -> list[str]:
    """As `remove_files`, of what is `owned`."""
    removed = []
    for uri, holdings in owned:
        if not is_local(uri):
            continue
        for path in (*_content(holdings.pool_path), *map(Path, (*holdings.files, *holdings.pipes))):
            if (path.is_file() or path.is_fifo()) and which(path):
                path.unlink()
                removed.append(f"file {path}")
        for directory in dict.fromkeys([holdings.pool_path, *holdings.directories]):
            with contextlib.suppress(OSError):
                Path(directory).rmdir()
                removed.append(f"directory {directory}")
    return removed


def _content(directory: str) -> list[Path]:
    """What is in a directory; nothing if there is none, or no name of one: an empty path would be where we are."""
    path = Path(directory)
    return list(path.iterdir()) if path.is_absolute() and path.is_dir() else []


def is_empty(path: Path) -> bool:
    return path.stat().st_size == 0


def _swept(results: Iterable[Swept]) -> list[str]:
    found = list(results)
    removed = [line for result in found for line in result.removed]
    return removed + [f"nothing of {line}" for result in found for line in result.kept]


def _records(home: Path) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads((home / "holdings.json").read_text())
    except (OSError, ValueError):
        return []
    return found
