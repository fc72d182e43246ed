"""Gathers the evidence of a cluster into a directory: every machine and the API at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from firestorm.evidence.api import ApiEvidence, collect_api
from firestorm.evidence.configs import collect_config
from firestorm.evidence.diagnosis import diagnose
from firestorm.evidence.files import Folder
from firestorm.evidence.masking import Masker
from firestorm.evidence.model import Missing, Subject
from firestorm.evidence.nodes import NodeEvidence, collect_node
from firestorm.evidence.summary import Summary
from firestorm.readiness.observation import ApiState

Progress = Callable[[str], None]
RESERVE = 2.0
"""Seconds kept for what comes after the machines and the API."""


def collect(subject: Subject, into: Path, *, timeout: float = 60.0, progress: Progress | None = None) -> Summary:
    """Gather what can be had of `subject` within `timeout` seconds into the directory `into`, which is made, 0700.

    Writes summary.md, junit.xml, api.txt, etcd.txt, nodes.txt, pods.txt, events.txt, pods/ and for each node
    nodes/NAME/{console.log,journal.log,kubelet.log,containers.log,node.txt,config.ign,config.txt}; files are 0600, at
    most some megabytes each, and hold none of the subject's secrets. Never raises for what cannot be had: the summary
    says so. Raises OSError if `into` cannot be written.
    """
    say = progress or (lambda _: None)
    deadline = time.monotonic() + timeout - min(RESERVE, timeout / 4)
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Folder(into, Masker({*subject.secrets, *subject.configs.values(), *_kubeconfig(subject)}))
    gathered = _gather(subject, folder, deadline, say)
    missing = [*gathered.missing]
    for node, config in sorted(subject.configs.items()):
        missing += collect_config(node, config, folder)
    missing += [
        Missing(what=f"config of {node.name}", why="it was never rendered")
        for node in subject.nodes
        if node.name not in subject.configs
    ]
    summary = diagnose(subject, gathered.nodes, gathered.api, folder, tuple(missing))
    summary.write(into)
    say(f"the evidence is in {into}: {summary.cause}")
    return summary


@dataclass(slots=True)
class _Gathered:
    """What the threads brought, each under its own name."""

    nodes: dict[str, NodeEvidence] = field(default_factory=dict[str, NodeEvidence])
    api: ApiState = field(default_factory=lambda: ApiState(error="it was not asked in time"))
    missing: list[Missing] = field(default_factory=list[Missing])


def _gather(subject: Subject, folder: Folder, deadline: float, say: Progress) -> _Gathered:
    found: dict[str, NodeEvidence | ApiEvidence | Exception] = {}

    def run(name: str, work: Callable[[], NodeEvidence | ApiEvidence]) -> None:
        try:
            found[name] = work()
        except Exception as error:  # whatever it is, the others go on and the summary tells of it
            found[name] = error

    work: Mapping[str, Callable[[], NodeEvidence | ApiEvidence]] = {
        "the API": partial(collect_api, subject.kubeconfig, folder, deadline=deadline),
        **{node.name: partial(collect_node, node, folder, deadline=deadline) for node in subject.nodes},
    }
    threads = [threading.Thread(target=run, args=item, daemon=True) for item in work.items()]
    say(f"collecting evidence of {subject.name}: {len(subject.nodes)} machines and the API")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return _sorted(tuple(work), dict(found))


def _sorted(names: tuple[str, ...], found: Mapping[str, NodeEvidence | ApiEvidence | Exception]) -> _Gathered:
    gathered = _Gathered()
    for name in names:
        match found.get(name):
            case ApiEvidence() as api:
                gathered.api = api.state
                gathered.missing += api.missing
            case NodeEvidence() as node:
                gathered.nodes[name] = node
                gathered.missing += node.missing
            case None:
                gathered.missing.append(Missing(what=f"the rest of {name}", why="the time was up"))
            case error:
                gathered.missing.append(Missing(what=f"the rest of {name}", why=f"{type(error).__name__}: {error}"))
    return gathered


def _kubeconfig(subject: Subject) -> set[str]:
    try:
        return {subject.kubeconfig.read_text(encoding="utf-8")} if subject.kubeconfig else set()
    except (OSError, UnicodeDecodeError):
        return set()
