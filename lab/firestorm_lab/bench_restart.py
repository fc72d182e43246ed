"""`make bench`, its part about what is not a deployer's to save: a cluster's own machines, switched on again.

They boot from their disks and start what their nodes and system pods consist of, until all is Ready. Nothing is
created, fetched, unpacked or issued for that, Ignition does not run, and no node joins.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import httpx2

from firestorm.clusters.running import RunningCluster
from firestorm.platforms.libvirt import checkpoints
from firestorm.platforms.libvirt.virsh import Virsh
from firestorm.readiness.api import SYSTEM_NAMESPACES, Cluster
from firestorm_lab.development import Development
from firestorm_lab.errors import LabError
from firestorm_lab.progress import say

_SETTLED = 35.0  # seconds after which Linux has written what was changed: vm.dirty_expire_centisecs and its interval
_READY = 900.0
_INTERVAL = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """What runs: the IDs of the nodes' boots and of the system pods' containers, and whether all of it is ready."""

    boots: frozenset[str]
    containers: frozenset[str]
    ready: bool


def run(development: Development) -> float:
    """Seconds from switching the machines of a cluster that is up on again, until all that ran before is Ready.

    Raises LabError when they do not come back.
    """
    cluster, found = RunningCluster.of(development), development.record
    assert found is not None
    virsh, machines = Virsh(uri=found.uri), [node.name for node in cluster.nodes]
    with Cluster.from_kubeconfig(cluster.kubeconfig.read_text()) as api:
        before = _running(api)
        say("restart: the machines are switched off, and on again")
        time.sleep(_SETTLED)
        checkpoints.switch_off(virsh, machines)
        start = time.monotonic()
        for machine in machines:
            virsh.run("start", "--domain", machine)
        while not _back(api, before):
            if time.monotonic() - start >= _READY:
                raise LabError(f"the cluster did not come back within {_READY:g} s")
            time.sleep(_INTERVAL)
        return time.monotonic() - start


def _running(api: Cluster) -> _Running:
    nodes = json.loads(api.get("/api/v1/nodes"))["items"]
    pods = [
        pod
        for namespace in SYSTEM_NAMESPACES
        for pod in json.loads(api.get(f"/api/v1/namespaces/{namespace}/pods"))["items"]
    ]
    conditions = [
        {condition["type"]: condition["status"] for condition in item["status"].get("conditions", ())}
        for item in (*nodes, *pods)
    ]
    return _Running(
        boots=frozenset(node["status"]["nodeInfo"]["bootID"] for node in nodes),
        containers=frozenset(
            status.get("containerID", "") for pod in pods for status in pod["status"].get("containerStatuses", ())
        ),
        ready=all(condition.get("Ready") == "True" for condition in conditions),
    )


def _back(api: Cluster, before: _Running) -> bool:
    """Whether as much is ready as was before, and nothing of it from before."""
    try:
        now = _running(api)
    except (httpx2.HTTPError, ValueError, KeyError):  # no answer, or a starting server's refusal
        return False
    return (
        now.ready
        and (len(now.boots), len(now.containers)) == (len(before.boots), len(before.containers))
        and not now.boots & before.boots
        and not now.containers & before.containers
    )
