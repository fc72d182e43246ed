"""The cluster that a user describes, where nothing is made of it: as `up` would read it, with this host's site file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firestorm.clusters import site
from firestorm.spec import ClusterSpec, parse
from firestorm.spec.files import read

_NAME = "dev"


def described(path: Path | None, over: Mapping[str, Any] | None = None) -> ClusterSpec:
    """The cluster in the file `path`, the default one without it; `over` replaces fields of the document.

    Raises SpecError with every problem.
    """
    found, source = read(str(path)) if path is not None else ({}, None)
    given: dict[str, Any] = {"name": _NAME, **found, **(over or {})}
    return parse(site.load().document(given["name"], given, source), source=source)
