"""Gathers the evidence of a cluster into a directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from firestorm.evidence.model import Subject
from firestorm.evidence.summary import Summary


def collect(
    subject: Subject, into: Path, *, timeout: float = 60.0, progress: Callable[[str], None] | None = None
) -> Summary:
    """Gather what can be had of `subject` within `timeout` seconds into the directory `into`, which is made, 0700.

    Never raises for what cannot be had: the summary says so. Raises OSError if `into` cannot be written.
    """
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    error = (subject.error or "").strip()
    summary = Summary(
        cluster=subject.name, cause=error.split("\n")[0] or "nothing is known of what failed", error=error
    )
    summary.write(into)
    return summary
