"""Node configs: Butane layers for a role and an operating system, the user's snippets over them, made into Ignition."""

from firestorm.node.compile import NodeConfig, compile_layers
from firestorm.node.identity import identity, node_config, preview_config
from firestorm.node.layers import Layer, layers

__all__ = [
    "Layer",
    "NodeConfig",
    "compile_layers",
    "identity",
    "layers",
    "node_config",
    "preview_config",
]
