"""What the Kubernetes API tells of a cluster, as long as it answers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import httpx2

from firestorm.errors import ReadinessError
from firestorm.evidence.files import Folder
from firestorm.evidence.model import Missing
from firestorm.readiness.api import SYSTEM_NAMESPACES, Cluster
from firestorm.readiness.observation import ApiState

EVENTS = 500
CONTAINERS = 40
"""Containers whose logs are fetched at most: those that do not run first."""
LINES = 500
REQUEST = 10.0
"""Seconds for one request."""
_TIME = "within the time limit"

Objects = list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiEvidence:
    """The API's state as readiness judges it, and what of its words could not be had."""

    state: ApiState
    missing: tuple[Missing, ...] = ()


def collect_api(kubeconfig: Path | None, folder: Folder, *, deadline: float) -> ApiEvidence:
    """Write nodes, pods, events, etcd's health and the logs of containers, by `deadline` (of time.monotonic)."""
    if kubeconfig is None:
        return _nothing("there is no kubeconfig: the cluster never came up")
    try:
        text = kubeconfig.read_text(encoding="utf-8")
        with Cluster.from_kubeconfig(text, timeout=REQUEST) as cluster:
            return _collect(cluster, folder, deadline)
    except (OSError, UnicodeDecodeError) as error:
        return _nothing(f"{kubeconfig} cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}")
    except ReadinessError as error:
        return _nothing(str(error))


def _nothing(why: str) -> ApiEvidence:
    return ApiEvidence(state=ApiState(error=why), missing=(Missing(what="everything that the API tells", why=why),))


def _collect(cluster: Cluster, folder: Folder, deadline: float) -> ApiEvidence:
    state, missing = cluster.state(), list[Missing]()
    while _TIME in state.error and time.monotonic() < deadline - 2 * REQUEST:
        state = cluster.state()  # it is there, and busy: that is when evidence is collected
    reader = _Reader(cluster, deadline, missing)
    health = {path: reader.text(path) for path in ("/readyz?verbose", "/livez?verbose", "/readyz/etcd")}
    folder.write("api.txt", _sections(health))
    folder.write("etcd.txt", _etcd(health))
    if not any(health.values()):
        why = state.error or "no answer"
        return ApiEvidence(state=state, missing=(Missing(what="everything that the API tells", why=why),))
    nodes = reader.items("nodes", "/api/v1/nodes")
    pods = reader.items("pods", "/api/v1/pods")
    events = reader.items("events", f"/api/v1/events?limit={EVENTS}")
    folder.write("nodes.txt", map(_node, nodes))
    folder.write("pods.txt", map(_pod, pods))
    folder.write("events.txt", map(_event, sorted(events, key=_when)))
    for pod, container, previous in _containers(pods)[:CONTAINERS]:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        query = f"container={container}&tailLines={LINES}&limitBytes=1048576&timestamps=true"
        log = reader.text(f"/api/v1/namespaces/{namespace}/pods/{name}/log?{query}&previous={str(previous).lower()}")
        if log is not None:
            folder.write(f"pods/{namespace}_{name}_{container}{'.previous' if previous else ''}.log", [log])
    return ApiEvidence(state=state, missing=tuple(missing))


@dataclass(slots=True)
class _Reader:
    """GET requests until the deadline; the first failure of each kind is noted, no failure raises."""

    cluster: Cluster
    deadline: float
    missing: list[Missing]

    def text(self, path: str) -> str | None:
        """The answer's text, whatever its status; None if there is none."""
        if time.monotonic() >= self.deadline:
            self._note("the rest of what the API tells", "the time was up")
            return None
        try:
            return self.cluster.get(path)
        except httpx2.HTTPError as error:
            self._note(f"GET {path.partition('?')[0]}", str(error) or type(error).__name__)
            return None

    def items(self, what: str, path: str) -> Objects:
        text = self.text(path)
        try:
            return list(json.loads(text)["items"]) if text is not None else []
        except (ValueError, KeyError, TypeError):
            self._note(what, f"the API answers: {(text or '')[:200]}")
            return []

    def _note(self, what: str, why: str) -> None:
        note = Missing(what=what, why=why)
        if note not in self.missing:
            self.missing.append(note)


