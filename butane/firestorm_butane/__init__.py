"""Butane to Ignition in pure Python: compile, validate, merge and compare configs; every field knows its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .compiler import translate
from .ignition import ButaneError, IgnitionError, Sourced, merge, merge_sourced, validate
from .report import Location, Message, Report, Severity
from .result import Result

if TYPE_CHECKING:
    from .compare import Change, Diff, FieldChange, diff
    from .display import show

__all__ = [
    "ButaneError",
    "Change",
    "Diff",
    "FieldChange",
    "IgnitionError",
    "Location",
    "Message",
    "Report",
    "Result",
    "Severity",
    "Sourced",
    "diff",
    "merge",
    "merge_sourced",
    "show",
    "translate",
    "validate",
]

_HOMES = {"Change": "compare", "Diff": "compare", "FieldChange": "compare", "diff": "compare", "show": "display"}


def __getattr__(name: str) -> Any:
    """What a compilation does not need is imported when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'firestorm_butane' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
