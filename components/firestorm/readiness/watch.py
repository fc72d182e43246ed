"""From observations of a cluster's consoles and API to progress, and to a verdict: up, not yet, or failed and why.

Pure: time comes with the observations. `firestorm.readiness.loop` makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from firestorm.readiness import blame
from firestorm.readiness.console import UNIT_FAILURES, Stage
from firestorm.readiness.failure import Report
from firestorm.readiness.observation import ApiState, Member, Observation, Workload

Phase = Literal["booted", "ignition", "api", "nodes", "pods"]

ONESHOT = frozenset({"cni-plugins.service"})
"""Units of the node that nothing starts again: their first failure is final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When the watch gives up, in seconds and counts."""

    timeout: float = 1800.0
    image: float = 60.0
    """A container without its image, or one that cannot be created, for so long; also where only its node tells."""
    restarts: int = 3
    """A container in CrashLoopBackOff with more restarts than this."""
    api_refusal: float = 60.0
    """An API server that answers but refuses us (certificates, 401, 403) for so long."""
    fetch_attempts: int = 24
    """So many attempts in a row of Ignition to fetch one file, all failing alike: about 100 seconds."""
    unit_failures: int = UNIT_FAILURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an observation changed: new progress, and either `done`, failures, or neither (keep waiting)."""

    progress: tuple[str, ...] = ()
    done: bool = False
    reports: tuple[Report, ...] = ()


