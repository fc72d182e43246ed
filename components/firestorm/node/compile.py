"""Layers to one Ignition config: each compiled by itself, then merged in order by Ignition's own rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import firestorm_butane
from firestorm.errors import RenderError
from firestorm.node.layers import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """A node's Ignition config: `ignition` as data, `json` as the machine reads it, `warnings` for the user."""

    ignition: dict[str, object]
    warnings: tuple[str, ...]

    @property
    def json(self) -> str:
        return json.dumps(self.ignition, sort_keys=True, separators=(",", ":"))


def compile_layers(layers: Sequence[Layer]) -> NodeConfig:
    """Compile and merge. Raises RenderError with every problem of every layer, each at its own file and line."""
    merged: dict[str, object] | None = None
    problems: list[str] = []
    warnings: list[str] = []
    for layer in layers:
        result = firestorm_butane.translate(
            layer.content, name=layer.name, files=layer.files or None, files_dir=layer.files_dir
        )
        if result.ignition is None:
            problems.append(str(result.report))
            continue
        if str(result.report):
            warnings.append(str(result.report))
        merged = result.ignition if merged is None else firestorm_butane.merge(merged, result.ignition)
    if problems:
        raise RenderError("\n".join(problems))
    assert merged is not None
    report = firestorm_butane.validate(merged)
    if not report.ok:
        raise RenderError(f"the merged config of {', '.join(layer.name for layer in layers)} is not valid:\n{report}")
    return NodeConfig(ignition=merged, warnings=tuple(warnings))
