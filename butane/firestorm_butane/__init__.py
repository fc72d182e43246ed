"""Butane to Ignition in pure Python: compile, validate, merge and compare configs; every field knows its source."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers understand it, without the module `typing`
if TYPE_CHECKING:
    from .compare import Change, Diff, FieldChange, diff
    from .compiler import translate
    from .display import show
    from .ignition import ButaneError, IgnitionError, Sourced, merge, merge_sourced, validate
    from .report import Location, Message, Report, Severity
    from .result import Result

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

_HOMES = {
    "compare": ("Change", "Diff", "FieldChange", "diff"),
    "compiler": ("translate",),
    "display": ("show",),
    "ignition": ("ButaneError", "IgnitionError", "Sourced", "merge", "merge_sourced", "validate"),
    "report": ("Location", "Message", "Report", "Severity"),
    "result": ("Result",),
}


def __getattr__(name: str) -> object:
    """Each name is imported when it is first used: whoever only names the package in passing pays for no compiler."""
    import importlib

    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module 'firestorm_butane' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
