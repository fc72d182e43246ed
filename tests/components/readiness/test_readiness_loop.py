"""The loop with a scripted world and a clock that only it moves, and console files as hypervisors leave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firestorm.errors import ReadinessError
from firestorm.readiness.console import ConsoleState, Stage
from firestorm.readiness.failure import Failure
from firestorm.readiness.loop import ConsoleFile, Consoles, StoppedError, run
from firestorm.readiness.observation import ApiState, Member, NodeStatus, Observation
from firestorm.readiness.watch import Limits, Watch

NODE = Member(name="dev-controller-0", role="controller", uuid="aa")
UP = ApiState(ready=True, nodes=(NodeStatus(name="dev-controller-0", ready=True, uuid="AA"),))
DOWN = ApiState(error="Connection refused")


@dataclass
class Script:
    """States of the API by second; the last one stays. Each answer takes `takes` seconds. `stop` ends the wait at that
    second."""

    states: list[ApiState]
    stop: float = 1e9
    takes: float = 0.0
    refuse: str = ""
    clock: float = 0.0
    calls: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.clock

    def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.clock += seconds
        return self.clock < self.stop

    def consoles(self) -> Mapping[str, ConsoleState]:
        return {"dev-controller-0": ConsoleState(stage=Stage.BOOTED)}

    def api(self) -> ApiState:
        self.clock += self.takes
        return self.states[min(int(self.clock), len(self.states) - 1)]

    def told(self, seen: Observation) -> Mapping[str, tuple[Failure, ...]]:
        return {}

    def apply(self) -> None:
        self.calls.append(f"apply at {self.clock:g}")
        if self.refuse:
            raise ReadinessError(self.refuse)


def watch(timeout: float = 60.0) -> Watch:
    return Watch((NODE,), 0.0, Limits(timeout=timeout))


def test_manifests_are_applied_once_when_the_api_is_there() -> None:
    world, said = Script([DOWN, DOWN, ApiState(ready=True), ApiState(ready=True), UP]), list[str]()
    state = run(watch(), world, said.append)
    assert state.applied
    assert world.calls == ["apply at 2"]
    assert (world.clock, said) == (
        4.0,
        [
            "machines booted 1/1",
            "Ignition applied 1/1",
            "control plane up",
            "manifests applied",
            "kubelet started 1/1",
            "nodes Ready 1/1",
        ],
    )


def test_timeout() -> None:
    world = Script([DOWN])
    with pytest.raises(ReadinessError) as caught:
        run(watch(), world, lambda _: None)
    assert world.clock == 60.0
    assert str(caught.value) == (
        "dev-controller-0: the API server is not ready after 60 seconds: Connection refused\n"
        "  step:   control plane\n"
        "  remedy: raise `ready_timeout` if the machine is only slow"
    )


@pytest.mark.parametrize(
    ("state", "takes", "interval"),
    [
        (ApiState(ready=True), 0.02, 1.0),
        (ApiState(ready=True), 0.25, 2.25),
        (ApiState(ready=True), 4.0, 5.0),
        (DOWN, 4.0, 1.0),  # one that does not answer yet, it costs nothing
    ],
)
def test_an_api_that_answers_slowly_is_asked_less_often(state: ApiState, takes: float, interval: float) -> None:
    world = Script([state], takes=takes)
    with pytest.raises(ReadinessError):
        run(watch(), world, lambda _: None)
    assert set(world.pauses) == {interval}


def test_stop_ends_the_wait_at_once() -> None:
    world = Script([DOWN], stop=7.0)
    with pytest.raises(StoppedError, match="was stopped"):
        run(watch(), world, lambda _: None)
    assert world.clock == 7.0


def test_manifests_that_cannot_be_applied_end_the_wait() -> None:
    world = Script([UP], refuse="cluster: Secret x cannot be applied: no")
    with pytest.raises(ReadinessError, match=r"^cluster: Secret x cannot be applied: no$"):
        run(watch(), world, lambda _: None)


BOOTED = "firestorm: dev-controller-0: booted\r\n"


def test_console_file_that_grows(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    console = ConsoleFile(path)
    assert console.read().stage == Stage.OFF
    path.write_text("SeaBIOS\r\n")
    assert console.read().stage == Stage.POWERED_ON
    with path.open("a") as file:
        file.write(BOOTED[:10])
        file.flush()
        assert console.read().stage == Stage.POWERED_ON
        file.write(BOOTED[10:])
    assert console.read().stage == Stage.BOOTED
    console.close()


def test_console_file_that_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_text("[    0.000000] Linux version 6.12\r\nfire")
    console = ConsoleFile(path)
    console.read()
    with path.open("a") as file:
        file.write("storm: dev-controller-0: booted\r\n")
    path.rename(tmp_path / "console.log.0")
    path.write_text("firestorm: dev-controller-0: kubelet started\r\n")
    state = console.read()
    assert (state.stage, len(state.lines)) == (Stage.KUBELET, 3)
    console.close()


def test_console_file_that_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_text("[    9.0] ignition[5]: Ignition failed: x\r\n" + BOOTED)
    console = ConsoleFile(path)
    assert console.read().failure is not None
    path.write_text("SeaBIOS\r\n")
    state = console.read()
    assert (state.stage, state.failure) == (Stage.POWERED_ON, None)
    console.close()


def test_console_that_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_text(BOOTED)
    members = (
        Member(name="a", role="controller", console=str(good)),
        Member(name="b", role="worker", console=str(tmp_path)),
        Member(name="c", role="worker"),
    )
    consoles = Consoles.of(members)
    assert {name: state.stage for name, state in consoles.read().items()} == {"a": Stage.BOOTED}
    assert consoles.problems() == {"b": f"{tmp_path}: Is a directory"}
    consoles.close()


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(b"\xff\xfe\x00" * 100 + b"\r\n" + BOOTED.encode())
    console = ConsoleFile(path)
    assert console.read().stage == Stage.BOOTED
    console.close()
