"""Who is asked over a journal port, when, and what readiness makes of the answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firestorm.readiness import asking
from firestorm.readiness.asking import PATIENCE, PAUSE, Asker
from firestorm.readiness.console import ConsoleState, Stage
from firestorm.readiness.failure import Failure, message
from firestorm.readiness.journal import IMAGE_REMEDY
from firestorm.readiness.observation import ApiState, Member, NodeStatus, Observation
from firestorm.readiness.watch import Limits, Watch
from tests.components.readiness.journal_port import machine, make_pipes

NODE = Member(name="dev-controller-0", role="controller", uuid="aa", journal="/port")
MISSING = Failure(
    step="images",
    cause="the image registry.k8s.io/etcd:3.6.8-0 cannot be pulled: not found",
    remedy=IMAGE_REMEDY,
    rank=2,
)
READY = ApiState(ready=True, nodes=(NodeStatus(name="dev-controller-0", ready=True, uuid="aa"),))


def seen(
    at: float, stage: Stage = Stage.KUBELET, api: ApiState | None = None, told: tuple[Failure, ...] = ()
) -> Observation:
    return Observation(
        at=at,
        consoles={"dev-controller-0": ConsoleState(stage=stage)},
        api=api or ApiState(error="Connection refused"),
        told={"dev-controller-0": told},
    )


@dataclass
class Node:
    """Answers when it is allowed to."""

    asked: int = 0
    go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, port: Path) -> tuple[Failure, ...]:
        assert port == Path("/port")
        self.asked += 1
        assert self.go.wait(20)
        return (MISSING,)


def settled(asker: Asker) -> None:
    """Waits for the questions that are under way."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and "_ask" in thread.name:
            thread.join(timeout=20)


def test_a_node_is_asked_when_it_stays_behind() -> None:
    node = Node()
    asker = Asker((NODE,), node)
    assert asker.look(seen(0, Stage.IGNITION)) == {}
    assert asker.look(seen(100, Stage.BOOTED)) == {}
    assert asker.look(seen(100 + PATIENCE - 1)) == {}
    assert node.asked == 0
    assert asker.look(seen(100 + PATIENCE)) == {}
    asker.look(seen(100 + PATIENCE + 1))
    assert node.asked == 1  # one question at a time
    node.go.set()
    settled(asker)
    now = 100 + PATIENCE + 10
    assert asker.look(seen(now)) == {"dev-controller-0": (MISSING,)}
    asker.look(seen(now + PAUSE - 1))
    assert node.asked == 1
    asker.look(seen(now + PAUSE))
    settled(asker)
    assert node.asked == 2
    assert asker.look(seen(now + PAUSE + 1, api=READY)) == {}  # it came up: what it said is the past


def test_nodes_without_a_port_are_left_alone() -> None:
    asker = Asker((Member(name="dev-controller-0", role="controller"),), lambda _: pytest.fail("asked"))
    for at in (0.0, 100.0, 200.0):
        assert asker.look(seen(at)) == {}


def test_trouble_is_what_the_node_says(tmp_path: Path) -> None:
    port = make_pipes(tmp_path / "n.journal")
    assert asking.trouble(port) == ()  # it does not run
    journal = Path(__file__).parent / "journals" / "image-missing.txt"
    with machine(port, {"journalctl": f"cat {journal}"}):
        assert asking.trouble(port) == (MISSING,)


def test_an_image_that_stays_missing_ends_the_wait() -> None:
    watch = Watch((NODE,), 0.0, Limits(timeout=1800, image=60))
    first = watch.observe(seen(50, told=(MISSING,)))
    assert first.reports == ()
    assert first.progress[-1] == f"dev-controller-0: {MISSING.cause}"
    assert watch.observe(seen(80, told=(MISSING,))).progress == ()
    assert watch.observe(seen(100, told=())).reports == ()  # it was pulled
    assert watch.observe(seen(105, told=(MISSING,))).reports == ()
    assert watch.observe(seen(164, told=(MISSING,))).reports == ()
    reports = watch.observe(seen(165, told=(MISSING,))).reports
    assert message(reports) == (
        "dev-controller-0: the image registry.k8s.io/etcd:3.6.8-0 cannot be pulled: not found\n"
        "  step:   images\n"
        "  remedy: check that the image is in the registry and that the node can reach it; `mirrors` can redirect it"
    )


def test_what_may_pass_does_not_end_the_wait_but_is_told_when_the_time_is_up() -> None:
    ended = Failure(step="kubelet.service", cause="the kubelet ended: Unauthorized", rank=1)
    watch = Watch((NODE,), 0.0, Limits(timeout=300, image=60))
    for at in (50.0, 120.0, 200.0):
        assert watch.observe(seen(at, told=(ended,))).reports == ()
    watch.observe(seen(290, told=(MISSING,)))
    assert "cannot be pulled: not found" in message(watch.observe(seen(300, told=(MISSING,))).reports)
