"""Calls a command's function, and turns what it raises into an exit status and a line for the user."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from firestorm.commands.output import say
from firestorm.errors import FirestormError

FAILED, INTERRUPTED = 1, 130
NOT_RUNNABLE, NOT_FOUND = 126, 127
"""Of a user's command, as a shell has them."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def run(chosen: argparse.Namespace) -> int:
    """The exit status of the chosen command. A signal that ends a process ends it as an exit does, cleaned up."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
    for number in _ENDING:
        signal.signal(number, _terminate)
    try:
        status = function(chosen.run)(chosen)
        sys.stdout.flush()
    except FirestormError as error:
        say(f"error: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("interrupted: the same command goes on from here")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status


def cannot_run(program: str, error: OSError) -> int:
    """Say why a user's command cannot be run; the exit status."""
    say(f"error: {program} cannot be run: {error.strerror}")
    return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE


def function(name: str) -> Callable[[argparse.Namespace], int]:
    """The function that `module:function` names."""
    module, _, attribute = name.partition(":")
    found: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
    return found


def _terminate(number: int, _frame: FrameType | None) -> None:
    for other in _ENDING:  # another one must not interrupt what this one has begun
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)
