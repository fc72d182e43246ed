"""A small cluster of each operating system, with a snippet as users write them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from firestorm import spec
from firestorm.pki import Pki, issue, request_for
from firestorm.spec.model import ClusterSpec
from tests.components.node.node_configs import HEADERS, SNIPPET, MakeCluster


@pytest.fixture
def cluster(tmp_path: Path) -> MakeCluster:
    """Makes clusters called demo of one controller and one worker of `system`; fields go to the document."""
    image = tmp_path / "disk.qcow2"
    image.touch()

    def make(system: str = "debian", **fields: Any) -> ClusterSpec:
        os: dict[str, Any] = {"name": system}
        if system == "debian":
            os["image"] = {"path": str(image)}
        return spec.parse({"name": "demo", "os": os, **fields})

    return make


@pytest.fixture
def with_snippet(cluster: MakeCluster, tmp_path: Path) -> MakeCluster:
    """As `cluster`, with a snippet on both pools that has files, units, a drop-in and a local file."""

    def make(system: str = "debian", **fields: Any) -> ClusterSpec:
        (tmp_path / "greeting").write_text("Hello\n")
        snippet = tmp_path / "team.bu"
        snippet.write_text(SNIPPET.format(**HEADERS[system]))
        pool = {"snippets": [str(snippet)], "labels": {"team": "blue"}}
        return cluster(system, **{"controllers": pool, "workers": [pool], **fields})

    return make


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Real keys for the demo cluster, whose names and addresses are the same on every system."""
    return issue(request_for(spec.parse({"name": "demo"})), None, datetime.now(UTC))
