from __future__ import annotations

from datetime import UTC, datetime

import pytest

from firestorm.pki import Pki, PkiNode, PkiRequest, issue

CONTROLLER = PkiNode(name="demo-controller-0", address="10.17.0.10")
WORKER = PkiNode(name="demo-worker-0", address="10.17.1.10")


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime(2026, 3, 1, 12, 30, 15, 999, tzinfo=UTC)


@pytest.fixture(scope="session")
def demo() -> PkiRequest:
    """A cluster of one controller and one worker."""
    return PkiRequest(
        cluster="demo",
        api_names=("demo.firestorm.internal", "kubernetes", "localhost"),
        api_addresses=("10.19.0.1", "127.0.0.1"),
        controllers=(CONTROLLER,),
        nodes=(CONTROLLER, WORKER),
        domain="cluster.local",
        generation=1,
    )


@pytest.fixture(scope="session")
def issued(demo: PkiRequest, now: datetime) -> Pki:
    return issue(demo, None, now)
