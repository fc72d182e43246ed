"""Clusters without a Pulumi project of one's own: for one test run, for a day, side by side, and nothing left behind.

    from datetime import timedelta
    from firestorm.clusters import ephemeral_cluster

    with ephemeral_cluster({"workers": [{"name": "worker"}]}, ttl=timedelta(minutes=30)) as cluster:
        cluster.kubectl("apply", "-f", "operator.yaml")

record       whose a cluster is, since when, until when
register     who has what on this host: names, addresses, ports, memory
life         one cluster, from its preparation to its end
garbage      what is expired or was left by a run that died, found and ended
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firestorm.late import late

if TYPE_CHECKING:
    from firestorm.clusters.ephemeral import ephemeral_cluster
    from firestorm.clusters.garbage import Found, GcReport
    from firestorm.clusters.known import Clusters
    from firestorm.clusters.record import ClusterRecord
    from firestorm.clusters.running import NodeInfo, RunningCluster
    from firestorm.clusters.runs import BusyError
    from firestorm.errors import ClusterError

__all__ = [
    "BusyError",
    "ClusterError",
    "ClusterRecord",
    "Clusters",
    "Found",
    "GcReport",
    "NodeInfo",
    "RunningCluster",
    "ephemeral_cluster",
]

_HOMES = {
    "BusyError": "firestorm.clusters.runs",
    "ClusterError": "firestorm.errors",
    "ClusterRecord": "firestorm.clusters.record",
    "Clusters": "firestorm.clusters.known",
    "Found": "firestorm.clusters.garbage",
    "GcReport": "firestorm.clusters.garbage",
    "NodeInfo": "firestorm.clusters.running",
    "RunningCluster": "firestorm.clusters.running",
    "ephemeral_cluster": "firestorm.clusters.ephemeral",
}

# A list of clusters needs none of what makes one.
__getattr__ = late(__name__, _HOMES)