@dataclass(slots=True)
class Watch:
    """Judges observations in order. `start` is the clock at the beginning."""

    members: tuple[Member, ...]
    start: float
    limits: Limits = Limits()
    seconds: dict[Phase, float] = field(default_factory=dict[Phase, float])
    """When each phase was complete for all nodes, in seconds since `start`, to a tenth."""
    _said: dict[str, str] = field(default_factory=dict[str, str])
    _since: dict[str, float] = field(default_factory=dict[str, float])
    _first: bool = True
    _excused: dict[str, int] = field(default_factory=dict[str, int])

    def observe(self, seen: Observation) -> Verdict:
        """Judges one observation."""
        progress = tuple(self._progress(seen))
        if self._complete(seen):
            return Verdict(progress=progress, done=True)
        reports = self._certain(seen)
        self._first = False
        if not reports and seen.at - self.start >= self.limits.timeout:
            reports = blame.overdue(self.members, seen, self.limits.timeout)
        return Verdict(progress=progress, reports=tuple(reports))

    def _progress(self, seen: Observation) -> list[str]:
        stages = [seen.stage(member) for member in self.members]
        said: list[str] = []
        self._count(said, "machines booted", [stage >= Stage.KERNEL for stage in stages], seen, "booted")
        self._count(said, "Ignition applied", [stage >= Stage.IGNITION_DONE for stage in stages], seen, "ignition")
        self._count(said, "kubelet started", [stage >= Stage.KUBELET for stage in stages], seen)
        if seen.api.ready:
            self._say(said, "api", "control plane up")
            self._reached("api", seen)
        if seen.api.applied:
            self._say(said, "applied", "manifests applied")
        for name, failures in seen.told.items():
            if failures:
                self._say(said, f"told {name}", f"{name}: {failures[0].cause}")
        if seen.api.ready:
            self._count(said, "nodes Ready", [seen.is_ready(member) for member in self.members], seen, "nodes")
        if seen.api.applied:
            up, total = pod_count(seen.api)
            if total:
                self._say(said, "system pods", f"system pods {up}/{total}")
        return said

    def _count(
        self, said: list[str], what: str, true: Sequence[bool], seen: Observation, phase: Phase | None = None
    ) -> None:
        if any(true):
            self._say(said, what, f"{what} {sum(true)}/{len(true)}")
        if all(true) and phase is not None:
            self._reached(phase, seen)

    def _say(self, said: list[str], topic: str, text: str) -> None:
        if self._said.get(topic) != text:
            self._said[topic] = text
            said.append(text)

    def _reached(self, phase: Phase, seen: Observation) -> None:
        self.seconds.setdefault(phase, round(seen.at - self.start, 1))

    def _complete(self, seen: Observation) -> bool:
        api = seen.api
        if not (api.ready and api.applied and all(seen.is_ready(member) for member in self.members)):
            return False
        up, total = pod_count(api)
        if up < total or not all(load.observed and load.ready >= load.desired for load in api.workloads):
            return False
        self._reached("pods", seen)
        return True

    def _certain(self, seen: Observation) -> list[Report]:
        """Failures that waiting cannot mend."""
        reports = [report for member in self.members if (report := self._console_failure(member, seen))]
        reports = reports or self._told_failures(seen)
        reports += self._pod_failures(seen)
        if self._lasts("api", seen.api.refused, seen.at, self.limits.api_refusal):
            reports += blame.control_plane(self.members, seen, self.limits.timeout)
        return reports

    def _console_failure(self, member: Member, seen: Observation) -> Report | None:
        if seen.is_ready(member):
            return None
        console = seen.console(member)
        failure = console.failure
        if failure is not None:
            key = f"{member.name} {console.boots} {failure.step} {failure.cause}"
            if self._lasts(key, failure.certain, seen.at, failure.settle):
                return blame.console_report(member, failure, seen)
            if console.fetch_attempts >= self.limits.fetch_attempts:
                return blame.console_report(member, failure, seen)
        return self._unit_failure(member, seen)

    def _unit_failure(self, member: Member, seen: Observation) -> Report | None:
        console = seen.console(member)
        for unit in console.units:
            key = f"{member.name} {console.boots} {unit.unit}"
            if unit.unit in ONESHOT:
                return blame.unit_report(member, unit)
            # A worker is let in by its bootstrap token, which is one of the manifests: until then its kubelet fails,
            # and starts again, as it should. So does whatever failed before this watch began.
            early = not seen.api.applied and member.role == "worker" and unit.unit == "kubelet.service"
            if early or self._first:
                self._excused[key] = unit.count
            elif unit.count - self._excused.get(key, 0) >= self.limits.unit_failures:
                return blame.unit_report(member, unit)
        return None

    def _told_failures(self, seen: Observation) -> list[Report]:
        """What nodes say keeps their pods from starting, if they have said so for long enough."""
        reports: list[Report] = []
        lasting: set[str] = set()
        for member in self.members:
            for failure in seen.told.get(member.name, ()):
                key = f"told {member.name} {failure.step} {failure.cause}"
                lasting.add(key)
                if failure.rank >= blame.TOLD_RANK and self._lasts(key, True, seen.at, self.limits.image):
                    reports.append(Report(subject=member.name, failure=failure))
        for key in [key for key in self._since if key.startswith("told ") and key not in lasting]:
            del self._since[key]
        return reports

    def _pod_failures(self, seen: Observation) -> list[Report]:
        reports: list[Report] = []
        stuck: set[str] = set()
        for pod in seen.api.pods:
            for trouble in pod.troubles:
                key = f"pod {pod.key} {trouble.container}"
                if trouble.reason in blame.IMAGE_REASONS | blame.CONFIG_REASONS:
                    stuck.add(key)
                crashing = trouble.reason == "CrashLoopBackOff" and trouble.restarts > self.limits.restarts
                if crashing or (key in stuck and self._lasts(key, True, seen.at, self.limits.image)):
                    reports.append(blame.pod_report(pod, trouble, ""))
        for key in [key for key in self._since if key.startswith("pod ") and key not in stuck]:
            del self._since[key]
        return reports

    def _lasts(self, key: str, holds: bool, now: float, seconds: float) -> bool:
        """Whether a condition has held for so long, without a break."""
        if not holds:
            self._since.pop(key, None)
            return False
        return now - self._since.setdefault(key, now) >= seconds


def pod_count(api: ApiState) -> tuple[int, int]:
    """System pods that are ready, and how many there are or, by their workloads, ought to be."""
    missing = sum(max(load.desired - _pods_of(load, api), 0) for load in api.workloads)
    return sum(pod.ready for pod in api.pods), len(api.pods) + missing


def _pods_of(load: Workload, api: ApiState) -> int:
    return sum(pod.namespace == load.namespace and pod.name.startswith(f"{load.name}-") for pod in api.pods)
