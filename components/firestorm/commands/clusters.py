"""`firestorm list|down|extend|hold|gc`: the clusters that `firestorm.clusters` keeps on this host."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from firestorm.clusters import ClusterRecord, Clusters
from firestorm.errors import FirestormError

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_COLUMNS = ("NAME", "STATE", "OWNER", "CREATED", "EXPIRES")


def main(arguments: Sequence[str]) -> int:
    """Run one of them; the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    chosen = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = chosen.run
    try:
        return run(chosen)
    except FirestormError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted: the same command goes on from here")
        return 130


def duration(text: str) -> timedelta:
    """A time such as 90m, 4h or 2d. Raises ArgumentTypeError for another text."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write a number and m, h or d, such as 90m or 4h")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="firestorm", epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.set_defaults(run=run)
        return command

    listed = add("list", _list, "list this user's clusters, with their owners and when they expire")
    listed.add_argument("--output", choices=("table", "json"), default="table", help="how (default: %(default)s)")
    add("down", _down, "end a cluster and all that was made for it").add_argument("name", metavar="NAME")
    extended = add("extend", _extend, "have a cluster expire later, or sooner")
    extended.add_argument("name", metavar="NAME")
    extended.add_argument("ttl", metavar="DURATION", type=duration, help="from now on: 90m, 4h, 2d")
    held = add("hold", _hold, "keep a cluster from expiring")
    held.add_argument("name", metavar="NAME")
    held.add_argument("--off", action="store_true", help="let it expire again")
    collected = add("gc", _gc, "end clusters that are expired or were left by a run that died")
    collected.add_argument("--dry-run", action="store_true", help="only say which")
    return parser


def _list(chosen: argparse.Namespace) -> int:
    clusters = Clusters().list()
    if chosen.output == "json":
        print(json.dumps([_plain(one) for one in clusters], indent=2))
    elif clusters:
        _print_table([_COLUMNS, *map(_row, clusters)])
    else:
        _say("no clusters")
    return 0


def _down(chosen: argparse.Namespace) -> int:
    ended = Clusters().down(chosen.name, progress=_say)
    print("\n".join(f"ended {one}" for one in ended) or f"nothing of {chosen.name} was there")
    return 0


def _extend(chosen: argparse.Namespace) -> int:
    _print_table([_COLUMNS, _row(Clusters().extend(chosen.name, chosen.ttl))])
    return 0


def _hold(chosen: argparse.Namespace) -> int:
    _print_table([_COLUMNS, _row(Clusters().hold(chosen.name, on=not chosen.off))])
    return 0


def _gc(chosen: argparse.Namespace) -> int:
    report = Clusters().gc(dry_run=chosen.dry_run, progress=_say)
    for found in report.found:
        print(f"{'would end' if chosen.dry_run else 'found'} {found.name}: {found.reason}")
    for text in report.removed:
        print(f"ended {text}")
    for text in report.failed:
        _say(f"error: {text}")
    if not (report.found or report.removed or report.failed):
        print("nothing to end")
    return 1 if report.failed else 0


def _plain(record: ClusterRecord) -> dict[str, object]:
    return {
        "name": record.name,
        "id": record.id,
        "state": record.state,
        "owner": record.owner,
        "created": _time(record.created),
        "expires": None if record.expires is None else _time(record.expires),
        "held": record.held,
        "libvirt": record.uri,
    }


def _row(record: ClusterRecord) -> tuple[str, ...]:
    expires = "never" if record.expires is None else _time(record.expires)
    return record.name, record.state, record.owner, _time(record.created), "held" if record.held else expires


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print_table(rows: Iterable[Sequence[str]]) -> None:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
