"""The site file: what every cluster of a user or a machine has in common, said once.

    cluster:                 # a partial cluster.yaml, under every cluster's own arguments
      mirrors: {registry.k8s.io: "http://{address}:5000"}
    inside: [serve, --address, "{address}"]     # a server beside the machines of a private libvirt

It is the file that FIRESTORM_SITE names, else `firestorm/site.yaml` below XDG_CONFIG_HOME (~/.config) if that exists.
`{address}` stands for the address of that server. Relative paths start at the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firestorm.clusters import document
from firestorm.errors import Problem, SpecError
from firestorm.platforms.libvirt.private import DEFAULT_SERVICE_ADDRESS
from firestorm.spec import Source
from firestorm.spec.files import read

VARIABLE = "FIRESTORM_SITE"
_KEYS = ("cluster", "inside")
_PLACE = "{address}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """`cluster` are defaults for a cluster's document, `inside` the words of a command, none if empty."""

    cluster: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inside: tuple[str, ...] = ()

    def under(self, given: Mapping[str, Any], address: str) -> dict[str, Any]:
        """`given` with this site's defaults where it says nothing; the site's servers are at `address`.

        Maps are filled in field by field, but for an OS of another name, which has nothing of the site's.
        """
        cluster: Mapping[str, Any] = _filled(dict(self.cluster), address)
        os_, own = cluster.get("os"), given.get("os")
        if (
            isinstance(os_, Mapping)
            and isinstance(own, Mapping)
            and own.get("name", os_.get("name")) != os_.get("name")
        ):
            cluster = {key: value for key, value in cluster.items() if key != "os"}
        return _merged(cluster, given)

    def document(self, name: str, given: Mapping[str, Any], source: Source | None) -> dict[str, Any]:
        """The whole document of the cluster `name` that `given` describes, with absolute paths; `source` tells where
        that came from."""
        whole = document.absolute(document.whole(name, given), source.directory if source else Path.cwd())
        return self.under(whole, DEFAULT_SERVICE_ADDRESS)

    def command(self, address: str) -> list[str]:
        """The server's command."""
        return [word.replace(_PLACE, address) for word in self.inside]


def load() -> Site:
    """The site's file as it is now; an empty one if there is none. Raises SpecError with every problem of it."""
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else _default()
    return parse_file(path) if named or path.exists() else Site()


def parse_file(path: Path) -> Site:
    """The site in the file `path`. Raises SpecError with every problem of it."""
    whole, source = read(str(path))
    problems = [
        Problem(
            path=str(key),
            text="is no field of a site file",
            remedy=f"use {' or '.join(_KEYS)}",
            location=source.locate((str(key),)),
        )
        for key in whole
        if key not in _KEYS
    ]
    cluster: Any = whole.get("cluster") or {}
    inside: Any = whole.get("inside") or []
    if not isinstance(cluster, Mapping):
        problems.append(
            _wrong("cluster", "a map", "write fields of a cluster.yaml below it", source.locate(("cluster",)))
        )
    if not isinstance(inside, Sequence) or isinstance(inside, str) or not all(isinstance(word, str) for word in inside):
        problems.append(
            _wrong("inside", "a list of words", "write it like [serve, --quiet]", source.locate(("inside",)))
        )
    if problems:
        raise SpecError(problems)
    return Site(cluster=document.absolute(cluster, source.directory), inside=tuple(inside))


def _default() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "firestorm" / "site.yaml"


def _wrong(path: str, kind: str, remedy: str, location: str | None) -> Problem:
    return Problem(path=path, text=f"must be {kind}", remedy=remedy, location=location)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    found = {**under, **over}
    for key in under.keys() & over.keys():
        if isinstance(under[key], Mapping) and isinstance(over[key], Mapping):
            found[key] = _merged(under[key], over[key])
    return found


def _filled(value: Any, address: str) -> Any:
    if isinstance(value, str):
        return value.replace(_PLACE, address)
    if isinstance(value, Mapping):
        return {key: _filled(item, address) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, address) for item in value]
    return value
