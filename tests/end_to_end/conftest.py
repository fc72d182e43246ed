"""One real cluster for the whole end-to-end part: real Pulumi, provider, libvirtd, Ignition and Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from firestorm_lab.development import Development
from tests.end_to_end.running import Running, assert_nothing_left, start


@pytest.fixture(scope="session")
def cluster() -> Iterator[Running]:
    """A running cluster of one controller and one worker."""
    running = start(Development.named("e2e"), {})
    try:
        running.development.up()
        yield running
    finally:
        running.development.down()


@pytest.fixture
def broken() -> Iterator[Development]:
    """A cluster that a test makes fail; nothing may be left of it."""
    development = Development.named("broken")
    try:
        yield development
    finally:
        development.down()
        assert_nothing_left(development)
