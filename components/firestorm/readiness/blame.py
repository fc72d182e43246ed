"""Whom to blame: a message for what failed, or for what is not there when time is up."""

from __future__ import annotations

import re
from collections.abc import Iterable

from firestorm.readiness.console import STAGE_NAMES, Stage, UnitFailure
from firestorm.readiness.failure import Failure, Report
from firestorm.readiness.ignition import SPACE_REMEDY
from firestorm.readiness.journal import IMAGE_REMEDY
from firestorm.readiness.observation import Member, Observation, PodStatus, Trouble

IMAGE_REASONS = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})
CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

TOLD_RANK = 2
"""Failures that a node tells of, of this rank and above, keep it from ever being ready."""

_SLOW_REMEDY = "raise `ready_timeout` if the machine is only slow"


def overdue(members: Iterable[Member], seen: Observation, timeout: float) -> list[Report]:
    """Blames the members that stand at the first step which is not complete, `timeout` seconds having passed."""
    return _behind(tuple(members), seen, f"after {timeout:g} seconds")


def faults(members: Iterable[Member], seen: Observation) -> list[Report]:
    """All that is wrong at this moment, the likeliest cause first; empty if all members and pods are ready.

    For a cluster that was given up, or that was up and fails: nothing is waited for any more.
    """
    members = tuple(members)
    found: list[tuple[int, Report]] = []
    for member in members:
        found += _pressures(member, seen) if seen.is_ready(member) else _faults_of(member, seen)
    found.sort(key=lambda fault: -fault[0])
    reports = [report for _, report in found]
    explained = {report.subject for report in reports}
    rest = [report for report in _behind(members, seen, "so far") if report.subject not in explained]
    if all(seen.is_ready(member) for member in members) and _is_complete(seen):
        rest = []
    return reports + rest


def _behind(members: tuple[Member, ...], seen: Observation, waited: str) -> list[Report]:
    """Blames the members that stand at the first step which is not complete."""
    behind = [m for m in members if m.name in seen.consoles and seen.stage(m) < Stage.BOOTED]
    if behind:
        return [console_report(member, _late_boot(member, seen, waited), seen) for member in behind]
    if not seen.api.ready:
        return _control_plane(members, seen, waited)
    absent = [member for member in members if not seen.is_ready(member)]
    if absent:
        return [_late_node(member, seen, waited) for member in absent]
    return _late_pods(seen, waited)


def control_plane(members: Iterable[Member], seen: Observation, timeout: float) -> list[Report]:
    """Blames the controllers for an API server that is not there, or that refuses this host."""
    return _control_plane(members, seen, f"after {timeout:g} seconds")


def _control_plane(members: Iterable[Member], seen: Observation, waited: str) -> list[Report]:
    return [_late_api(member, seen, waited) for member in members if member.role == "controller"]


def console_report(member: Member, failure: Failure, seen: Observation) -> Report:
    return Report(subject=member.name, failure=failure, lines=seen.console(member).relevant())


def unit_report(member: Member, unit: UnitFailure) -> Report:
    times = "once" if unit.count == 1 else f"{unit.count} times"
    # Behind the unit's own words come systemd's, which begin with its name and only tell that it failed.
    words = [line for line in unit.lines if not line.startswith(f"{unit.unit}: ")]
    cause = f"{unit.unit} failed {times}" + (f": {_reason(words)}" if words else "")
    full = any(_FULL.search(line) for line in words)
    remedy = SPACE_REMEDY if full else _UNIT_REMEDIES.get(unit.unit, "the lines below are from the unit's journal")
    return Report(
        subject=member.name, failure=Failure(step=unit.unit, cause=cause, remedy=remedy, certain=True), lines=unit.lines
    )


_KLOG = re.compile(r"^[IWEF]\d{4} [\d:.]+ +\d+ \S+\] ")
_FULL = re.compile(r"no space left on device", re.IGNORECASE)
_COMMAND_FAILED = re.compile(r'^"command failed" err="(.*)"$')


def _reason(words: list[str]) -> str:
    """What a unit ended with: a full disk, the reason that a Kubernetes component gives, or its newest line."""
    plain = [_KLOG.sub("", line) for line in words]
    if full := [line for line in plain if _FULL.search(line)]:
        return full[-1]
    told = [match[1].replace('\\"', '"') for line in plain if (match := _COMMAND_FAILED.match(line))]
    return told[-1] if told else plain[-1]


_UNIT_REMEDIES = {
    "cni-plugins.service": "check that `cni-plugins` (its table entry, or yours in `artifacts`) is the plugins' archive"
}


def pod_report(pod: PodStatus, trouble: Trouble | None, waited: str) -> Report:
    subject = f"{pod.node}: {pod.key}" if pod.node else pod.key
    remedy = ""
    if trouble is None:
        cause = f"the pod is not ready {waited} ({pod.phase or 'Unknown'})" + (
            f": {pod.message}" if pod.message else ""
        )
    else:
        cause = f"container {trouble.container} is in {trouble.reason}"
        if trouble.reason == "CrashLoopBackOff":
            cause += f" after {trouble.restarts} restarts"
        cause += f": {trouble.message}" if trouble.message else ""
        if trouble.reason in IMAGE_REASONS:
            remedy = IMAGE_REMEDY
    return Report(subject=subject, failure=Failure(step="system pods", cause=cause, remedy=remedy))


