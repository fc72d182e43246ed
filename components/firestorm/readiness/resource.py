"""`ClusterReadiness`: the resource whose creation ends when the cluster is up, and fails with the reason why not."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from firestorm import provider
from firestorm.errors import ReadinessError
from firestorm.provider import Call, EngineLog, Provider
from firestorm.readiness.asking import Asker
from firestorm.readiness.console import ConsoleState
from firestorm.readiness.failure import Failure
from firestorm.readiness.loop import Consoles, run
from firestorm.readiness.observation import ApiState, Member, Observation
from firestorm.readiness.watch import Limits, Watch

if TYPE_CHECKING:
    from firestorm.readiness.api import Cluster

PROGRESS_FILE = "FIRESTORM_PROGRESS"
"""Environment variable: a file to which each step is appended as a line, for those who do not see Pulumi's display."""

Properties = Mapping[str, Any]


class MemberArgs(TypedDict):
    """A machine as the resource gets it; see `firestorm.readiness.observation.Member`."""

    name: str
    role: str
    identity: str
    uuid: pulumi.Input[str]
    console: str | None
    journal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterReadinessArgs:
    """`kubeconfig`: the admin's, text. `manifests`: a JSON list of objects, applied in order. `timeout` in seconds.

    `nodes` must depend on the machines, so that the wait begins when they have been started.
    """

    kubeconfig: pulumi.Input[str]
    manifests: pulumi.Input[str]
    nodes: pulumi.Input[Sequence[pulumi.Input[MemberArgs]]]
    timeout: pulumi.Input[float] = 1800.0


