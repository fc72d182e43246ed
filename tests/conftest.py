"""How tests are spread over processes: file by file, but for those that look at what the whole host has."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.scheduler.protocol import Scheduling

_HOST = "tests/components/platforms/"


class _Spread(LoadFileScheduling):
    """xdist's own groups (`--dist loadgroup`) are none with pytest 9.2: each test of them goes where it likes."""

    def _split_scope(self, nodeid: str) -> str:
        return _HOST if nodeid.startswith(_HOST) else super()._split_scope(nodeid)


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return _Spread(config, log) if config.getvalue("dist") == "loadfile" else None
