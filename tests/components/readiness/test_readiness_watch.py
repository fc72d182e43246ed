"""The state machine: scripted observations, full progress, full verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firestorm.readiness.console import ConsoleState, Stage, UnitFailure
from firestorm.readiness.failure import Failure, message
from firestorm.readiness.observation import ApiState, Member, NodeStatus, Observation, PodStatus, Trouble, Workload
from firestorm.readiness.watch import Limits, Verdict, Watch

UUIDS = {
    "dev-controller-0": "4C4C4544-0001-4000-8000-0000000000C0",
    "dev-worker-0": "4c4c4544-0001-4000-8000-0000000000a0",
}
CONTROLLER = Member(name="dev-controller-0", role="controller", uuid=UUIDS["dev-controller-0"])
WORKER = Member(name="dev-worker-0", role="worker", uuid=UUIDS["dev-worker-0"])
MEMBERS = (CONTROLLER, WORKER)
LIMITS = Limits(timeout=600.0)
TAR = UnitFailure(unit="cni-plugins.service", count=1, lines=("tar: short read",))


def consoles(controller: Stage | ConsoleState, worker: Stage | ConsoleState) -> dict[str, ConsoleState]:
    states = {"dev-controller-0": controller, "dev-worker-0": worker}
    return {name: s if isinstance(s, ConsoleState) else ConsoleState(stage=s) for name, s in states.items()}


def node(name: str, *, ready: bool = True, uuid: str = "", reason: str = "") -> NodeStatus:
    return NodeStatus(name=name, ready=ready, uuid=uuid or UUIDS[name].lower(), reason=reason)


def pod(name: str, *, ready: bool = True, **more: object) -> PodStatus:
    return replace(PodStatus(namespace="kube-system", name=name, ready=ready, phase="Running"), **more)  # type: ignore[arg-type]


def api(*nodes: NodeStatus, pods: tuple[PodStatus, ...] = (), loads: tuple[Workload, ...] = ()) -> ApiState:
    return ApiState(ready=True, applied=True, nodes=nodes, pods=pods, workloads=loads)


def load(desired: int, ready: int, *, observed: bool = True, name: str = "kube-proxy") -> Workload:
    return Workload(
        kind="DaemonSet", namespace="kube-system", name=name, desired=desired, ready=ready, observed=observed
    )


REFUSED = ApiState(error="[Errno 111] Connection refused")
BOTH = (node("dev-controller-0"), node("dev-worker-0"))
UP = consoles(Stage.KUBELET, Stage.KUBELET)


def test_a_cluster_comes_up() -> None:
    script = [
        (0.0, consoles(Stage.OFF, Stage.OFF), REFUSED, ()),
        (1.0, consoles(Stage.POWERED_ON, Stage.OFF), REFUSED, ()),
        (4.0, consoles(Stage.KERNEL, Stage.POWERED_ON), REFUSED, ("machines booted 1/2",)),
        (5.0, consoles(Stage.IGNITION, Stage.KERNEL), REFUSED, ("machines booted 2/2",)),
        (9.0, consoles(Stage.IGNITION_DONE, Stage.IGNITION), REFUSED, ("Ignition applied 1/2",)),
        (9.5, consoles(Stage.IGNITION_DONE, Stage.IGNITION), REFUSED, ()),
        (11.2, consoles(Stage.BOOTED, Stage.IGNITION_DONE), REFUSED, ("Ignition applied 2/2",)),
        (20.0, consoles(Stage.KUBELET, Stage.BOOTED), REFUSED, ("kubelet started 1/2",)),
        (40.0, UP, ApiState(ready=True), ("kubelet started 2/2", "control plane up")),
        (41.0, UP, api(), ("manifests applied",)),
        (50.0, UP, api(BOTH[0], pods=(pod("etcd-a"),)), ("nodes Ready 1/2", "system pods 1/1")),
        (55.0, UP, api(*BOTH, loads=(load(2, 0),)), ("nodes Ready 2/2", "system pods 0/2")),
        (57.0, UP, api(*BOTH, pods=(pod("kube-proxy-a"),), loads=(load(2, 1),)), ("system pods 1/2",)),
    ]
    watch = Watch(MEMBERS, 0.0, LIMITS)
    for at, seen, state, progress in script:
        verdict = watch.observe(Observation(at=at, consoles=seen, api=state))
        assert verdict == Verdict(progress=progress), at
    pods = (pod("kube-proxy-a"), pod("kube-proxy-b"))
    last = watch.observe(Observation(at=60.04, consoles=UP, api=api(*BOTH, pods=pods, loads=(load(2, 2),))))
    assert last == Verdict(progress=("system pods 2/2",), done=True)
    assert watch.seconds == {"booted": 5.0, "ignition": 11.2, "api": 40.0, "nodes": 55.0, "pods": 60.0}


NOT_YET = [
    ("no node of the name", api(BOTH[0])),
    ("not ready", api(BOTH[0], node("dev-worker-0", ready=False))),
    ("the machine before it", api(BOTH[0], node("dev-worker-0", uuid="4c4c4544-0001-4000-8000-0000000000ff"))),
    ("machine without a UUID", api(BOTH[0], replace(BOTH[1], uuid=""))),
    ("a pod is not ready", api(*BOTH, pods=(pod("a", ready=False),))),
    ("pods not made yet", api(*BOTH, loads=(load(2, 0),))),
    ("workload not observed", api(*BOTH, loads=(load(0, 0, observed=False),))),
    ("manifests not applied", replace(api(*BOTH), applied=False)),
    ("API gone again", replace(api(*BOTH), ready=False)),
]


@pytest.mark.parametrize("state", [state for _, state in NOT_YET], ids=[name for name, _ in NOT_YET])
def test_not_yet_up(state: ApiState) -> None:
    verdict = Watch(MEMBERS, 0.0, LIMITS).observe(Observation(at=1.0, consoles=UP, api=state))
    assert (verdict.done, verdict.reports) == (False, ())


@pytest.mark.parametrize("uuid", [UUIDS["dev-worker-0"], UUIDS["dev-worker-0"].upper()])
def test_uuid_is_compared_without_case(uuid: str) -> None:
    state = api(BOTH[0], node("dev-worker-0", uuid=uuid))
    assert Watch(MEMBERS, 0.0, LIMITS).observe(Observation(at=1.0, consoles={}, api=state)).done


BROKEN = Failure(step="Ignition (files)", cause="it broke", certain=True, rank=3)
SHELL = Failure(step="Ignition", cause="emergency shell", certain=True, rank=1, settle=20.0)
RETRYING = Failure(step="Ignition (files)", cause="keeps trying")
KUBELET = UnitFailure(unit="kubelet.service", count=5, lines=("E1123 18:04:12.1     812 run.go:72] no such file",))

IMAGE = Trouble(container="coredns", reason="ImagePullBackOff", message='Back-off pulling image "x": 404 Not Found')
CRASH = Trouble(container="coredns", reason="CrashLoopBackOff", message="it ended with code 1 (Error)", restarts=4)


def failing(console: ConsoleState, state: ApiState = REFUSED) -> Observation:
    return Observation(at=0.0, consoles=consoles(Stage.BOOTED, console), api=state)


# name, what is seen, when it is still waited for (None: never), when it fails, the message
EARLY = [
    (
        "console failure",
        failing(ConsoleState(stage=Stage.IGNITION, failure=BROKEN, lines=("Ignition failed: x",))),
        None,
        0.0,
        "dev-worker-0: it broke\n  step:   Ignition (files)\n  console (last lines that matter):\n"
        "    Ignition failed: x",
    ),
    (
        "emergency shell",
        failing(ConsoleState(stage=Stage.IGNITION, failure=SHELL)),
        19.9,
        20.0,
        "dev-worker-0: emergency shell\n  step:   Ignition",
    ),
    (
        "many attempts",
        failing(ConsoleState(stage=Stage.IGNITION, failure=RETRYING, fetch_attempts=24)),
        None,
        0.0,
        "dev-worker-0: keeps trying\n  step:   Ignition (files)",
    ),
    (
        "unit that nothing starts again",
        failing(ConsoleState(stage=Stage.BOOTED, units=(TAR,))),
        None,
        0.0,
        "dev-worker-0: cni-plugins.service failed once: tar: short read\n  step:   cni-plugins.service\n"
        "  remedy: check that `cni-plugins` (its table entry, or yours in `artifacts`) is the plugins' archive\n"
        "  console (last lines that matter):\n    tar: short read",
    ),
    (
        "image",
        Observation(
            at=0.0,
            consoles=UP,
            api=api(*BOTH, pods=(pod("coredns-1", ready=False, node="dev-worker-0", troubles=(IMAGE,)),)),
        ),
        59.9,
        60.0,
        "dev-worker-0: kube-system/coredns-1: container coredns is in ImagePullBackOff: Back-off pulling image"
        ' "x": 404 Not Found\n  step:   system pods\n'
        "  remedy: check that the image is in the registry and that the node can reach it; `mirrors` can redirect it",
    ),
    (
        "crash loop",
        Observation(at=0.0, consoles=UP, api=api(*BOTH, pods=(pod("coredns-1", ready=False, troubles=(CRASH,)),))),
        None,
        0.0,
        "kube-system/coredns-1: container coredns is in CrashLoopBackOff after 4 restarts: it ended with code 1"
        " (Error)\n  step:   system pods",
    ),
    (
        "another cluster's API",
        Observation(
            at=0.0, consoles=UP, api=ApiState(error="its certificate is not signed by this cluster's CA", refused=True)
        ),
        59.9,
        60.0,
        "dev-controller-0: the API server answers but refuses this host: its certificate is not signed by this"
        " cluster's CA\n  step:   control plane\n"
        "  remedy: another cluster answers at this address, or the machine's certificates are not this cluster's",
    ),
]


@pytest.mark.parametrize(("seen", "waits", "fails", "text"), [e[1:] for e in EARLY], ids=[e[0] for e in EARLY])
def test_certain_failures_end_early(seen: Observation, waits: float | None, fails: float, text: str) -> None:
    watch = Watch(MEMBERS, 0.0, LIMITS)
    for at in () if waits is None else (0.0, waits):
        assert watch.observe(replace(seen, at=at)).reports == ()
    assert message(watch.observe(replace(seen, at=fails)).reports) == text


PATIENT = [
    ("few attempts", failing(ConsoleState(stage=Stage.IGNITION, failure=RETRYING, fetch_attempts=23))),
    ("worker's kubelet before the manifests", failing(ConsoleState(stage=Stage.KUBELET, units=(KUBELET,)))),
    ("kubelet, four times", failing(ConsoleState(units=(replace(KUBELET, count=4),)), api(BOTH[0]))),
    (
        "old failure of a node that is Ready",
        failing(ConsoleState(failure=BROKEN, units=(TAR,)), api(*BOTH, loads=(load(1, 0),))),
    ),
    (
        "three restarts",
        failing(ConsoleState(), api(*BOTH, pods=(pod("c", ready=False, troubles=(replace(CRASH, restarts=3),)),))),
    ),
]


@pytest.mark.parametrize("seen", [seen for _, seen in PATIENT], ids=[name for name, _ in PATIENT])
def test_what_may_pass_is_waited_for(seen: Observation) -> None:
    watch = Watch(MEMBERS, 0.0, LIMITS)
    assert [watch.observe(replace(seen, at=at)).reports for at in (0.0, 300.0, 599.9)] == [(), (), ()]


TOLD = (
    "dev-worker-0: kubelet.service failed 14 times: no such file\n  step:   kubelet.service\n"
    "  remedy: the lines below are from the unit's journal\n  console (last lines that matter):\n"
    "    E1123 18:04:12.1     812 run.go:72] no such file"
)
KUBELETS = [
    ("joins after the token is there", [(9, REFUSED), (12, REFUSED), (13, api(BOTH[0]))], ""),
    ("fails on", [(9, REFUSED), (9, api(BOTH[0])), (13, api(BOTH[0])), (14, api(BOTH[0]))], TOLD),
    ("failed before this watch", [(14, api(BOTH[0])), (15, api(BOTH[0]))], ""),
    ("fails since this watch began", [(0, api(BOTH[0])), (14, api(BOTH[0]))], TOLD),
]


@pytest.mark.parametrize(("script", "told"), [case[1:] for case in KUBELETS], ids=[case[0] for case in KUBELETS])
def test_failures_of_the_kubelet(script: list[tuple[int, ApiState]], told: str) -> None:
    watch = Watch(MEMBERS, 0.0, LIMITS)
    verdict = Verdict()
    for count, state in script:
        assert verdict.reports == ()
        units = (replace(KUBELET, count=count),) if count else ()
        verdict = watch.observe(failing(ConsoleState(stage=Stage.KUBELET, units=units), state))
    assert message(verdict.reports) == told


def test_image_that_comes_at_last_is_no_failure() -> None:
    watch = Watch(MEMBERS, 0.0, LIMITS)
    stuck = api(*BOTH, pods=(pod("c", ready=False, troubles=(IMAGE,)),))
    states = [
        (0.0, stuck),
        (59.0, stuck),
        (60.0, api(*BOTH, pods=(pod("c", ready=False),))),
        (61.0, stuck),
        (120.0, stuck),
    ]
    assert all(watch.observe(Observation(at=at, consoles=UP, api=state)).reports == () for at, state in states)


SLOW = "\n  remedy: raise `ready_timeout` if the machine is only slow"
AT_TIMEOUT = [
    (
        "nothing on the console",
        Observation(at=600.0, consoles=consoles(Stage.BOOTED, Stage.OFF), api=REFUSED),
        "dev-worker-0: the machine has written nothing to its console after 600 seconds\n  step:   power on\n"
        "  remedy: check that the machine runs, and what its hypervisor says of it",
    ),
    (
        "both stuck",
        Observation(at=600.0, consoles=consoles(Stage.KERNEL, Stage.IGNITION_DONE), api=REFUSED),
        "dev-controller-0: the machine is still at this step after 600 seconds\n  step:   kernel and initramfs"
        f"{SLOW}\n\ndev-worker-0: the machine is still at this step after 600 seconds\n"
        f"  step:   start of the system{SLOW}",
    ),
    (
        "endless retries",
        failing(ConsoleState(stage=Stage.IGNITION, failure=RETRYING, fetch_attempts=7)),
        "dev-worker-0: keeps trying\n  step:   Ignition (files)",
    ),
    (
        "no API",
        Observation(at=600.0, consoles=UP, api=REFUSED),
        "dev-controller-0: the API server is not ready after 600 seconds: [Errno 111] Connection refused\n"
        f"  step:   control plane{SLOW}",
    ),
    (
        "no API, no consoles",
        Observation(at=600.0, consoles={}, api=ApiState()),
        f"dev-controller-0: the API server is not ready after 600 seconds: no answer\n  step:   control plane{SLOW}",
    ),
    (
        "node not Ready",
        Observation(
            at=600.0,
            consoles=UP,
            api=api(BOTH[0], node("dev-worker-0", ready=False, reason="cni plugin not initialized")),
        ),
        "dev-worker-0: the node has joined but is not Ready after 600 seconds: cni plugin not initialized\n"
        "  step:   node Ready",
    ),
    (
        "the machine before it",
        Observation(
            at=600.0, consoles=UP, api=api(BOTH[0], node("dev-worker-0", uuid="4C4C4544-0001-4000-8000-0000000000FF"))
        ),
        "dev-worker-0: the node has not joined after 600 seconds: the API knows the machine"
        " 4c4c4544-0001-4000-8000-0000000000ff under this name, the present one is"
        " 4c4c4544-0001-4000-8000-0000000000a0\n  step:   joining the cluster\n"
        "  remedy: the kubelet could not reach the API or was not let in",
    ),
    (
        "not joined, with the kubelet's words",
        failing(ConsoleState(stage=Stage.KUBELET, units=(replace(KUBELET, count=2),)), api(BOTH[0])),
        "dev-worker-0: kubelet.service failed 2 times: no such file\n  step:   kubelet.service\n"
        "  remedy: the lines below are from the unit's journal\n  console (last lines that matter):\n"
        "    E1123 18:04:12.1     812 run.go:72] no such file",
    ),
    (
        "pods",
        Observation(
            at=600.0,
            consoles=UP,
            api=api(
                *BOTH,
                pods=(
                    pod("coredns-1", ready=False, phase="Pending", message="0/2 nodes are available"),
                    pod(
                        "kube-proxy-a",
                        ready=False,
                        node="dev-worker-0",
                        troubles=(replace(CRASH, container="kube-proxy", restarts=2),),
                    ),
                ),
                loads=(load(2, 0), load(2, 1, name="other"), load(0, 0, name="new", observed=False)),
            ),
        ),
        "kube-system/coredns-1: the pod is not ready after 600 seconds (Pending): 0/2 nodes are available\n"
        "  step:   system pods\n\n"
        "dev-worker-0: kube-system/kube-proxy-a: container kube-proxy is in CrashLoopBackOff after 2 restarts: it ended"
        " with code 1 (Error)\n  step:   system pods\n\n"
        "kube-system/other: DaemonSet has 1 of 2 pods ready after 600 seconds\n  step:   system pods\n\n"
        "kube-system/new: kube-controller-manager has not taken up its newest version after 600 seconds\n"
        "  step:   system pods",
    ),
]


@pytest.mark.parametrize(("seen", "text"), [case[1:] for case in AT_TIMEOUT], ids=[case[0] for case in AT_TIMEOUT])
def test_timeout_names_node_and_step(seen: Observation, text: str) -> None:
    watch = Watch(MEMBERS, 0.0, LIMITS)
    assert watch.observe(replace(seen, at=599.9)).reports == ()
    assert message(watch.observe(replace(seen, at=600.0)).reports) == text