class ClusterReadiness(Resource, module="firestorm", name="ClusterReadiness"):
    """A cluster that is up. Created or updated, it waits for API, nodes and system pods; deleted, it does nothing."""

    node_table: pulumi.Output[list[dict[str, str]]]
    """Per node: name, role, address, version, os_image, kernel, runtime."""
    api_version: pulumi.Output[str]
    seconds: pulumi.Output[dict[str, float]]
    """How long after the wait began each phase was complete: booted, ignition, api, nodes, pods."""

    def __init__(self, name: str, args: ClusterReadinessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties: dict[str, Any] = {
            "kubeconfig": pulumi.Output.secret(args.kubeconfig),
            "manifests": pulumi.Output.secret(args.manifests),
            "nodes": args.nodes,
            "timeout": args.timeout,
            "node_table": None,
            "api_version": None,
            "seconds": None,
            "applied": None,
        }
        super().__init__(ReadinessProvider(), name, properties, opts)


class ReadinessProvider(Provider):
    """The thin shell: properties in, `wait_for_cluster`, properties out."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=is_changed(olds, news))

    def create(self, props: dict[str, Any]) -> CreateResult:
        outputs = wait_for_cluster(props, gone=())
        return CreateResult(id_=hashlib.sha256(json.dumps(outputs["applied"]).encode()).hexdigest()[:12], outs=outputs)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(outs=wait_for_cluster(news, gone=gone_nodes(olds, news)))


def fingerprint(props: Properties) -> dict[str, Any]:
    """What an update is decided by: hashes of the secrets, and each node's identity and machine.

    The bootstrap token's expiry is left out of the manifests: it moves with every program run, and only counts from
    when it is applied.
    """
    manifests = [_without_expiry(manifest) for manifest in json.loads(props["manifests"])]
    return {
        "kubeconfig": _digest(props["kubeconfig"]),
        "manifests": _digest(json.dumps(manifests, sort_keys=True)),
        "nodes": {node["name"]: [node["role"], node["identity"], str(node["uuid"]).lower()] for node in props["nodes"]},
    }


def is_changed(olds: Properties, news: Properties) -> bool:
    """Whether an update is due; anything not yet known counts as a change."""
    try:
        return bool(olds.get("applied") != fingerprint(news))
    except (KeyError, TypeError, ValueError):
        return True


def gone_nodes(olds: Properties, news: Properties) -> tuple[str, ...]:
    """Names whose machine the last update knew and this one does not: removed, or replaced by another worker."""
    now = {node["name"]: (node["role"], str(node["uuid"]).lower()) for node in news["nodes"]}
    before = (olds.get("applied") or {}).get("nodes", {})
    return tuple(
        name
        for name, (role, _, uuid) in before.items()
        if name not in now or (role == "worker" and now[name] != (role, uuid))
    )


def members_of(props: Properties) -> tuple[Member, ...]:
    return tuple(
        Member(
            name=node["name"],
            role="controller" if node["role"] == "controller" else "worker",
            identity=node["identity"],
            uuid=str(node.get("uuid") or ""),
            console=node.get("console"),
            journal=node.get("journal"),
        )
        for node in props["nodes"]
    )


def wait_for_cluster(props: Properties, gone: Sequence[str]) -> dict[str, Any]:
    """Waits until the cluster is up; the resource's outputs. Raises ReadinessError with the complete message."""
    from firestorm.readiness.api import Cluster

    members = members_of(props)
    call = Call.current()
    say = _announcer(call)
    with Cluster.from_kubeconfig(props["kubeconfig"]) as cluster, contextlib.closing(Consoles.of(members)) as consoles:
        world = LiveWorld(cluster, consoles, Asker(members), json.loads(props["manifests"]), call, say)
        watch = Watch(members, world.now(), Limits(timeout=float(props.get("timeout") or 1800)))
        if gone and cluster.becomes_ready(wait=world.pause):
            # Before a new machine registers under an old name: a kubelet takes the labels, taints and pod addresses of
            # a Node that exists, and pods that it has never run it can only stop, over and over.
            cluster.delete_nodes(gone, world.pause)
            cluster.delete_pods_of(gone, world.pause)
        state = run(watch, world, say)
        controllers = [member.name for member in members if member.role == "controller"]
        cluster.label_control_plane(controllers, world.pause)
        version = cluster.version()
    return {
        "node_table": _table(members, state),
        "api_version": version,
        "seconds": dict(watch.seconds),
        "applied": fingerprint(props),
    }


@dataclass(slots=True)
class LiveWorld:
    """The real world for `firestorm.readiness.loop.run`."""

    cluster: Cluster
    files: Consoles
    asker: Asker
    manifests: list[dict[str, Any]]
    call: Call | None
    say: Callable[[str], None]
    cancelled: threading.Event = field(default_factory=lambda: provider.CANCELLED)
    _told: set[str] = field(default_factory=set[str])

    def now(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> bool:
        self.cancelled.wait(seconds)
        # SIGINT ends the provider's main thread, but not those that serve; the engine's death ends the request alone.
        over = self.cancelled.is_set() or not threading.main_thread().is_alive()
        return not (over or (self.call is not None and self.call.ended.is_set()))

    def consoles(self) -> Mapping[str, ConsoleState]:
        states = self.files.read()
        for name, problem in self.files.problems().items():
            if problem not in self._told:
                self._told.add(problem)
                self.say(f"{name}: no console to read: {problem}")
        return states

    def api(self) -> ApiState:
        return self.cluster.state()

    def told(self, seen: Observation) -> Mapping[str, tuple[Failure, ...]]:
        return self.asker.look(seen)

    def apply(self) -> None:
        self.cluster.apply(self.manifests, wait=self.pause)


def _announcer(call: Call | None) -> Callable[[str], None]:
    log, start, target = EngineLog(call), time.monotonic(), os.environ.get(PROGRESS_FILE)

    def say(text: str) -> None:
        log.status(text)
        if target:
            try:
                with Path(target).open("a", encoding="utf-8") as file:
                    file.write(f"{time.monotonic() - start:7.1f} s  {text}\n")
            except OSError as error:
                raise ReadinessError(f"{PROGRESS_FILE}: {target} cannot be written: {error.strerror}") from error

    return say


def _table(members: Sequence[Member], state: ApiState) -> list[dict[str, str]]:
    nodes = {node.name: node for node in state.nodes}
    return [
        {
            "name": member.name,
            "role": member.role,
            "address": nodes[member.name].address,
            "version": nodes[member.name].version,
            "os_image": nodes[member.name].os_image,
            "kernel": nodes[member.name].kernel,
            "runtime": nodes[member.name].runtime,
        }
        for member in members
    ]


def _without_expiry(manifest: dict[str, Any]) -> dict[str, Any]:
    if manifest.get("kind") != "Secret" or manifest.get("type") != "bootstrap.kubernetes.io/token":
        return manifest
    plain = dict(manifest)
    for place in ("data", "stringData"):
        if isinstance(plain.get(place), dict):
            plain[place] = {key: value for key, value in plain[place].items() if key != "expiration"}
    return plain


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
