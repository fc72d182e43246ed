"""All that is wrong at one moment, in the order of likelihood: what is said of a cluster that was given up."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from firestorm.readiness.blame import faults
from firestorm.readiness.console import ConsoleState, Stage, UnitFailure
from firestorm.readiness.failure import Failure
from firestorm.readiness.observation import ApiState, Member, NodeStatus, Observation, PodStatus, Trouble

CONTROLLER = Member(name="dev-controller-0", role="controller", uuid="cc")
WORKER = Member(name="dev-worker-0", role="worker", uuid="aa")
DOWN = ApiState(error="Connection refused")
UP = ApiState(
    ready=True,
    nodes=(
        NodeStatus(name="dev-controller-0", ready=True, uuid="cc"),
        NodeStatus(name="dev-worker-0", ready=True, uuid="aa"),
    ),
)
RUNNING = ConsoleState(stage=Stage.KUBELET)
IGNITION = Failure(step="Ignition (files)", cause="Ignition failed: x", certain=True, rank=3)
IMAGE = Failure(step="images", cause="the image i cannot be pulled: not found", rank=2)
DISK = Failure(step="disk", cause="100 % used", rank=3)
ENDED = Failure(step="kubelet.service", cause="the kubelet ended: x", rank=1)


def unit(count: int, *lines: str, name: str = "kubelet.service") -> UnitFailure:
    return UnitFailure(unit=name, count=count, lines=lines)


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    controller: ConsoleState = RUNNING
    worker: ConsoleState = RUNNING
    api: ApiState = DOWN
    told: tuple[Failure, ...] = ()
    expected: tuple[str, ...]


CASES = [
    Case(name="healthy", api=UP, expected=()),
    Case(
        name="nothing but silence",
        expected=("dev-controller-0: the API server is not ready so far: Connection refused",),
    ),
    Case(
        name="one node in Ignition",
        worker=ConsoleState(stage=Stage.IGNITION, failure=IGNITION),
        expected=("dev-worker-0: Ignition failed: x",),
    ),
    Case(
        name="a full disk explains what cannot start",
        controller=replace(RUNNING, units=(unit(6, "no"),)),
        told=(DISK, IMAGE),
        expected=(
            "dev-controller-0: 100 % used",
            "dev-controller-0: kubelet.service failed 6 times: no",
            "dev-controller-0: the image i cannot be pulled: not found",
        ),
    ),
    Case(
        name="a worker's kubelet waits for the API",
        worker=replace(RUNNING, units=(unit(9, "Unauthorized"),)),
        told=(ENDED,),
        expected=(
            "dev-controller-0: the kubelet ended: x",
            "dev-worker-0: kubelet.service failed 9 times: Unauthorized",
        ),
    ),
    Case(
        name="a flag that does not exist",
        controller=replace(
            RUNNING,
            units=(
                unit(
                    5,
                    'E1125 18:04:12.1 812 run.go:72] "command failed" err="unknown flag: --no"',
                    "Main process exited",
                ),
            ),
        ),
        expected=("dev-controller-0: kubelet.service failed 5 times: unknown flag: --no",),
    ),
    Case(
        name="a disk that is full while a unit works",
        controller=replace(
            RUNNING,
            units=(
                unit(
                    1,
                    "tar: bridge: Cannot write: No space left on device",
                    "tar: Exiting with failure status due to previous errors",
                    name="cni-plugins.service",
                ),
            ),
        ),
        expected=(
            "dev-controller-0: cni-plugins.service failed once: tar: bridge: Cannot write: No space left on device",
        ),
    ),
    Case(
        name="a node under pressure",
        api=replace(UP, nodes=(UP.nodes[0], replace(UP.nodes[1], pressures=("DiskPressure",)))),
        expected=(
            "dev-worker-0: the node is Ready, but reports DiskPressure: its kubelet evicts pods and admits no new ones",
        ),
    ),
    Case(
        name="a pod without its image",
        api=replace(
            UP,
            pods=(
                PodStatus(
                    namespace="kube-system",
                    name="coredns-1",
                    troubles=(Trouble(container="coredns", reason="ImagePullBackOff", message="not found"),),
                ),
            ),
        ),
        expected=("kube-system/coredns-1: container coredns is in ImagePullBackOff: not found",),
    ),
    Case(
        name="a node that left",
        api=replace(UP, nodes=(UP.nodes[0], replace(UP.nodes[1], ready=False, reason="Kubelet stopped posting"))),
        expected=("dev-worker-0: the node has joined but is not Ready so far: Kubelet stopped posting",),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_faults(case: Case) -> None:
    seen = Observation(
        at=0,
        consoles={"dev-controller-0": case.controller, "dev-worker-0": case.worker},
        api=case.api,
        told={"dev-controller-0": case.told},
    )
    reports = faults((CONTROLLER, WORKER), seen)
    assert tuple(f"{report.subject}: {report.failure.cause}" for report in reports) == case.expected
