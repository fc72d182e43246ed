"""Which of what was seen and what was said leads the summary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from firestorm.evidence.diagnosis import diagnose
from firestorm.evidence.files import Folder
from firestorm.evidence.masking import Masker
from firestorm.evidence.model import Subject, SubjectNode
from firestorm.evidence.nodes import NodeEvidence
from firestorm.readiness.console import ConsoleState, Stage
from firestorm.readiness.failure import Failure
from firestorm.readiness.observation import ApiState, NodeStatus

NODE = SubjectNode(name="demo-controller-0", role="controller")
DOWN = ApiState(error="Connection refused")
LEFT = ApiState(
    ready=True, nodes=(NodeStatus(name="demo-controller-0", ready=False, reason="Kubelet stopped posting node status"),)
)
WELL = ApiState(ready=True, nodes=(replace(LEFT.nodes[0], ready=True),))
RUNNING = ConsoleState(stage=Stage.KUBELET)
PANIC = Failure(step="kernel and initramfs", cause="the kernel panicked: x", certain=True)
TIMEOUT = "error: demo-controller-0: the API server is not ready after 60 seconds: no answer\n  step:   control plane"
CHECKSUM = "Diagnostics:\n  firestorm:index:Cluster (demo):\n    error: disk.qcow2: its sha256 is a, but b is wanted"
COMMAND = "pytest ended with status 1"

CASES = [
    ("nothing was seen or said", ConsoleState(), DOWN, "", "the machine has written nothing to its console so far"),
    ("the machine was never made", None, DOWN, CHECKSUM, "disk.qcow2: its sha256 is a, but b is wanted"),
    ("it says why itself", replace(RUNNING, failure=PANIC), DOWN, TIMEOUT, "the kernel panicked: x"),
    ("time ran out", RUNNING, DOWN, TIMEOUT, "the API server is not ready after 60 seconds: no answer"),
    (
        "a node left while the command ran",
        RUNNING,
        LEFT,
        COMMAND,
        "the node has joined but is not Ready so far: Kubelet stopped posting node status",
    ),
    ("the command alone failed", RUNNING, WELL, COMMAND, COMMAND),
    ("all is well", RUNNING, WELL, "", "no fault can be seen: all nodes are Ready and all system pods run"),
]


@pytest.mark.parametrize(
    ("console", "api", "error", "cause"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_lead(console: ConsoleState | None, api: ApiState, error: str, cause: str, tmp_path: Path) -> None:
    subject = Subject(name="demo", nodes=(NODE,), error=error)
    folder = Folder(tmp_path, Masker([]))
    summary = diagnose(subject, {NODE.name: NodeEvidence(console=console)}, api, folder, ())
    assert summary.cause == cause
    assert summary.healthy == (cause == COMMAND)
    assert cause in "\n".join(summary.markdown().splitlines()[:3])
