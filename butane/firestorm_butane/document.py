"""Ignition configs as they are given: JSON text, or what it parses to; a text's fields have places."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

from . import messages as m
from .messages import Problem
from .report import Location
from .schema import Path
from .yamltree import Node, YamlError, deepest, parse

Config = Mapping[str, Any] | str | bytes
"""An Ignition config: its JSON text, or the parsed object."""


class JsonError(Exception):
    """The text is not JSON."""

    def __init__(self, problem: Problem, location: Location) -> None:
        super().__init__(problem.text)
        self.problem, self.location = problem, location


@dataclass(frozen=True)
class Document:
    """A config and where its fields are; ``text`` is empty for one that was given as an object."""

    name: str
    raw: Mapping[str, Any]
    text: str = field(default="", repr=False)

    @cached_property
    def _root(self) -> Node | None:
        try:
            return parse(self.text) if self.text else None  # JSON is YAML, but for rarities
        except YamlError:
            return None

    def locate(self, path: Path) -> Location:
        node = deepest(self._root, path)
        return Location(self.name, node.line, node.column) if node is not None else Location(self.name)


def load(config: Config, name: str) -> Document:
    """The config as an object.

    Raises:
        JsonError: a text that is not JSON.
    """
    if not isinstance(config, (str, bytes)):
        return Document(name, config)
    try:
        text = (config if isinstance(config, bytes) else config.encode("utf-8", "surrogateescape")).decode(
            errors="replace"
        )
        return Document(name, json.loads(text, parse_constant=_reject), text)
    except json.JSONDecodeError as exc:
        problem = m.JSON_SYNTAX.fill(detail=exc.msg[:1].lower() + exc.msg[1:])
        raise JsonError(problem, Location(name, exc.lineno, exc.colno)) from exc
    except (ValueError, RecursionError) as exc:
        raise JsonError(m.JSON_SYNTAX.fill(detail=str(exc)), Location(name)) from exc


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")
