"""YAML text to nodes, by way of libyaml's events.

The tree is built in a loop, so that depth is a limit of ours and not of the interpreter's stack. Only the first
document is read, as by the reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from .yamltree import MAX_DEPTH, AliasNode, MappingNode, Node, ScalarNode, SequenceNode, YamlError

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # a PyYAML built without libyaml: slower, the same events
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

_SLASH = re.compile(r'"(?:[^\\]|\\[^/])*\\/', re.DOTALL)


def _check(source: str) -> None:
    try:
        source.encode()
    except UnicodeEncodeError as exc:
        line = source.count("\n", 0, exc.start) + 1
        column = exc.start - source.rfind("\n", 0, exc.start)
        raise YamlError("the text holds a lone surrogate, which is not a character", line, column) from exc


def read(source: str) -> Node | None:
    """The root node of the first document, or ``None`` for an empty one.

    Raises:
        YamlError: what is wrong with the text, and where.
    """
    _check(source)
    loader = _Loader(source)
    try:
        return _build(source, loader.get_event)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        text = " ".join(part for part in (exc.context, exc.problem) if part)
        raise YamlError(text, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1) from exc
    except ReaderError as exc:
        position = exc.position if isinstance(exc.position, int) else 0
        raise YamlError(str(exc.reason), *_place(source, position)) from exc
    finally:
        loader.dispose()


def _place(source: str, position: int) -> tuple[int, int]:
    """Line and column of a reader's position, which counts bytes or characters depending on the implementation."""
    bad = next((i for i, c in enumerate(source) if not _printable(c)), min(position, len(source)))
    return source.count("\n", 0, bad) + 1, bad - source.rfind("\n", 0, bad)


def _printable(c: str) -> bool:
    """YAML 1.1, production 1: the characters that a stream may hold."""
    n = ord(c)
    return n in (0x09, 0x0A, 0x0D, 0x85) or 0x20 <= n <= 0x7E or (n >= 0xA0 and n not in (0xFFFE, 0xFFFF))


def _check_escapes(source: str, event: ScalarEvent) -> None:
    """The reference's YAML library does not know the escape of a slash."""
    start, end = event.start_mark, event.end_mark
    if start is not None and end is not None and _SLASH.match(source, start.index, end.index):
        raise YamlError("unknown escape '\\/' in a quoted string", start.line + 1, start.column + 1)


def _build(source: str, next_event: Callable[[], object]) -> Node | None:
    slashes = "\\/" in source
    root: Node | None = None
    anchors: dict[str, Node] = {}
    # One entry per open collection: the node, and for a mapping the key that waits for its value.
    stack: list[SequenceNode | MappingNode] = []
    keys: list[Node | None] = []
    while True:
        event = next_event()
        node: Node
        if isinstance(event, ScalarEvent):  # most are
            node = ScalarNode(*_place_of(event), event.tag or "", event.value, not event.style)
            if event.anchor is not None:
                anchors[event.anchor] = node
            if slashes and event.style == '"':
                _check_escapes(source, event)
        elif isinstance(event, (SequenceEndEvent, MappingEndEvent)):
            stack.pop()
            keys.pop()
            continue
        elif isinstance(event, (SequenceStartEvent, MappingStartEvent)):
            node = _collection(event, anchors)
        elif isinstance(event, AliasEvent):
            node = _alias(event, anchors, stack)
        elif event is None or isinstance(event, (StreamEndEvent, DocumentEndEvent)):
            return root
        else:
            if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 1)):
                raise YamlError("a '%YAML' directive of another version than 1.1", 1, 1)
            continue
        if not stack:
            root = node
        elif isinstance(top := stack[-1], SequenceNode):
            top.items.append(node)
        elif (key := keys[-1]) is None:
            keys[-1] = node
        else:
            top.pairs.append((key, node))
            keys[-1] = None
        if isinstance(node, (SequenceNode, MappingNode)):
            if len(stack) >= MAX_DEPTH:
                raise YamlError(f"more than {MAX_DEPTH} levels of nesting", node.line, node.column)
            stack.append(node)
            keys.append(None)


def _place_of(event: NodeEvent) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None
    return mark.line + 1, mark.column + 1


def _collection(event: SequenceStartEvent | MappingStartEvent, anchors: dict[str, Node]) -> Node:
    make = SequenceNode if isinstance(event, SequenceStartEvent) else MappingNode
    node = make(*_place_of(event), event.tag or "", [])
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _alias(event: AliasEvent, anchors: dict[str, Node], stack: list[SequenceNode | MappingNode]) -> Node:
    line, column = _place_of(event)
    if event.anchor not in anchors:
        raise YamlError(f"unknown anchor {event.anchor!r}", line, column)
    target = anchors[event.anchor]
    return AliasNode(line, column, "", event.anchor, target, any(target is open_ for open_ in stack))
