"""The claim: a dynamic resource that comes before everything a cluster has in libvirt, and goes after it.

Made, it refuses names that are taken and lays out the cluster's directory. Deleted, it sweeps what a run that failed or
was killed left outside the state.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt.naming import LibvirtNames
from firestorm.platforms.libvirt.sweep import Claim as Holdings
from firestorm.platforms.libvirt.sweep import claim_conflicts, is_local, sweep
from firestorm.provider import Provider
from firestorm.spec.model import ClusterSpec

_IDENTITY = ("uri", "description", "pool", "pool_path")
_LISTS = ("domains", "networks", "files", "pipes", "directories")


class Claim(Resource, module="firestorm", name="LibvirtClaim"):
    """The names of a cluster in libvirt, from the first resource to the last."""

    def __init__(self, name: str, uri: str, holdings: Holdings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(_Provider(), name, inputs_of(uri, holdings), opts)

    @classmethod
    def of(cls, name: str, spec: ClusterSpec, names: LibvirtNames, opts: pulumi.ResourceOptions | None = None) -> Claim:
        """The claim of a whole cluster."""
        return cls(name, spec.platform.uri, holdings_of(spec, names), opts)


def holdings_of(spec: ClusterSpec, names: LibvirtNames) -> Holdings:
    """All that a cluster will own on its libvirt host."""
    home = Path(names.console_dir).parent
    return Holdings(
        description=names.description,
        domains=tuple(node.name for node in spec.nodes),
        networks=((names.network, str(spec.network.gateway)),),
        pool=names.pool,
        pool_path=names.pool_path,
        files=tuple(names.console(node.name) for node in spec.nodes),
        pipes=tuple(pipe for node in spec.nodes for pipe in names.journal_pipes(node.name)),
        directories=(names.console_dir, str(home), str(home.parent)),
    )


def inputs_of(uri: str, holdings: Holdings) -> dict[str, Any]:
    """The resource's inputs: plain JSON data."""
    return {
        "uri": uri,
        "description": holdings.description,
        "domains": list(holdings.domains),
        "networks": [list(network) for network in holdings.networks],
        "pool": holdings.pool,
        "pool_path": holdings.pool_path,
        "files": list(holdings.files),
        "pipes": list(holdings.pipes),
        "directories": list(holdings.directories),
    }


def holdings_from(props: Mapping[str, Any]) -> Holdings:
    """`inputs_of` backwards."""
    return Holdings(
        description=props["description"],
        domains=tuple(props["domains"]),
        networks=tuple((name, address) for name, address in props["networks"]),
        pool=props["pool"],
        pool_path=props["pool_path"],
        files=tuple(props["files"]),
        pipes=tuple(props.get("pipes", ())),  # there are claims from before the journal's ports
        directories=tuple(props["directories"]),
    )


def claim(props: dict[str, Any]) -> dict[str, Any]:
    """Create: refuse what is taken, make the directories, the console files and the named pipes; the outputs."""
    _refuse_conflicts(props["uri"], holdings_from(props))
    return {**_inputs(props), "owned": _owned({}, props, _lay_out(props))}


def extend(olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    """Update: as `claim`, for what is new. What is no longer claimed stays owned until it is swept, because what bears
    those names is only deleted after this."""
    owned = olds["owned"]
    fresh = {**news, **{key: [item for item in news[key] if item not in owned.get(key, ())] for key in _LISTS}}
    _refuse_conflicts(news["uri"], holdings_from({**fresh, "pool": "", "pool_path": ""}))
    return {**_inputs(news), "owned": _owned(owned, news, _lay_out(news))}


def release(props: dict[str, Any]) -> tuple[str, ...]:
    """Delete: sweep everything that was ever owned; what was found under a claimed name and left alone."""
    return sweep(props["uri"], holdings_from({**props, **props["owned"]})).kept


class _Provider(Provider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(id_=props["description"], outs=claim(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = [key for key in (*_IDENTITY, *_LISTS) if _olds.get(key) != _news.get(key)]
        return DiffResult(changes=bool(changed), replaces=[key for key in changed if key in _IDENTITY])

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(outs=extend(_olds, _news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        for line in release(_props):
            print(f"left alone: {line}", file=sys.stderr, flush=True)


def _inputs(props: dict[str, Any]) -> dict[str, Any]:
    return {key: props[key] for key in (*_IDENTITY, *_LISTS)}


def _owned(before: dict[str, Any], props: dict[str, Any], made: list[str]) -> dict[str, list[Any]]:
    """Everything claimed now or before, and the directories that were made for it, the innermost first."""
    owned = {key: [*before.get(key, [])] for key in _LISTS}
    for key in _LISTS:
        owned[key] += [item for item in props[key] if item not in owned[key]]
    owned["directories"] += [path for path in made if path not in owned["directories"]]
    return owned


def _refuse_conflicts(uri: str, holdings: Holdings) -> None:
    problems = claim_conflicts(uri, holdings)
    if problems:
        raise PlatformError("\n".join(problems))


def _lay_out(props: dict[str, Any]) -> list[str]:
    """Make directories and empty console files, which libvirt wants to exist; the directories made, innermost first.

    The cluster's directory lets QEMU's account pass to the volumes without listing them. The consoles are read by the
    user who deploys: by root alone, if that is root.
    """
    if not is_local(props["uri"]):
        return []
    root = os.geteuid() == 0
    made: list[str] = []
    try:
        for file in map(Path, props["files"]):
            _make_directory(file.parent, 0o700 if root else 0o755, made)
            file.touch(mode=0o600 if root else 0o644)
        for pipe in map(Path, props["pipes"]):
            _make_directory(pipe.parent, 0o700 if root else 0o755, made)
            with contextlib.suppress(FileExistsError):
                os.mkfifo(pipe, 0o600)
    except OSError as error:
        raise PlatformError(
            f"{error.filename}: {error.strerror}: run as a user who may write there, or set the platform's state "
            "directory to one of your own"
        ) from error
    return made


def _make_directory(path: Path, mode: int, made: list[str]) -> None:
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        directory.chmod(mode if directory == path else 0o711)
    made[:0] = [str(directory) for directory in missing]
