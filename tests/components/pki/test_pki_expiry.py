from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from firestorm.pki import parse_expires, warnings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REMEDY = "raise the cluster's PKI generation to issue all of them anew"


def after(**ends: timedelta) -> dict[str, datetime]:
    return {name: NOW + left for name, left in ends.items()}


@pytest.mark.parametrize(
    ("expiries", "lines"),
    [
        pytest.param({}, [], id="none"),
        pytest.param(after(a=timedelta(days=60)), [], id="60 days"),
        pytest.param(
            after(a=timedelta(days=60) - timedelta(seconds=1)),
            [f"certificate expires on 2026-04-30 (in 60 days): a; {REMEDY}"],
            id="a second less",
        ),
        pytest.param(
            after(b=timedelta(days=30), a=timedelta(days=30), c=timedelta(days=3650)),
            [f"2 certificates expire on 2026-03-31 (in 30 days): a, b; {REMEDY}"],
            id="together",
        ),
        pytest.param(
            after(
                soon=timedelta(days=1), today=timedelta(hours=1), yesterday=-timedelta(days=1), long=-timedelta(days=90)
            ),
            [
                f"certificate expired on 2025-12-01 (90 days ago): long; {REMEDY}",
                f"certificate expired on 2026-02-28 (1 day ago): yesterday; {REMEDY}",
                f"certificate expires today, 2026-03-01: today; {REMEDY}",
                f"certificate expires on 2026-03-02 (in 1 day): soon; {REMEDY}",
            ],
            id="in order",
        ),
    ],
)
def test_warnings(expiries: dict[str, datetime], lines: list[str]) -> None:
    assert warnings(expiries, NOW) == lines


def test_the_days_do_not_depend_on_the_time_zone() -> None:
    east = datetime.fromisoformat("2026-03-02T01:00:00+13:00")  # still 1 March in UTC
    assert warnings(after(a=timedelta(days=1)), east) == warnings(after(a=timedelta(days=1)), NOW)


def test_expires_output_is_read_back() -> None:
    assert parse_expires({"a": "2027-03-01T12:30:15+00:00"}) == {"a": datetime(2027, 3, 1, 12, 30, 15, tzinfo=UTC)}
