"""Progress for people: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from firestorm.images.files import megabytes
from firestorm.images.model import ImageEvent

_WORDS: Final = {"download": "downloading", "verify": "verifying", "unpack": "unpacking"}


@dataclass(slots=True, kw_only=True)
class ConsoleProgress:
    """A `firestorm.images.Progress`, to be used as a context manager.

    Plain lines come every `interval` seconds and when a stage begins or ends, so that a log stays short.
    """

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    interval: float = 10.0
    clock: Callable[[], float] = time.monotonic
    _bar: Progress | None = field(default=None, init=False)
    _task: TaskID | None = field(default=None, init=False)
    _stage: tuple[str, str] = field(default=("", ""), init=False)
    _last: float = field(default=0.0, init=False)

    def __enter__(self) -> Self:
        if self.stream.isatty():
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(binary_units=True),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(file=self.stream),
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, event: ImageEvent) -> None:
        if event.stage not in _WORDS:
            self._stage = ("", "")
            self._line(self._sentence(event))
        elif self._bar is not None:
            self._draw(self._bar, event)
        else:
            self._print(event)

    def _sentence(self, event: ImageEvent) -> str:
        if event.stage == "wait":
            return f"{event.name}: waiting for another run that downloads it"
        if event.stage == "retry":
            return f"{event.name}: {event.reason}; trying again"
        return f"{event.name}: ready"

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=self.stream, flush=True)

    def _draw(self, bar: Progress, event: ImageEvent) -> None:
        stage = (event.name, event.stage)
        if stage != self._stage or self._task is None:
            if self._task is not None:
                bar.remove_task(self._task)
            self._stage = stage
            self._task = bar.add_task(f"{event.name}: {_WORDS[event.stage]}", total=event.total)
        bar.update(self._task, completed=event.done, total=event.total)

    def _print(self, event: ImageEvent) -> None:
        now, stage = self.clock(), (event.name, event.stage)
        if stage == self._stage and now - self._last < self.interval and event.done != event.total:
            return
        self._stage, self._last = stage, now
        amount = megabytes(event.done)
        if event.total:
            amount += f" of {megabytes(event.total)} ({100 * event.done // event.total} %)"
        speed = f", {megabytes(event.rate)}/s" if event.rate else ""
        self._line(f"{event.name}: {_WORDS[event.stage]}, {amount}{speed}")
