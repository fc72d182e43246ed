"""What a user's command finds in its environment when it runs on a cluster."""

from __future__ import annotations

import os

from firestorm.clusters.running import RunningCluster

CLUSTER = "FIRESTORM_CLUSTER"
"""Environment variable: the name of the cluster that a command runs on. The pytest plugin uses that one."""


ARTIFACTS = "FIRESTORM_ARTIFACTS"
"""Environment variable: where evidence of failed tests goes, unless the pytest plugin is told otherwise."""


def environment_of(cluster: RunningCluster) -> dict[str, str]:
    """This process's environment, with KUBECONFIG and FIRESTORM_CLUSTER."""
    return {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), CLUSTER: cluster.name}
