"""What a person sees of a download."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from firestorm.images import ImageEvent
from firestorm.images.console import ConsoleProgress
from firestorm.images.meter import Meter

MIB = 1 << 20


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def seconds() -> Iterator[float]:
    return iter(float(second) for second in range(1000))


def test_plain_lines(seconds: Iterator[float]) -> None:
    """A line at the beginning, every ten seconds and at the end of a stage."""
    out = io.StringIO()
    with ConsoleProgress(stream=out, clock=seconds.__next__) as progress:
        progress(ImageEvent(stage="wait", name="x"))
        for done in range(26):
            progress(ImageEvent(stage="download", name="x", done=done * MIB, total=25 * MIB, rate=MIB if done else 0))
        progress(ImageEvent(stage="retry", name="x", reason="the connection broke off"))
        for done in range(12):
            progress(ImageEvent(stage="unpack", name="x", done=done << 28, rate=1 << 28))
        progress(ImageEvent(stage="done", name="x"))
    assert out.getvalue().splitlines() == [
        "x: waiting for another run that downloads it",
        "x: downloading, 0.0 MiB of 25.0 MiB (0 %)",
        "x: downloading, 10.0 MiB of 25.0 MiB (40 %), 1.0 MiB/s",
        "x: downloading, 20.0 MiB of 25.0 MiB (80 %), 1.0 MiB/s",
        "x: downloading, 25.0 MiB of 25.0 MiB (100 %), 1.0 MiB/s",
        "x: the connection broke off; trying again",
        "x: unpacking, 0.0 MiB, 256.0 MiB/s",
        "x: unpacking, 2.5 GiB, 256.0 MiB/s",
        "x: ready",
    ]


def test_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    out = Terminal()
    with ConsoleProgress(stream=out) as progress:
        progress(ImageEvent(stage="download", name="[x]", done=MIB, total=4 * MIB, rate=MIB))
        progress(ImageEvent(stage="verify", name="[x]", done=4 * MIB, total=4 * MIB))
        progress(ImageEvent(stage="retry", name="[x]", reason="the server answers 503"))
        progress(ImageEvent(stage="done", name="[x]"))
    text = out.getvalue()
    assert "[x]: verifying" in text
    assert "4.0/4.0 MiB" in text
    assert "[x]: the server answers 503; trying again\n" in text
    assert "[x]: ready\n" in text


def test_meter_reports_ten_times_a_second_and_every_end() -> None:
    events: list[ImageEvent] = []
    clock = iter(index / 32 for index in range(1000))
    meter = Meter(name="x", progress=events.append, clock=clock.__next__)
    for done in range(0, 101, 5):
        meter.count("download", done, 100)
    meter.count("verify", 3, 100)
    meter.say("done")
    assert [(event.stage, event.done, round(event.rate)) for event in events] == [
        ("download", 0, 0),
        ("download", 20, 160),
        ("download", 40, 160),
        ("download", 60, 160),
        ("download", 80, 160),
        ("download", 100, 160),
        ("verify", 3, 0),
        ("done", 0, 0),
    ]
