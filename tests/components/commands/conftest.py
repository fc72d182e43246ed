"""The command line on clusters whose Pulumi is a program of the tests'."""

from __future__ import annotations

import json

import pytest

from tests.components.clusters.conftest import home
from tests.components.clusters.standing_in import OUTPUTS

__all__ = ["home"]


@pytest.fixture
def outputs(home: object, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the stack says of a cluster that came up; its kubeconfig leads nowhere."""
    kubeconfig = {
        "apiVersion": "v1",
        "clusters": [{"name": "dev", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "dev-admin", "user": {"token": "t"}}],
        "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "dev-admin"}}],
        "current-context": "dev",
    }
    made: dict[str, object] = {**OUTPUTS, "kubeconfig": json.dumps(kubeconfig)}
    monkeypatch.setenv("OUTPUTS", json.dumps(made))
    return made