def _faults_of(member: Member, seen: Observation) -> list[tuple[int, Report]]:
    """What is known to be wrong with a member that is not ready, each with its weight: causes outweigh consequences."""
    console, found = seen.console(member), list[tuple[int, Report]]()
    if console.failure is not None:
        weight = 100 if console.failure.certain else 50
        found.append((weight + console.failure.rank, console_report(member, console.failure, seen)))
    for failure in seen.told.get(member.name, ()):
        found.append((_TOLD_WEIGHTS.get(failure.rank, 30), Report(subject=member.name, failure=failure)))
    for unit in console.units:
        # A worker's kubelet cannot succeed before the API lets it in.
        waits = not seen.api.ready and member.role == "worker" and unit.unit == "kubelet.service"
        found.append((20 if waits else 80 if unit.count > 1 else 40, unit_report(member, unit)))
    return found


_TOLD_WEIGHTS = {3: 90, 2: 70, 1: 45}


def _pressures(member: Member, seen: Observation) -> list[tuple[int, Report]]:
    node = seen.node(member)
    assert node is not None
    found = []
    for pressure in node.pressures:
        cause = f"the node is Ready, but reports {pressure}: its kubelet evicts pods and admits no new ones"
        remedy = SPACE_REMEDY if pressure == "DiskPressure" else "give the pool more `memory`, or its pods less to do"
        found.append((60, Report(subject=member.name, failure=Failure(step="node Ready", cause=cause, remedy=remedy))))
    return found


def _is_complete(seen: Observation) -> bool:
    return all(pod.ready for pod in seen.api.pods) and all(
        load.observed and load.ready >= load.desired for load in seen.api.workloads
    )


def _told(member: Member, seen: Observation) -> Failure | None:
    return next((failure for failure in seen.told.get(member.name, ()) if failure.rank >= TOLD_RANK), None)


def _late_boot(member: Member, seen: Observation, waited: str) -> Failure:
    console = seen.console(member)
    if console.failure is not None:
        return console.failure
    step = STAGE_NAMES[console.stage]
    if console.stage == Stage.OFF:
        cause = f"the machine has written nothing to its console {waited}"
        return Failure(step=step, cause=cause, remedy="check that the machine runs, and what its hypervisor says of it")
    return Failure(step=step, cause=f"the machine is still at this step {waited}", remedy=_SLOW_REMEDY)


def _late_api(member: Member, seen: Observation, waited: str) -> Report:
    console, api = seen.console(member), seen.api
    if api.refused:
        cause = f"the API server answers but refuses this host: {api.error}"
        remedy = "another cluster answers at this address, or the machine's certificates are not this cluster's"
        return console_report(member, Failure(step="control plane", cause=cause, remedy=remedy), seen)
    if told := _told(member, seen):
        return Report(subject=member.name, failure=told)
    if console.units:
        return unit_report(member, console.units[-1])
    cause = f"the API server is not ready {waited}: {api.error or 'no answer'}"
    if console.failure is not None:
        cause += f"; {console.failure.cause}"
    return console_report(member, Failure(step="control plane", cause=cause, remedy=_SLOW_REMEDY), seen)


def _late_node(member: Member, seen: Observation, waited: str) -> Report:
    node, named, console = seen.node(member), seen.named(member), seen.console(member)
    step, remedy = "joining the cluster", "the kubelet could not reach the API or was not let in"
    if node is not None:
        cause = f"the node has joined but is not Ready {waited}: {node.reason or 'it gives no reason'}"
        step, remedy = "node Ready", ""
    elif told := _told(member, seen):
        return Report(subject=member.name, failure=told)
    elif console.units:
        return unit_report(member, console.units[-1])
    elif named is not None:
        cause = (
            f"the node has not joined {waited}: the API knows the machine {named.uuid.lower() or 'without a UUID'}"
            f" under this name, the present one is {member.uuid.lower()}"
        )
    else:
        cause = f"the node has not joined {waited}"
    return console_report(member, Failure(step=step, cause=cause, remedy=remedy), seen)


def _late_pods(seen: Observation, waited: str) -> list[Report]:
    pods = [pod for pod in seen.api.pods if not pod.ready]
    reports = [pod_report(pod, next(iter(pod.troubles), None), waited) for pod in pods]
    for load in seen.api.workloads:
        told = any(pod.namespace == load.namespace and pod.name.startswith(f"{load.name}-") for pod in pods)
        if not told and (load.ready < load.desired or not load.observed):
            count = f"{load.kind} has {load.ready} of {load.desired} pods ready" if load.observed else _UNSEEN
            reports.append(_load_report(f"{load.namespace}/{load.name}", f"{count} {waited}"))
    return reports or [_load_report("cluster", f"the system pods are not complete {waited}")]


_UNSEEN = "kube-controller-manager has not taken up its newest version"


def _load_report(subject: str, cause: str) -> Report:
    return Report(subject=subject, failure=Failure(step="system pods", cause=cause))
