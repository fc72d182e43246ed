"""From what was gathered to the summary: the likely cause, by the same judgement as readiness."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from firestorm.evidence.files import Folder
from firestorm.evidence.model import Missing, Subject, SubjectNode
from firestorm.evidence.nodes import NodeEvidence
from firestorm.evidence.summary import Step, Summary
from firestorm.readiness import blame
from firestorm.readiness.console import STAGE_NAMES, Stage
from firestorm.readiness.failure import Failure, Report
from firestorm.readiness.observation import ApiState, Member, Observation

_STAGES = ((Stage.KERNEL, "boots"), (Stage.IGNITION_DONE, "is configured"), (Stage.KUBELET, "starts its kubelet"))
_UNKNOWN = "what was said"
# How readiness and the platform word a failure; Pulumi indents it, and puts "error: " before it.
_WORDED = re.compile(
    r"^\s*(?:error: )*(?P<subject>[\w./-]+): (?P<cause>.+)\n\s+step: +(?P<step>.+)(?:\n\s+remedy: +(?P<remedy>.+))?",
    re.MULTILINE,
)
_ERROR = re.compile(r"^\s*(?:error: )+(?P<cause>.+)$", re.MULTILINE)


def diagnose(
    subject: Subject, nodes: Mapping[str, NodeEvidence], api: ApiState, folder: Folder, missing: Sequence[Missing]
) -> Summary:
    """The summary of a collection whose files are `folder.written`."""
    members = tuple(Member(name=node.name, role=node.role) for node in subject.nodes)
    seen = Observation(
        at=0.0,
        consoles={name: node.console for name, node in nodes.items() if node.console is not None},
        api=api,
        told={name: node.told for name, node in nodes.items()},
    )
    error = folder.masked(subject.error or "").strip()
    faults = [_masked(fault, folder) for fault in blame.faults(members, seen)]
    lead, told = _lead(subject.name, error, faults)
    return Summary(
        cluster=subject.name,
        cause=lead.failure.cause if lead else "no fault can be seen: all nodes are Ready and all system pods run",
        faults=(*([lead] if lead else []), *(fault for fault in faults if fault != lead)),
        healthy=told and not faults,
        error=error,
        steps=tuple(_steps(subject.nodes, seen, faults)),
        missing=tuple(Missing(what=item.what, why=folder.masked(item.why)) for item in missing),
        files=tuple(sorted(folder.written)),
    )


def _lead(cluster: str, error: str, faults: Sequence[Report]) -> tuple[Report | None, bool]:
    """The likely cause, and whether it is only what was said: what is seen tells more, unless it is only silence."""
    if not error:
        return (faults[0], False) if faults else (None, False)
    said = _said(cluster, error)
    if faults and not _is_silence(faults[0], explained=said.failure.step != _UNKNOWN):
        return faults[0], False
    return said, True


def _is_silence(fault: Report, *, explained: bool) -> bool:
    """Whether a fault is only that something is not there (yet): a machine, an API, or whatever, if that is
    `explained` elsewhere."""
    waits = " so far" in fault.failure.cause
    return fault.failure.step == STAGE_NAMES[Stage.OFF] or (
        waits and (explained or fault.failure.step == "control plane")
    )


def _said(cluster: str, error: str) -> Report:
    """The error as a report: its own subject, step and remedy where it has them."""
    if match := _WORDED.search(error):
        failure = Failure(step=match["step"], cause=match["cause"], remedy=(match["remedy"] or "").rstrip("."))
        return Report(subject=match["subject"], failure=failure)
    match = _ERROR.search(error)
    cause = match["cause"] if match else error.split("\n", 1)[0]
    return Report(subject=cluster, failure=Failure(step="what was said", cause=cause.strip()))


def _masked(fault: Report, folder: Folder) -> Report:
    """Consoles and journals were read as they are."""
    failure = replace(fault.failure, cause=folder.masked(fault.failure.cause))
    return Report(subject=fault.subject, failure=failure, lines=tuple(folder.masked(line) for line in fault.lines))


def _steps(nodes: Sequence[SubjectNode], seen: Observation, faults: Sequence[Report]) -> Iterator[Step]:
    """A step of the test report for each thing that a node, and the cluster, has to get done."""
    for node in nodes:
        member = Member(name=node.name, role=node.role)
        why = next((str(fault) for fault in faults if fault.subject == node.name), "it did not come so far")
        if node.name in seen.consoles or seen.node(member) is not None:
            for stage, name in _STAGES:
                yield Step(subject=node.name, name=name, failure="" if seen.stage(member) >= stage else why)
        yield Step(subject=node.name, name="is Ready", failure="" if seen.is_ready(member) else why)
    yield Step(subject="cluster", name="the API answers", failure="" if seen.api.ready else _api_failure(seen.api))
    if seen.api.ready:
        behind = [pod for pod in seen.api.pods if not pod.ready]
        yield Step(subject="cluster", name="system pods run", failure=", ".join(pod.key for pod in behind))


def _api_failure(api: ApiState) -> str:
    return api.error or "no answer"
