"""Progress for people: one line per step with its seconds, and a sign of life during long ones.

Everything goes to standard error; standard output belongs to a command's result.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HEARTBEAT = 15.0


def say(message: str) -> None:
    """Print one line at once, so that a pipe or a CI log shows it when it happens."""
    print(message, file=sys.stderr, flush=True)


@dataclass(slots=True)
class Step:
    """One named step that is under way."""

    name: str
    started: float = field(default_factory=time.monotonic)
    _last: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def note(self, text: str) -> None:
        """Say something now."""
        self._last = time.monotonic()
        say(f"lab {self.seconds:6.1f}s  {self.name}: {text}")

    def alive(self, text: str) -> None:
        """Say something if nothing was said for HEARTBEAT seconds."""
        if time.monotonic() - self._last >= HEARTBEAT:
            self.note(text)


@dataclass(slots=True)
class Timings:
    """The seconds that each finished step took, in order, for the closing table."""

    rows: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    def table(self) -> str:
        width = max((len(name) for name, _ in self.rows), default=4)
        lines = [f"{name:<{width}}  {seconds:7.1f} s" for name, seconds in self.rows]
        total = f"{'total':<{width}}  {sum(seconds for _, seconds in self.rows):7.1f} s"
        return "\n".join([*lines, "-" * len(total), total])


TIMINGS = Timings()


@contextmanager
def step(name: str, what: str) -> Iterator[Step]:
    """A step's life: said when it begins and when it ends well; its time is kept for the closing table."""
    current = Step(name)
    current.note(what)
    yield current
    current.note("done")
    TIMINGS.rows.append((name, current.seconds))
