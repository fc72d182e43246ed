"""`firestorm render`: what every node would be given, as files to read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from firestorm.commands.described import described
from firestorm.errors import ClusterError
from firestorm.node import preview_config
from firestorm.node.identity import PLACEHOLDER_TOKEN
from firestorm.releases import lookup
from firestorm.render import manifests
from firestorm.spec.model import ClusterSpec
from firestorm_butane.contents import contents

_UNITS = "/etc/systemd/system"


def run(chosen: argparse.Namespace) -> int:
    into: Path = chosen.into
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise ClusterError(f"{into} is not an empty directory: name another one")
    spec = described(chosen.spec)
    count = 0
    for path, content in rendered(spec):
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        count += 1
    print(f"{count} files of {len(spec.nodes)} nodes are in {into}; keys, certificates and tokens are placeholders")
    return 0


def rendered(spec: ClusterSpec) -> Iterator[tuple[str, bytes]]:
    """(path, content) of every file: a directory for each node, and one for the manifests of the cluster.

    A node has its Ignition config, its files below `rootfs`, and in `fetched.json` what it downloads. Raises
    RenderError.
    """
    for node in spec.nodes:
        config = preview_config(spec, node).ignition
        yield f"{node.name}/config.ign", (json.dumps(config, indent=2) + "\n").encode()
        fetched: dict[str, Any] = {}
        for path, content in _files(config, fetched):
            yield f"{node.name}/rootfs{path}", content
        yield f"{node.name}/fetched.json", (json.dumps(fetched, indent=2) + "\n").encode()
    release = lookup(spec, spec.controllers.os.arch)
    made = manifests(spec, release, token=PLACEHOLDER_TOKEN, now=datetime.now(UTC))
    for number, manifest in enumerate(made):
        name = f"{number:02}-{manifest['kind']}-{manifest['metadata']['name'].replace(':', '-')}".lower()
        yield f"manifests/{name}.yaml", yaml.safe_dump(manifest, sort_keys=False).encode()


def _files(config: Mapping[str, Any], fetched: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Files and units of an Ignition config; those that the node downloads go into `fetched`."""
    for file in config.get("storage", {}).get("files") or []:
        resource = file.get("contents") or {}
        content = contents(resource)
        if content is None and resource.get("source"):
            fetched[file["path"]] = {"source": resource["source"], **(resource.get("verification") or {})}
        else:
            yield file["path"], content or b""
    for unit in config.get("systemd", {}).get("units") or []:
        if unit.get("contents"):
            yield f"{_UNITS}/{unit['name']}", unit["contents"].encode()
        for dropin in unit.get("dropins") or []:
            yield f"{_UNITS}/{unit['name']}.d/{dropin['name']}", (dropin.get("contents") or "").encode()
