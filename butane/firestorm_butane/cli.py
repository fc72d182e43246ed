"""The commands ``butane`` and ``ignition``: arguments in, exit codes out.

``butane`` takes the options of the reference's command, prints what it prints on standard output and returns its exit
codes: 0, 1 for a config that is not accepted or a file that cannot be opened, 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from .report import Report

STANDARD_INPUT = "-"


class CommandError(Exception):
    """The command cannot go on; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m firestorm_butane butane|ignition ...``: the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["butane"]:
        return butane(given[1:])
    if given[:1] == ["ignition"]:
        return ignition(given[1:])
    usage = "usage: firestorm butane [options] [input-file]\n       firestorm ignition validate|merge|diff|show ..."
    if given[:1] in (["-h"], ["--help"]):
        print(usage)
        return 0
    print(usage, file=sys.stderr)
    return 2


def butane(arguments: Sequence[str]) -> int:
    """Compiles a Butane config to an Ignition config; the exit code."""
    return _run(_compile, _butane_parser("firestorm butane"), arguments)


def ignition(arguments: Sequence[str]) -> int:
    """Validates, merges, compares and shows Ignition configs; the exit code."""
    from . import cli_ignition

    return _run(cli_ignition.run, cli_ignition.parser("firestorm ignition"), arguments)


def _run(
    command: Callable[[argparse.Namespace], int], parser: argparse.ArgumentParser, arguments: Sequence[str]
) -> int:
    try:
        given = parser.parse_args([_spelled_out(argument) for argument in arguments])
    except SystemExit as exc:  # help, version or wrong arguments; all has been said
        return exc.code if isinstance(exc.code, int) else 2
    try:
        code = command(given)
        sys.stdout.flush()
    except CommandError as exc:
        print(exc, file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _spelled_out(argument: str) -> str:
    """An option whose value may be left out takes one only after ``=``, as in the reference."""
    return "--color=always" if argument in ("--color", "--colour") else argument


# -- butane ------------------------------------------------------------------------------------------------------------


def _butane_parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program, description="Compile a Butane config to an Ignition config.", allow_abbrev=False
    )
    parser.add_argument("input", nargs="?", metavar="input-file", help="standard input if there is none")
    parser.add_argument("-c", "--check", action="store_true", help="check the config without producing output")
    add_colour(parser)
    parser.add_argument("-d", "--files-dir", metavar="DIR", help="allow embedding local files from this directory")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of standard output")
    parser.add_argument("-p", "--pretty", action="store_true", help="output formatted JSON")
    parser.add_argument("-r", "--raw", action="store_true", help="never wrap in a MachineConfig")
    parser.add_argument("--raw-errors", action="store_true", help="one line per message, without the source")
    parser.add_argument("-s", "--strict", action="store_true", help="fail on any warning")
    parser.add_argument("-V", "--version", action=_Version, help="show the version")
    return parser


class _Version(argparse.Action):
    """Prints the version and ends: finding it out takes longer than a compilation."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(version_text())
        parser.exit()


def version_text() -> str:
    """What ``--version`` prints."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version("firestorm")
    except PackageNotFoundError:  # run from the tree
        own = "(not installed)"
    return f"Firestorm {own}, at one with Butane 0.29.0 and Ignition 2.27.0"


def _compile(given: argparse.Namespace) -> int:
    from .compiler import translate

    name = given.input or "<stdin>"
    source = read_text(given.input or STANDARD_INPUT)
    result = translate(source, name=name, files_dir=Path(given.files_dir) if given.files_dir else None, raw=given.raw)
    tell(result.report, one_line=given.raw_errors, colour=wants_colour(given, sys.stderr))
    if result.ignition is None:
        return 1
    if given.strict and len(result.report):
        raise CommandError("the config has warnings, and --strict was given")
    if not given.check:
        pretty = given.pretty and result.machine_config is None
        write_text(given.output, (result.pretty_json if pretty else result.output) + "\n")
    return 0


# -- what all commands share -------------------------------------------------------------------------------------------


def add_colour(parser: argparse.ArgumentParser) -> None:
    help_ = 'colour messages: "auto" (on a terminal, unless NO_COLOR is set), "always" or "never"'
    words = ("auto", "always", "yes", "never", "no")
    parser.add_argument("--color", "--colour", dest="colour", metavar="WHEN", default="auto", choices=words, help=help_)


def wants_colour(given: argparse.Namespace, stream: TextIO) -> bool:
    if given.colour == "auto":
        return "NO_COLOR" not in os.environ and stream.isatty()
    return given.colour in ("always", "yes")


def tell(report: Report, *, one_line: bool = False, colour: bool = False, to: TextIO | None = None) -> None:
    """Prints a report to standard error, or elsewhere."""
    if len(report):
        text = "\n".join(map(str, report)) if one_line else report.text(colour=colour)
        print(text, file=to or sys.stderr)


def read_text(path: str) -> str:
    """A file's text, or standard input's. Raises CommandError."""
    try:
        data = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
    except OSError as exc:
        raise CommandError(f"cannot read {path}: {(exc.strerror or str(exc)).lower()}") from exc
    # A byte that is not UTF-8 stays what it is, so that what reads the text can say where it stands.
    return data.decode("utf-8", "surrogateescape")


def write_text(path: str | None, text: str) -> None:
    """Writes to a file, or to standard output. Raises CommandError."""
    if path is None:
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise CommandError(f"cannot write {path}: {(exc.strerror or str(exc)).lower()}") from exc
