"""Errors that Firestorm raises on purpose.

Every one carries a message that is ready to print: it says where the fault is, what is wrong and what to do.
Anything else that escapes is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class FirestormError(Exception):
    """Root of all deliberate errors; `str(error)` is the complete message for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault of a cluster specification."""

    path: str
    """Field path such as `workers[0].memory`; empty for the document as a whole."""
    text: str
    """What is wrong, without a final full stop."""
    remedy: str = ""
    """What to do about it, without a final full stop; empty if the text already says so."""
    location: str | None = None
    """`file:line:column` (1-based), or the file alone; None if the specification did not come from a file."""

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.location, self.path) if part)
        message = f"{self.text}; {self.remedy}" if self.remedy else self.text
        return f"{where}: {message}" if where else message


class SpecError(FirestormError):
    """A cluster specification has problems; `problems` lists every one, in the order of the document."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        if not self.problems:
            raise ValueError("a SpecError needs at least one problem")
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ReleaseError(FirestormError):
    """The release tables have no entry for what the specification asks for."""


class PkiError(FirestormError):
    """Certificates, keys or kubeconfigs cannot be made or read."""


class RenderError(FirestormError):
    """A node's configuration or a manifest cannot be rendered."""


class ImageError(FirestormError):
    """An operating system image cannot be obtained or fails verification."""


class PlatformError(FirestormError):
    """The virtualization platform cannot do what the specification asks for."""


class ReadinessError(FirestormError):
    """A cluster did not become ready in time, or reports a failure."""


class ClusterError(FirestormError):
    """A cluster cannot be brought up, reached or ended as asked; or there is none of that name."""
