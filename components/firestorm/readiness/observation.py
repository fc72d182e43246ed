"""What readiness sees of a cluster: plain data, made by `firestorm.readiness.loop` and `api`, judged by `watch`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from firestorm.readiness.console import ConsoleState, Stage
from firestorm.readiness.failure import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A machine of the cluster: its node name, and the UUID that its firmware tells the kubelet (lower or upper case).

    `console` is the path of its serial console's log on this host, `journal` that of its journal port (see
    `firestorm.readiness.port`); None where there is none.
    """

    name: str
    role: Literal["controller", "worker"]
    identity: str = ""
    uuid: str = ""
    console: str | None = None
    journal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A Node object of the API, as far as readiness needs it."""

    name: str
    ready: bool
    uuid: str = ""
    reason: str = ""
    """The Ready condition's message while it is not true."""
    pressures: tuple[str, ...] = ()
    """What the node is short of: DiskPressure, MemoryPressure, PIDPressure."""
    address: str = ""
    version: str = ""
    os_image: str = ""
    kernel: str = ""
    runtime: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a container does not run: the reason and message of its waiting state, and its restarts."""

    container: str
    reason: str
    message: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStatus:
    namespace: str
    name: str
    node: str = ""
    ready: bool = False
    phase: str = ""
    message: str = ""
    """Why it is not scheduled, or its status' message."""
    troubles: tuple[Trouble, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A DaemonSet or Deployment of a system namespace; `observed` once its controller has seen its newest version."""

    kind: str
    namespace: str
    name: str
    desired: int
    ready: int
    observed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiState:
    """The API at one moment. `error` says why it is not ready; `refused` that it answered but would not serve us."""

    ready: bool = False
    error: str = ""
    refused: bool = False
    applied: bool = False
    """Whether this watch has applied its manifests."""
    nodes: tuple[NodeStatus, ...] = ()
    pods: tuple[PodStatus, ...] = ()
    workloads: tuple[Workload, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything seen at `at` (seconds of a clock that never goes back).

    `told` is what nodes that were asked said of themselves, by name, the failure that explains most first.
    """

    at: float
    consoles: Mapping[str, ConsoleState]
    api: ApiState = ApiState()
    told: Mapping[str, tuple[Failure, ...]] = field(default_factory=dict[str, tuple[Failure, ...]])

    def node(self, member: Member) -> NodeStatus | None:
        """The member's Node, if it speaks of the member's present machine and not of one that it replaced."""
        node = self.named(member)
        if node is None or (member.uuid and node.uuid.lower() != member.uuid.lower()):
            return None
        return node

    def named(self, member: Member) -> NodeStatus | None:
        """The Node of the member's name, whichever machine it speaks of."""
        return next((node for node in self.api.nodes if node.name == member.name), None)

    def is_ready(self, member: Member) -> bool:
        node = self.node(member)
        return node is not None and node.ready

    def console(self, member: Member) -> ConsoleState:
        """The member's console; an empty one if there is none to read."""
        return self.consoles.get(member.name, ConsoleState())

    def stage(self, member: Member) -> Stage:
        """How far the member came; a machine that has joined has passed every stage."""
        return Stage.KUBELET if self.node(member) is not None else self.console(member).stage
