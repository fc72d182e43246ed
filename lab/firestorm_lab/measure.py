"""Measuring side by side: rows of two numbers and their ratio, with the most that it may be."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

INTERPRETER = (sys.executable, "-c", "pass")
# A new process begins with the peak of the one that starts it, so one that holds nothing has to.
_LAUNCHER = (
    sys.executable,
    "-S",
    "-c",
    "import resource, subprocess, sys, time; start = time.perf_counter(); "
    "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
    "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A ratio of two numbers of one kind and the most that it may be; no ratio for a number alone."""

    name: str
    ours: str
    theirs: str = ""
    ratio: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a program: seconds, and its peak memory in MiB."""

    seconds: float
    memory: float


def limited(name: str, seconds: float, most: float) -> Row:
    """A number that has a limit of its own, in seconds."""
    return Row(name=name, ours=ms(seconds), theirs=ms(most), ratio=seconds / most, most=1)


def best(action: Callable[[], object], times: int) -> float:
    """The seconds of the quickest of so many calls."""
    """The seconds of the quickest of so many runs."""
    return min(seconds(action) for _ in range(times))


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def best_run(command: tuple[str, ...], times: int) -> Run:
    """The quickest of so many runs of a program."""
    return min((run(command) for _ in range(times)), key=lambda one: one.seconds)


def run(command: tuple[str, ...]) -> Run:
    """One run of a program. Raises CalledProcessError when it fails."""
    said = subprocess.run((*_LAUNCHER, *command), check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, memory = map(float, said.split())
    return Run(seconds=seconds, memory=memory / 1024)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def mib(memory: float) -> str:
    return f"{memory:.0f} MiB"


def show(title: str, rows: Sequence[Row]) -> None:
    """Print the rows as a table."""
    table = Table("what", "first", "second", "ratio", "at most")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(row.name, row.ours, row.theirs, ratio, "" if row.most is None else f"{row.most:g}")
    console = Console()
    console.print(title)
    console.print(table)
