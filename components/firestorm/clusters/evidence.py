"""Evidence of a cluster of which only the home is known; `firestorm.evidence` does the collecting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from firestorm import spec
from firestorm.clusters import consoles, document
from firestorm.clusters.files import Progress, silent, write_private
from firestorm.clusters.life import Life
from firestorm.errors import ClusterError
from firestorm.evidence import Subject, SubjectNode, Summary
from firestorm.evidence import collect as collect_subject
from firestorm.pki import Pki
from firestorm.platforms.libvirt.naming import LibvirtNames
from firestorm.render import admin_kubeconfig
from firestorm.spec.model import ClusterSpec

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
                earlier=consoles.earlier(home, node.name),
                journal=Path(names.journal(node.name)),
            )
            for node in parsed.nodes
        ),
        kubeconfig=_kubeconfig(life, parsed, state),
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
    return {
        str(resource["urn"]).rpartition("::")[2].removesuffix("-config"): text
        for resource in resources
        for text in _output(resource, "SealedConfig", "content")
    }


def _kubeconfig(life: Life, parsed: ClusterSpec, resources: list[dict[str, Any]]) -> Path | None:
    """The administrator's kubeconfig: of a cluster that did not come up, made from the keys in its state."""
    if life.kubeconfig.exists():
        return life.kubeconfig
    for bundle in (text for resource in resources for text in _output(resource, "ClusterPki", "bundle")):
        path = life.home / "kubeconfig-of-failed"
        write_private(path, admin_kubeconfig(parsed, Pki.from_json(bundle)))
        return path
    return None


def _output(resource: dict[str, Any], kind: str, name: str) -> Iterator[str]:
    """A secret text among the outputs of a resource of this kind."""
    if str(resource.get("type", "")).endswith(f":{kind}"):
        yield from _secrets(resource.get("outputs", {}).get(name))


def _secrets(value: Any) -> Iterator[str]:
    """Every secret in an exported state: a text as it is, anything else as one JSON text."""
    if isinstance(value, dict) and value.get(_SIGNATURE) == _SECRET:
        plain = json.loads(value.get("plaintext", '""'))
        yield plain if isinstance(plain, str) else json.dumps(plain)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _secrets(item)
