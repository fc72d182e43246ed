"""The command `firestorm`: arguments in, exit status out. Each command's module is imported when it is called."""

from __future__ import annotations

import sys

from firestorm.commands import parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_COMPILER = ("butane", "ignition")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status, as `--help` has it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in _COMPILER:
        from firestorm_butane import cli

        return cli.main(given)
    given, command = separated(given)
    whole = parser.parser(only=given[0] if given else "")
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
    return run(chosen)


def separated(given: list[str]) -> tuple[list[str], list[str]]:
    """The arguments up to `--`, and the user's command after it, of a command that takes one."""
    takes = any(tuple(given[: len(words)]) == words for words in parser.SEPARATED)
    if not takes or "--" not in given:
        return given, []
    at = given.index("--")
    return given[:at], given[at + 1 :]


if __name__ == "__main__":
    sys.exit(main())
