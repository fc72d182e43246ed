"""One thing that went wrong, and the message that tells of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A fault seen on a console or through the API.

    `certain` means that waiting cannot mend it. `rank` orders failures of one node: the reason of a failure outranks
    its consequence. `settle` is how many seconds a certain failure waits for one that outranks it.
    """

    step: str
    cause: str
    remedy: str = ""
    certain: bool = False
    rank: int = 0
    settle: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A failure of one node (or of `subject`, such as a pod), with the console lines that matter."""

    subject: str
    failure: Failure
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.subject}: {self.failure.cause}", f"  step:   {self.failure.step}"]
        if self.failure.remedy:
            parts.append(f"  remedy: {self.failure.remedy}")
        if self.lines:
            parts.append("  console (last lines that matter):")
            parts += [f"    {line}" for line in self.lines]
        return "\n".join(parts)


def message(reports: Iterable[Report]) -> str:
    """The whole message for the user: one block a report."""
    return "\n\n".join(str(report) for report in reports)
