"""How commands tell something: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from firestorm.clusters import ClusterRecord

RECORD_COLUMNS = ("NAME", "STATE", "OWNER", "CREATED", "EXPIRES")


def say(line: str) -> None:
    """A line of progress, or an error."""
    print(line, file=sys.stderr, flush=True)


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


def print_table(rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as they need to be; the first row is their heading."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def time(moment: datetime) -> str:
    """RFC 3339, in UTC and whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain_record(record: ClusterRecord) -> dict[str, object]:
    """A record as docs/commands.md describes its JSON."""
    return {
        "name": record.name,
        "id": record.id,
        "state": record.state,
        "owner": record.owner,
        "created": time(record.created),
        "expires": None if record.expires is None else time(record.expires),
        "held": record.held,
        "libvirt": record.uri,
    }


def record_row(record: ClusterRecord) -> tuple[str, ...]:
    expires = "never" if record.expires is None else time(record.expires)
    return record.name, record.state, record.owner, time(record.created), "held" if record.held else expires


def version() -> str:
    """The version that is installed."""
    from importlib import metadata

    return metadata.version("firestorm")
