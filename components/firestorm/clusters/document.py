"""A cluster's document, before `firestorm.spec` reads it: where it comes from, and what is added to it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from firestorm import spec
from firestorm.clusters.files import write_private
from firestorm.spec.files import read

_NOTE = "cluster-file"
_FILES = ("path", "kernel", "initrd")


def load(home: Path, cluster: str | None) -> tuple[dict[str, Any], spec.Source | None]:
    """The document in the file `cluster`, else in the one that the last run was given, else an empty one.

    Raises SpecError if the file cannot be read or is not YAML.
    """
    kept = note(home)
    if cluster is None:
        cluster = kept.read_text() if kept.exists() else None
    return read(cluster) if cluster is not None else ({}, None)


def note(home: Path) -> Path:
    """The file in which the path of the cluster's document is written down."""
    return home / _NOTE


def remember(home: Path, source: spec.Source) -> None:
    """Write down that the cluster whose home this is, is described by the file that `source` is about."""
    if source.name is not None:
        write_private(note(home), str(source.directory / Path(source.name).name))


def configured(path: Path) -> dict[str, Any]:
    """The document in a stack's configuration file."""
    config = (yaml.safe_load(path.read_text()) or {}).get("config") or {}
    return {key.partition(":")[2]: value for key, value in config.items()}


def whole(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The document of the cluster `name`, whatever name the `given` one has: several clusters may be made of one."""
    return {**given, "name": name}


def absolute(whole: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """A checked document whose paths start at `directory`, with absolute ones: Pulumi runs elsewhere."""
    found: dict[str, Any] = copy.deepcopy(dict(whole))

    def made(path: str) -> str:
        return str((directory / Path(path).expanduser()).absolute())

    for system in _systems(found):
        image = system.get("image")
        if isinstance(image, dict):
            image.update({key: made(image[key]) for key in _FILES if image.get(key)})
    for pool in _pools(found):
        snippets = pool.get("snippets") or []
        for index, snippet in enumerate(snippets):
            if isinstance(snippet, str):
                snippets[index] = made(snippet)
            elif snippet.get("path"):
                snippet["path"] = made(snippet["path"])
    return found


def _pools(whole: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    workers = whole.get("workers")
    for pool in (whole.get("controllers"), *(workers if isinstance(workers, list) else ())):
        if isinstance(pool, dict):
            yield pool


def _systems(whole: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for holder in (whole, *_pools(whole)):
        system = holder.get("os")
        if isinstance(system, dict):
            yield system
