"""What a person has to know about certificates that end soon."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

WARN_BEFORE = timedelta(days=60)


def parse_expires(expires: Mapping[str, str]) -> dict[str, datetime]:
    """The `expires` output of the PKI resource, as datetimes."""
    return {name: datetime.fromisoformat(text) for name, text in expires.items()}


def warnings(expiries: Mapping[str, datetime], now: datetime) -> list[str]:
    """A line per day on which certificates end, for those with less than 60 days left; the earliest first."""
    soon: dict[date, list[str]] = {}
    for name, end in expiries.items():
        if end - now < WARN_BEFORE:
            soon.setdefault(end.astimezone(UTC).date(), []).append(name)
    return [_line(day, sorted(soon[day]), now) for day in sorted(soon)]


def _line(day: date, names: list[str], now: datetime) -> str:
    days = (day - now.astimezone(UTC).date()).days
    what = "certificate" if len(names) == 1 else f"{len(names)} certificates"
    if days < 0:
        when = f"expired on {day} ({-days} {_plural(-days)} ago)"
    elif days == 0:
        when = f"{_verb(names)} today, {day}"
    else:
        when = f"{_verb(names)} on {day} (in {days} {_plural(days)})"
    remedy = "raise the cluster's PKI generation to issue all of them anew"
    return f"{what} {when}: {', '.join(names)}; {remedy}"


def _plural(days: int) -> str:
    return "day" if days == 1 else "days"


def _verb(names: list[str]) -> str:
    return "expires" if len(names) == 1 else "expire"
