"""`make bench`, its part about the command line: what help and a list cost beside an interpreter that does nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from firestorm_lab.measure import INTERPRETER, Row, best_run, ms, show

_RUNS = 15
_LIMITS = {("--help",): 3, ("list", "--output", "json"): 8}


def run() -> list[Row]:
    """Measure and print. Raises CalledProcessError when a command fails."""
    program = str(Path(sys.executable).with_name("firestorm"))
    base = best_run(INTERPRETER, _RUNS).seconds
    rows = []
    for words, most in _LIMITS.items():
        seconds = best_run((program, *words), _RUNS).seconds
        name = f"firestorm {words[0]} ÷ python -c pass"
        rows.append(Row(name=name, ours=ms(seconds), theirs=ms(base), ratio=seconds / base, most=most))
    show("the command line, beside an interpreter that does nothing", rows)
    return rows
