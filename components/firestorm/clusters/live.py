"""What a cluster's API says of its nodes now."""

from __future__ import annotations

from collections.abc import Sequence

from firestorm.errors import FirestormError
from firestorm.readiness.api import Cluster


def states(kubeconfig: str, names: Sequence[str]) -> dict[str, str]:
    """A word for each node: Ready, why it is not, that it is not in the cluster, or that the API does not answer."""
    try:
        with Cluster.from_kubeconfig(kubeconfig, timeout=3.0) as api:
            state = api.state()
    except FirestormError as error:
        return dict.fromkeys(names, str(error))
    if not state.ready:
        return dict.fromkeys(names, f"unknown: {state.error}")
    found = {node.name: "Ready" if node.ready else node.reason or "not Ready" for node in state.nodes}
    return {name: found.get(name, "not in the cluster") for name in names}
