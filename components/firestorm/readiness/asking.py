"""Asks nodes that stay behind why: over their journal ports, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from firestorm.readiness.console import Stage
from firestorm.readiness.failure import Failure
from firestorm.readiness.journal import journal_failures
from firestorm.readiness.observation import Member, Observation
from firestorm.readiness.port import PortError, ask

PATIENCE = 120.0
"""Seconds that a node gets after its boot before it is asked: most are ready by then, and an answer costs it time."""
PAUSE = 60.0
"""Seconds between an answer and the next question."""

Answers = Mapping[str, tuple[Failure, ...]]


def trouble(port: Path) -> tuple[Failure, ...]:
    """What keeps the pods of the node at the other end of `port` from starting; nothing if it does not answer."""
    try:
        return journal_failures(ask(port, "trouble", timeout=20.0, limit=64 << 10).data.decode(errors="replace"))
    except PortError:
        return ()


@dataclass(slots=True)
class Asker:
    """Decides when a node is due, and keeps its newest answer. `look` never waits."""

    members: tuple[Member, ...]
    question: Callable[[Path], tuple[Failure, ...]] = trouble
    _due: dict[str, float] = field(default_factory=dict[str, float])
    _asked: set[str] = field(default_factory=set[str])
    _fresh: dict[str, tuple[Failure, ...]] = field(default_factory=dict[str, tuple[Failure, ...]])
    _told: dict[str, tuple[Failure, ...]] = field(default_factory=dict[str, tuple[Failure, ...]])

    def look(self, seen: Observation) -> Answers:
        """What is known at this moment; asks the nodes that are due."""
        for member in self.members:
            if member.journal is None:
                continue
            if seen.is_ready(member) or seen.console(member).stage < Stage.BOOTED:
                self._told.pop(member.name, None)
                self._due.pop(member.name, None)
                continue
            if member.name in self._fresh:
                self._told[member.name] = self._fresh.pop(member.name)
                self._asked.discard(member.name)
                self._due[member.name] = seen.at + PAUSE
            if seen.at >= self._due.setdefault(member.name, seen.at + PATIENCE) and member.name not in self._asked:
                self._asked.add(member.name)
                threading.Thread(target=self._ask, args=(member.name, Path(member.journal)), daemon=True).start()
        return dict(self._told)

    def _ask(self, name: str, port: Path) -> None:
        answer: tuple[Failure, ...] = ()
        try:
            answer = self.question(port)
        finally:
            self._fresh[name] = answer
