"""What a change of a cluster's description would do to its nodes, told by the meaning of their configs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import firestorm_butane
from firestorm import spec
from firestorm.clusters import document
from firestorm.clusters.files import write_private
from firestorm.node import preview_config

if TYPE_CHECKING:
    from firestorm.clusters.life import Life


@contextmanager
def restored(life: Life) -> Iterator[Mapping[str, Any]]:
    """The document of a cluster that is there; its description and record are as before when the block ends."""
    kept = {path: path.read_text() for path in (life.stack_config, document.note(life.home)) if path.exists()}
    there = life.record
    try:
        yield document.configured(life.stack_config) if life.stack_config.exists() else {}
    finally:
        for path, text in kept.items():
            write_private(path, text)
        if there is not None:
            life.note(state=there.state, keeper=there.keeper)


def what_changes(before: Mapping[str, Any], stack_config: Path) -> Iterator[str]:
    """Lines on each node that is in both documents and whose config differs. Secrets are placeholders in both."""
    if not before:
        return
    old, new = spec.parse(before), spec.parse(document.configured(stack_config))
    names = {node.name: node for node in old.nodes}
    for node in new.nodes:
        if node.name in names:
            found = firestorm_butane.diff(
                preview_config(old, names[node.name]).ignition, preview_config(new, node).ignition
            )
            if found.changes:
                yield f"\nconfig of {node.name}:"
                yield found.text()
