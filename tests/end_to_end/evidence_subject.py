"""A development cluster as evidence is collected of it, also one that never came up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from firestorm import spec
from firestorm.evidence import Subject, SubjectNode
from firestorm.pki import Pki
from firestorm.platforms.libvirt.naming import LibvirtNames
from firestorm.render import admin_kubeconfig
from firestorm_lab.development import Development

# How a state tells a secret: sdk/go/common/resource/properties.go (SigKey, SecretSig).
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"


def subject_of(development: Development, error: str | None = None) -> Subject:
    config = yaml.safe_load(development.stack_config.read_text())["config"]
    cluster = spec.parse({key.removeprefix("firestorm:"): value for key, value in config.items()})
    names = LibvirtNames.of(cluster)
    exported = json.loads(development.pulumi("stack", "export", "--show-secrets", quiet=True))
    resources = exported["deployment"].get("resources") or []
    outputs = {resource["urn"].rpartition("::")[2]: resource.get("outputs") or {} for resource in resources}
    kubeconfig = development.home / "evidence-kubeconfig"
    kubeconfig.touch(mode=0o600)
    bundle = next(_plain(found["bundle"]) for name, found in outputs.items() if name.endswith("-pki"))
    kubeconfig.write_text(admin_kubeconfig(cluster, Pki.from_json(bundle)))
    return Subject(
        name=cluster.name,
        nodes=tuple(
            SubjectNode(
                name=node.name,
                role=node.role,
                address=str(node.address),
                console=Path(names.console(node.name)),
                journal=Path(names.journal(node.name)),
            )
            for node in cluster.nodes
        ),
        kubeconfig=kubeconfig,
        configs={node.name: _plain(outputs[f"{node.name}-config"]["content"]) for node in cluster.nodes},
        secrets=frozenset(_secrets(resources)),
        error=error,
    )


def _plain(secret: Any) -> str:
    return str(json.loads(secret["plaintext"]))


def _secrets(value: Any) -> Iterator[str]:
    """Every secret of a state, as text."""
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            plain = json.loads(value["plaintext"])
            yield plain if isinstance(plain, str) else json.dumps(plain)
        else:
            for item in value.values():
                yield from _secrets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item)
