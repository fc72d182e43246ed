"""What the tests of node configs share: clusters, a snippet, and reading what came out."""

from __future__ import annotations

import base64
import gzip
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from firestorm.node import NodeConfig
from firestorm.spec.model import ClusterSpec, Node

Tree = dict[str, Any]
MakeCluster = Callable[..., ClusterSpec]

SNIPPET = """\
variant: {variant}
version: {version}
storage:
  directories:
    - path: /etc/team
      mode: 0750
  files:
    - path: /etc/team/greeting
      mode: 0644
      contents:
        local: greeting
    - path: /etc/team/note
      mode: 0600
      user:
        id: 1000
      contents:
        inline: |
          Blue
systemd:
  units:
    - name: kubelet.service
      dropins:
        - name: 50-team.conf
          contents: |
            [Service]
            Environment=TEAM=blue
    - name: greeting.service
      enabled: true
      contents: |
        [Unit]
        Description=Greet

        [Service]
        Type=oneshot
        ExecStart=/usr/bin/touch /run/greeted

        [Install]
        WantedBy=multi-user.target
"""
HEADERS = {
    "flatcar": {"variant": "flatcar", "version": "1.1.0"},
    "fcos": {"variant": "fcos", "version": "1.5.0"},
    "debian": {"variant": "flatcar", "version": "1.1.0"},
}

SYSTEMS = ("flatcar", "fcos", "debian")
ROLES = ("controller", "worker")
each_machine = pytest.mark.parametrize(("system", "role"), [(system, role) for system in SYSTEMS for role in ROLES])
"""Runs a test for every operating system and role."""


def node_of(spec: ClusterSpec, role: str) -> Node:
    return next(node for node in spec.nodes if node.role == role)


def files(config: NodeConfig) -> dict[str, Tree]:
    """The files of a config by path."""
    return {file["path"]: file for file in _storage(config).get("files", [])}


def directories(config: NodeConfig) -> dict[str, Tree]:
    return {directory["path"]: directory for directory in _storage(config).get("directories", [])}


def units(config: NodeConfig) -> dict[str, Tree]:
    """The units of a config by name."""
    return {unit["name"]: unit for unit in cast(Tree, config.ignition["systemd"])["units"]}


def text(config: NodeConfig, path: str) -> str:
    """A file's content, which is in the config itself."""
    return content(files(config)[path]["contents"]).decode()


def content(resource: Tree) -> bytes:
    source: str = resource["source"]
    assert source.startswith("data:"), f"{source} is not in the config"
    head, _, body = source.removeprefix("data:").partition(",")
    data = base64.b64decode(body) if head.endswith(";base64") else urllib.parse.unquote_to_bytes(body)
    return gzip.decompress(data) if resource.get("compression") == "gzip" else data


def texts(config: NodeConfig) -> Iterator[tuple[str, str]]:
    """(path, content) of every file that is in the config itself, and of every unit and drop-in."""
    for path, file in files(config).items():
        if file["contents"]["source"].startswith("data:"):
            yield path, content(file["contents"]).decode()
    for name, unit in units(config).items():
        if "contents" in unit:
            yield name, unit["contents"]
        for dropin in unit.get("dropins", []):
            yield f"{name}.d/{dropin['name']}", dropin["contents"]


def _storage(config: NodeConfig) -> Tree:
    return cast(Tree, config.ignition["storage"])