def _sections(texts: Mapping[str, str | None]) -> Iterator[str]:
    for path, text in texts.items():
        if text is not None:
            yield f"==> {path}\n{text.rstrip()}\n\n"


def _etcd(health: Mapping[str, str | None]) -> Iterator[str]:
    """What the API server says of etcd: its checks of that name, and the single check's answer."""
    for path, text in health.items():
        for line in (text or "").splitlines():
            if "etcd" in line or (path == "/readyz/etcd" and line.strip()):
                yield f"{path}: {line.strip()}\n"


def _node(node: Mapping[str, Any]) -> str:
    status, info = node.get("status", {}), node.get("status", {}).get("nodeInfo", {})
    taints = ", ".join(f"{taint.get('key')}:{taint.get('effect')}" for taint in node.get("spec", {}).get("taints", []))
    lines = [
        f"{node['metadata']['name']}  kubelet {info.get('kubeletVersion')}  {info.get('osImage')}  "
        f"{info.get('containerRuntimeVersion')}  taints: {taints or 'none'}"
    ]
    for condition in status.get("conditions", []):
        head = f"  {condition.get('type')}={condition.get('status')}"
        lines.append(f"{head}  since {condition.get('lastTransitionTime')}  {condition.get('message', '')}".rstrip())
    return "\n".join(lines) + "\n\n"


def _pod(pod: Mapping[str, Any]) -> str:
    metadata, spec, status = pod["metadata"], pod.get("spec", {}), pod.get("status", {})
    lines = [
        f"{metadata['namespace']}/{metadata['name']}  {status.get('phase')}  node {spec.get('nodeName') or 'none'}"
        f"  {status.get('reason', '')} {status.get('message', '')}".rstrip()
    ]
    lines += [
        f"  {condition.get('type')}={condition.get('status')}  {condition.get('message')}"
        for condition in status.get("conditions", [])
        if condition.get("status") != "True" and condition.get("message")
    ]
    for container in _statuses(pod):
        restarts = container.get("restartCount", 0)
        lines.append(f"  {container.get('name')}  {container.get('image')}  restarts {restarts}")
        for title, found in (("now", container.get("state", {})), ("before", container.get("lastState", {}))):
            lines += [f"    {title}: {kind}  {_flat(detail)}".rstrip() for kind, detail in found.items()]
    return "\n".join(lines) + "\n"


def _event(event: Mapping[str, Any]) -> str:
    about = event.get("involvedObject", {})
    where = "/".join(part for part in (about.get("namespace"), about.get("name")) if part)
    head = f"{_when(event)}  {event.get('type')}  {event.get('reason')}  {about.get('kind')} {where}"
    return f"{head}  x{event.get('count') or 1}  {event.get('message', '')}".rstrip() + "\n"


def _when(event: Mapping[str, Any]) -> str:
    times = (event.get("lastTimestamp"), event.get("eventTime"), event.get("metadata", {}).get("creationTimestamp"))
    return str(next((time for time in times if time), ""))


def _flat(detail: Mapping[str, Any]) -> str:
    return "  ".join(f"{key} {value}" for key, value in detail.items() if key != "containerID")


def _statuses(pod: Mapping[str, Any]) -> Objects:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _containers(pods: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str, bool]]:
    """(pod, container, whether the run before the present one is meant), those that fail before those that run.

    Of pods that run well, the system's alone count.
    """
    found: list[tuple[int, Mapping[str, Any], str, bool]] = []
    for pod in pods:
        for container in _statuses(pod):
            name, restarted = str(container.get("name")), bool(container.get("restartCount"))
            well = bool(container.get("ready")) or container.get("state", {}).get("terminated", {}).get("exitCode") == 0
            if restarted:
                found.append((0 if not well else 2, pod, name, True))
            if not well or restarted or pod["metadata"]["namespace"] in SYSTEM_NAMESPACES:
                found.append((1 if not well else 3, pod, name, False))
    return [(pod, name, previous) for _, pod, name, previous in sorted(found, key=itemgetter(0))]
