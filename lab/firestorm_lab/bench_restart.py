"""`make bench`, its part about what is not a deployer's to save: a cluster's own machines, switched on again.

They boot from their disks and start what their nodes and system pods consist of, until all is Ready. Nothing is
created, fetched, unpacked or issued for that, Ignition does not run, and no node joins.
"""

from __future__ import annotations

import json
import time

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


def run(development: Development) -> float:
    """Seconds from switching the machines of a cluster that is up on again, until all that ran before is Ready.

    Raises LabError when it is not Ready, or they do not come back.
    """
    cluster, found = RunningCluster.of(development), development.record
    assert found is not None
    virsh, machines = Virsh(uri=found.uri), [node.name for node in cluster.nodes]
    with Cluster.from_kubeconfig(cluster.kubeconfig.read_text()) as api:
        before = _running(api)
        if before is None:
            raise LabError(f"the cluster {cluster.name} is not Ready")
        say("restart: the machines are switched off, and on again")
        time.sleep(_SETTLED)
        checkpoints.switch_off(virsh, machines)
        start = time.monotonic()
        for machine in machines:
            virsh.run("start", "--domain", machine)
        # As much is ready as was before, and nothing of it is from before.
        while (now := _running(api)) is None or len(now) != len(before) or not now.isdisjoint(before):
            if time.monotonic() - start >= _READY:
                raise LabError(f"the cluster did not come back within {_READY:g} s")
            time.sleep(_INTERVAL)
        return time.monotonic() - start


def _running(api: Cluster) -> frozenset[str] | None:
    """The IDs of the nodes' boots and of the system pods' containers; None unless the API answers and all is ready."""
    paths = ("nodes", *(f"namespaces/{namespace}/pods" for namespace in SYSTEM_NAMESPACES))
    try:
        items = [item for path in paths for item in json.loads(api.get(f"/api/v1/{path}"))["items"]]
    except (httpx2.HTTPError, ValueError, KeyError):  # no answer, or a starting server's refusal
        return None
    found: set[str] = set()
    for item in items:
        status = item["status"]
        if ("Ready", "True") not in {(each["type"], each["status"]) for each in status.get("conditions", ())}:
            return None
        if "nodeInfo" in status:
            found.add(status["nodeInfo"]["bootID"])
        found.update(container.get("containerID", "") for container in status.get("containerStatuses", ()))
    return frozenset(found)
