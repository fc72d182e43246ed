"""The command `firestorm`: arguments in, exit status out. Each command's module is imported when it is called."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from firestorm.commands import parser

_COMPILER = ("butane", "ignition")
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status, as `--help` has it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in _COMPILER:
        from firestorm_butane import cli

        return cli.main(given)
    given, command = separated(given)
    whole = parser.parser()
    chosen = whole.parse_args(given)
    if chosen.version:
        from firestorm.commands.output import version

        print(f"{parser.PROGRAM} {version()}")
        return 0
    if chosen.command is None:
        whole.print_help(sys.stderr)
        return 2
    from firestorm.commands.run import run

    chosen.argv = command
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
    for number in _ENDING:
        signal.signal(number, _terminate)
    return run(chosen)


def separated(given: list[str]) -> tuple[list[str], list[str]]:
    """The arguments up to `--`, and the user's command after it, of a command that takes one."""
    takes = any(tuple(given[: len(words)]) == words for words in parser.SEPARATED)
    if not takes or "--" not in given:
        return given, []
    at = given.index("--")
    return given[:at], given[at + 1 :]


def _terminate(number: int, _frame: FrameType | None) -> None:
    for other in _ENDING:  # another one must not interrupt what this one has begun
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
