"""``ignition validate | merge | diff | show``."""

from __future__ import annotations

import argparse
import functools
import sys

from .cli import CommandError, add_colour, read_text, tell, wants_colour, write_text
from .compare import diff
from .display import show
from .ignition import IgnitionError, merge, validate
from .jsonwriter import dump


def parser(program: str) -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog=program,
        description="Work with Ignition configs (JSON, specs 3.0.0 to 3.7.0-experimental); - is standard input.",
        allow_abbrev=False,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="validate|merge|diff|show")

    one = commands.add_parser("validate", help="say what is wrong with a config; exit code 1 if anything is")
    one.add_argument("config")
    one.add_argument("-s", "--strict", action="store_true", help="fail on any warning")
    add_colour(one)

    one = commands.add_parser("merge", help="merge configs in order, as ignition.config.merge does")
    one.add_argument("configs", nargs="+", metavar="config")
    one.add_argument("-p", "--pretty", action="store_true", help="output formatted JSON")
    one.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of standard output")

    one = commands.add_parser("diff", help="compare two configs by meaning; exit code 1 if they differ, 2 on trouble")
    one.add_argument("old")
    one.add_argument("new")
    one.add_argument("--json", action="store_true", help="print the changes as JSON")
    _add_secrets(one)
    add_colour(one)

    one = commands.add_parser("show", help="print a config's files and units decoded, as a tree")
    one.add_argument("config")
    _add_secrets(one)
    return root


def _add_secrets(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--show-secrets", action="store_true", help="show private keys, password hashes and files only root may read"
    )


def run(given: argparse.Namespace) -> int:
    """The chosen command's exit code."""
    return {"validate": _validate, "merge": _merge, "diff": _diff, "show": _show}[given.command](given)


def _validate(given: argparse.Namespace) -> int:
    report = validate(read_text(given.config), name=_name(given.config))
    tell(report, colour=wants_colour(given, sys.stdout), to=sys.stdout)
    return int(not report.ok or (given.strict and len(report) > 0))


def _merge(given: argparse.Namespace) -> int:
    for path in given.configs:
        report = validate(text := read_text(path), name=_name(path))
        tell(report)
        if not report.ok:
            return 1
        given.texts = [*getattr(given, "texts", []), text]
    first, *others = given.texts
    merged = functools.reduce(merge, others, merge(first, _empty(first)))
    report = validate(merged, name="<merged>")
    tell(report)
    write_text(given.output, dump(merged, pretty=given.pretty) + "\n")
    return int(not report.ok)


def _empty(config: str) -> dict[str, object]:
    """The config of the same spec that changes nothing."""
    import json

    return {"ignition": {"version": json.loads(config)["ignition"]["version"]}}


def _diff(given: argparse.Namespace) -> int:
    try:
        changes = diff(read_text(given.old), read_text(given.new), show_secrets=given.show_secrets)
    except IgnitionError as exc:
        tell(exc.report)
        return 2
    except CommandError as exc:
        print(exc, file=sys.stderr)
        return 2
    if given.json:
        print(changes.json())
    elif changes:
        print(changes.text(colour=wants_colour(given, sys.stdout)))
    return int(bool(changes))


def _show(given: argparse.Namespace) -> int:
    try:
        print(show(read_text(given.config), show_secrets=given.show_secrets))
    except IgnitionError as exc:
        tell(exc.report)
        return 1
    return 0


def _name(path: str) -> str:
    return "<stdin>" if path == "-" else path
