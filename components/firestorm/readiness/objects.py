"""Kubernetes objects reduced to what readiness looks at."""

from __future__ import annotations

from typing import Any

from lightkube.resources.apps_v1 import DaemonSet, Deployment
from lightkube.resources.core_v1 import Node, Pod

from firestorm.readiness.observation import NodeStatus, PodStatus, Trouble, Workload


def node_status(node: Node) -> NodeStatus:
    status, info = node.status, node.status.nodeInfo if node.status else None
    conditions = (status.conditions if status else None) or []
    ready = next((condition for condition in conditions if condition.type == "Ready"), None)
    addresses = (status.addresses if status else None) or []
    return NodeStatus(
        name=(node.metadata.name if node.metadata else None) or "",
        ready=ready is not None and ready.status == "True",
        uuid=(info.systemUUID if info else "").lower(),
        reason=(ready.message or ready.reason or "") if ready and ready.status != "True" else "",
        pressures=tuple(c.type for c in conditions if c.type.endswith("Pressure") and c.status == "True"),
        address=next((entry.address for entry in addresses if entry.type == "InternalIP"), ""),
        version=info.kubeletVersion if info else "",
        os_image=info.osImage if info else "",
        kernel=info.kernelVersion if info else "",
        runtime=info.containerRuntimeVersion if info else "",
    )


def is_finished(pod: Pod) -> bool:
    deleted = pod.metadata is not None and pod.metadata.deletionTimestamp is not None
    return deleted or (pod.status is not None and pod.status.phase == "Succeeded")


def pod_status(pod: Pod) -> PodStatus:
    metadata, status = pod.metadata, pod.status
    conditions = {condition.type: condition for condition in (status.conditions if status else None) or []}
    ready, scheduled = conditions.get("Ready"), conditions.get("PodScheduled")
    containers = [
        *((status.initContainerStatuses if status else None) or []),
        *((status.containerStatuses if status else None) or []),
    ]
    message = (status.message if status else None) or ""
    if scheduled is not None and scheduled.status != "True":
        message = scheduled.message or scheduled.reason or ""
    elif not message and ready is not None:
        message = ready.message or ""
    return PodStatus(
        namespace=(metadata.namespace if metadata else None) or "",
        name=(metadata.name if metadata else None) or "",
        node=(pod.spec.nodeName if pod.spec else None) or "",
        ready=ready is not None and ready.status == "True",
        phase=(status.phase if status else None) or "",
        message=message,
        troubles=tuple(
            Trouble(
                container=container.name,
                reason=container.state.waiting.reason or "",
                message=_trouble_message(container),
                restarts=container.restartCount,
            )
            for container in containers
            if container.state and container.state.waiting and _is_trouble(container.state.waiting.reason)
        ),
    )


def _is_trouble(reason: str | None) -> bool:
    return bool(reason) and reason not in ("ContainerCreating", "PodInitializing")


def _trouble_message(container: Any) -> str:
    """The waiting state's message; of a container that crashes, how it ended last, for the message tells nothing."""
    waiting = container.state.waiting
    ended = container.lastState.terminated if container.lastState else None
    if waiting.reason == "CrashLoopBackOff" and ended is not None:
        text = (ended.message or "").strip().splitlines()
        return f"it ended with code {ended.exitCode} ({ended.reason or 'Error'})" + (f": {text[-1]}" if text else "")
    return waiting.message or ""


def daemon_set(item: DaemonSet) -> Workload:
    metadata, status = item.metadata, item.status
    observed = bool(status and metadata and (status.observedGeneration or 0) >= (metadata.generation or 0))
    return Workload(
        kind="DaemonSet",
        namespace=(metadata.namespace if metadata else None) or "",
        name=(metadata.name if metadata else None) or "",
        desired=status.desiredNumberScheduled if status else 0,
        ready=min(status.numberReady, status.updatedNumberScheduled or 0) if status else 0,
        observed=observed,
    )


def deployment(item: Deployment) -> Workload:
    metadata, status, spec = item.metadata, item.status, item.spec
    desired = spec.replicas if spec is not None and spec.replicas is not None else 1
    observed = bool(status and metadata and (status.observedGeneration or 0) >= (metadata.generation or 0))
    return Workload(
        kind="Deployment",
        namespace=(metadata.namespace if metadata else None) or "",
        name=(metadata.name if metadata else None) or "",
        desired=desired,
        ready=min(status.readyReplicas or 0, status.updatedReplicas or 0) if status else 0,
        observed=observed,
    )
