"""Evidence of a cluster of which only the home is known; `firestorm.evidence` does the collecting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from firestorm import spec
from firestorm.clusters import document
from firestorm.clusters.files import Progress, silent
from firestorm.clusters.life import Life
from firestorm.errors import ClusterError
from firestorm.evidence import Subject, SubjectNode, Summary
from firestorm.evidence import collect as collect_subject
from firestorm.platforms.libvirt.naming import LibvirtNames

# How a secret is told from other values in a state: sdk/go/common/resource/properties.go (SigKey, SecretSig).
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"


def collect(home: Path, into: Path, *, error: str | None = None, say: Progress = silent) -> Summary:
    """Collect evidence of the cluster at `home` into the directory `into`; `error` is what was said of its failure.

    What cannot be had is named in the summary. Raises SpecError if the cluster's configuration cannot be read.
    """
    return collect_subject(subject(home, error=error), into, progress=say)


def subject(home: Path, *, error: str | None = None) -> Subject:
    """What is known of the cluster: nodes by its configuration, node configs and secrets by its Pulumi state."""
    life = Life(name=home.name, home=home)
    if not life.stack_config.exists():
        return Subject(name=home.name, nodes=(), kubeconfig=None, configs={}, secrets=frozenset(), error=error)
    parsed = spec.parse(document.configured(life.stack_config))
    names = LibvirtNames.of(parsed)
    state = _state(life)
    return Subject(
        name=parsed.name,
        nodes=tuple(
            SubjectNode(
                name=node.name,
                role=node.role,
                address=str(node.address),
                console=Path(names.console(node.name)),
                journal=Path(names.journal(node.name)),
            )
            for node in parsed.nodes
        ),
        kubeconfig=life.kubeconfig if life.kubeconfig.exists() else None,
        configs=_configs(state),
        secrets=frozenset(_secrets(state)),
        error=error,
    )


def _state(life: Life) -> list[dict[str, Any]]:
    try:
        exported = json.loads(life.pulumi("stack", "export", "--show-secrets", quiet=True))
    except (ClusterError, ValueError):
        return []
    found: list[dict[str, Any]] = exported["deployment"].get("resources") or []
    return found


def _configs(resources: list[dict[str, Any]]) -> dict[str, str]:
    """{node: Ignition JSON} of the sealed configs in a state."""
    found = {}
    for resource in resources:
        name = str(resource.get("urn", "")).rpartition("::")[2]
        if resource.get("type", "").endswith(":SealedConfig"):
            content = list(_plain(resource.get("outputs", {}).get("content")))
            found.update({name.removesuffix("-config"): text for text in content[:1]})
    return found


def _secrets(value: Any) -> Iterator[str]:
    """Every secret text in an exported state."""
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            yield from _plain(value)
        else:
            for item in value.values():
                yield from _secrets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item)


def _plain(value: Any) -> Iterator[str]:
    """The texts in one value of a state, a secret's too: that is JSON in a field of its own."""
    if isinstance(value, dict) and value.get(_SIGNATURE) == _SECRET:
        yield from _plain(json.loads(value.get("plaintext", "null")))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _plain(item)
    elif isinstance(value, list):
        for item in value:
            yield from _plain(item)
    elif isinstance(value, str):
        yield value
