"""Turns counts of bytes into reports at a bearable pace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from firestorm.images.model import ImageEvent, Progress

_INTERVAL: Final = 0.1  # seconds between two reports of one stage


@dataclass(slots=True, kw_only=True)
class Meter:
    """Reports on one image. `clock` is in seconds, monotonic."""

    name: str
    progress: Progress | None
    clock: Callable[[], float]
    _stage: str = field(default="", init=False)
    _began: tuple[float, int] = field(default=(0.0, 0), init=False)
    _last: float = field(default=0.0, init=False)

    def say(self, stage: Literal["wait", "retry", "done"], reason: str = "") -> None:
        """Reports an event without a count."""
        self._stage = ""
        if self.progress is not None:
            self.progress(ImageEvent(stage=stage, name=self.name, reason=reason))

    def count(self, stage: Literal["download", "verify", "unpack"], done: int, total: int | None = None) -> None:
        """Reports `done` bytes of a stage; the rate is its mean since the stage's first report."""
        if self.progress is None:
            return
        now = self.clock()
        first = stage != self._stage
        if first:
            self._stage, self._began = stage, (now, done)
        elif now - self._last < _INTERVAL and done != total:
            return
        self._last = now
        elapsed = now - self._began[0]
        rate = (done - self._began[1]) / elapsed if elapsed > 0 else 0.0
        self.progress(ImageEvent(stage=stage, name=self.name, done=done, total=total, rate=rate))
