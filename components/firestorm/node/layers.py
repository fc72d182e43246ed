"""The Butane documents that make up one node's config, lowest first: role, operating system, rendered files, snippets.

Roles and systems are Butane files in this package that a person can read; their units and files lie beside them under
`units/` and `files/`. What is rendered for one cluster (static pods, keys, kubelet configuration) becomes a document of
its own, so that the whole config of a node can be printed, compiled by the reference compiler and compared.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import yaml

from firestorm.releases import RemoteFile
from firestorm.render import NodeDirectory, NodeFile
from firestorm.spec.model import ClusterSpec, Node

_HEADER = re.compile(r"^variant: \S+\nversion: \S+$", re.MULTILINE)
_SSH_UNITS = ("sshd.service", "sshd.socket")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A Butane document. `name` is what messages call it; `files` is its files directory, held in memory."""

    name: str
    content: str
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    files_dir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContent:
    """What is rendered for one node: its files and directories, and what it fetches ({path: (file, mode)})."""

    files: tuple[NodeFile, ...]
    directories: tuple[NodeDirectory, ...]
    remote: Mapping[str, tuple[RemoteFile, int]]


def layers(spec: ClusterSpec, node: Node, content: NodeContent) -> tuple[Layer, ...]:
    """The documents of `node`, in the order in which they are merged."""
    system = _package_text("os", f"{node.pool.os.name}.bu")
    match = _HEADER.search(system)
    if match is None:
        raise AssertionError(f"os/{node.pool.os.name}.bu does not start with its variant and version")
    header = match.group()
    roles = ("worker", "controller") if node.role == "controller" else ("worker",)
    return (
        *(_package_layer(f"{role}.bu", _HEADER.sub(header, _package_text("roles", f"{role}.bu"))) for role in roles),
        _package_layer(f"{node.pool.os.name}.bu", system),
        Layer(name=f"{node.name} (rendered)", content=f"{header}\n{_rendered(spec, node, content)}"),
        *(
            Layer(name=s.source, content=s.content, files_dir=Path(s.files_dir) if s.files_dir else None)
            for s in node.pool.snippets
        ),
    )


def _package_layer(name: str, content: str) -> Layer:
    return Layer(name=name, content=content, files=_package_files())


@functools.cache
def _package_text(folder: str, name: str) -> str:
    return (resources.files("firestorm.node") / folder / name).read_text()


@functools.cache
def _package_files() -> Mapping[str, str]:
    root = resources.files("firestorm.node")
    return {entry.name: entry.read_text() for folder in ("units", "files") for entry in (root / folder).iterdir()}


def _rendered(spec: ClusterSpec, node: Node, content: NodeContent) -> str:
    hostname = NodeFile(path="/etc/hostname", content=f"{node.name}\n", mode=0o644)
    document: dict[str, object] = {
        "storage": {
            "directories": [
                {"path": directory.path, "mode": directory.mode, **_owner(directory)}
                for directory in content.directories
            ],
            "files": [
                *(
                    {
                        "path": file.path,
                        "mode": file.mode,
                        "overwrite": True,
                        **_owner(file),
                        "contents": {"inline": file.content},
                    }
                    for file in (hostname, *content.files)
                ),
                *(
                    {
                        "path": path,
                        "mode": mode,
                        "contents": {"source": remote.url, "verification": {"hash": f"sha256-{remote.sha256}"}},
                    }
                    for path, (remote, mode) in content.remote.items()
                ),
            ],
        },
        **_login(spec.ssh_authorized_keys),
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def _owner(entry: NodeFile | NodeDirectory) -> dict[str, object]:
    if entry.uid == 0 and entry.gid == 0:
        return {}
    return {"user": {"id": entry.uid}, "group": {"id": entry.gid}}


def _login(keys: Iterable[str]) -> dict[str, object]:
    """SSH for people, where keys are given; otherwise nothing listens on port 22."""
    if keys := list(keys):
        return {"passwd": {"users": [{"name": "core", "ssh_authorized_keys": keys}]}}
    return {"systemd": {"units": [{"name": unit, "mask": True} for unit in _SSH_UNITS]}}


class _Octal(int):
    """A file mode, written as YAML 1.2's reading of Butane expects: 0644."""


class _Dumper(yaml.CSafeDumper):
    """Block style, with multi-line texts as literal blocks and modes in octal."""

    def represent_mapping(self, tag: str, mapping: object, flow_style: bool | None = None) -> yaml.MappingNode:
        if isinstance(mapping, dict) and isinstance(mapping.get("mode"), int):
            mapping = {**mapping, "mode": _Octal(mapping["mode"])}
        return super().represent_mapping(tag, mapping, flow_style)  # type: ignore[arg-type]


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Octal, lambda dumper, mode: dumper.represent_scalar("tag:yaml.org,2002:int", f"0{mode:o}"))
