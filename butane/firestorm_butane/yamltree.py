"""The nodes of a YAML text, each with its position. Tags are resolved later, when the expected type is known."""

from __future__ import annotations

from dataclasses import dataclass

from .schema import Path

MAX_DEPTH = 100
"""Levels of nesting; a meaningful config has fewer than ten."""


class YamlError(Exception):
    """The text is not YAML, or is YAML that would be unsafe to expand. ``line`` and ``column`` count from 1."""

    def __init__(self, text: str, line: int, column: int) -> None:
        super().__init__(text)
        self.text, self.line, self.column = text, line, column


@dataclass(slots=True, eq=False)
class Node:
    line: int
    column: int
    tag: str


@dataclass(slots=True, eq=False)
class ScalarNode(Node):
    value: str
    plain: bool


@dataclass(slots=True, eq=False)
class SequenceNode(Node):
    items: list[Node]


@dataclass(slots=True, eq=False)
class MappingNode(Node):
    pairs: list[tuple[Node, Node]]
    index: dict[str, tuple[Node, Node]] | None = None

    def get(self, key: str) -> tuple[Node, Node] | None:
        """The key and value nodes of a scalar key; of repeated keys the last."""
        if self.index is None:
            self.index = {k.value: (k, v) for k, v in self.pairs if isinstance(k, ScalarNode)}
        return self.index.get(key)


@dataclass(slots=True, eq=False)
class AliasNode(Node):
    name: str
    target: Node
    inside_target: bool
    """The alias stands inside the node that it names."""


def parse(source: str) -> Node | None:
    """The root node of the first document, or ``None`` for an empty one.

    Raises:
        YamlError: what is wrong with the text, and where.
    """
    from .yamlevents import read  # PyYAML takes longer to load than all else here

    return read(source)


def deepest(root: Node | None, path: Path) -> Node | None:
    """The node at ``path``, or at the longest part of it that the text has; an alias is not entered."""
    node = root
    for part in path:
        if isinstance(node, MappingNode) and isinstance(part, str) and (pair := node.get(part)):
            node = pair[1]
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            break
    return node
