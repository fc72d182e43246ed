"""Whole collections: of recorded consoles and journals through real files and pipes, and of an API's canned answers."""

from __future__ import annotations

import base64
import http.server
import json
import os
import re
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firestorm import node, spec
from firestorm.evidence import Subject, SubjectNode, Summary, collect
from firestorm.pki import Pki, issue, request_for
from firestorm.render import admin_kubeconfig
from tests.components.readiness.journal_port import machine, make_pipes

CONSOLES = Path(__file__).parents[1] / "readiness" / "consoles"
JOURNALS = Path(__file__).parents[1] / "readiness" / "journals"
GOLDENS = Path(__file__).parent / "summaries"
TOKEN = "abcdef.0123456789abcdef"


@pytest.fixture(scope="session")
def pki() -> Pki:
    return issue(request_for(spec.parse({"name": "demo"})), None, datetime.now(UTC))


@pytest.fixture(scope="session")
def configs(pki: Pki) -> dict[str, str]:
    cluster = spec.parse({"name": "demo"})
    return {n.name: node.node_config(cluster, n, pki, TOKEN).json for n in cluster.nodes}


def controller(directory: Path, console: str | None = None) -> SubjectNode:
    path = directory / "demo-controller-0.log"
    if console is not None:
        path.write_bytes(re.sub(rb"dev-worker-0", b"demo-controller-0", (CONSOLES / f"{console}.txt").read_bytes()))
    return SubjectNode(
        name="demo-controller-0",
        role="controller",
        address="10.17.0.10",
        console=path,
        journal=directory / "demo-controller-0.journal",
    )


def recorded(summary: Summary, into: Path, name: str) -> None:
    """The first three lines of the summary are those of summaries/NAME.md."""
    text = "\n".join((into / "summary.md").read_text().splitlines()[:3]) + "\n"
    path = GOLDENS / f"{name}.md"
    if os.environ.get("FIRESTORM_RECORD_GOLDENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        pytest.fail(f"{path} was recorded: read it, then run again without FIRESTORM_RECORD_GOLDENS")
    assert text == path.read_text(), summary.markdown()


def test_a_node_that_ignition_refused(tmp_path: Path) -> None:
    into = tmp_path / "evidence"
    subject = Subject(name="demo", nodes=(controller(tmp_path, "config-refused"),))
    summary = collect(subject, into, timeout=10)
    recorded(summary, into, "ignition-refused")
    assert [f"{item.what}: {item.why}" for item in summary.missing] == [
        "everything that the API tells: there is no kubeconfig: the cluster never came up",
        "journal of demo-controller-0: the machine has not come so far (Ignition); its console tells of it",
        "config of demo-controller-0: it was never rendered",
    ]
    assert (into.stat().st_mode & 0o777, (into / "summary.md").stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_kubelet_that_fails(tmp_path: Path) -> None:
    into = tmp_path / "evidence"
    summary = collect(Subject(name="demo", nodes=(controller(tmp_path, "kubelet-failing"),)), into, timeout=10)
    recorded(summary, into, "kubelet-failing")


ANSWERS = [
    (
        "image-missing",
        {"journalctl": "cat {journals}/image-missing.txt | sed 's/^/2026-11-25T21:00:03+00:00 kubelet[812]: /'"},
    ),
    ("no-space", {"journalctl": "cat {journals}/no-space.txt | sed 's/^/2026-11-25T21:00:03+00:00 kubelet[812]: /'"}),
    ("etcd-lost", {"journalctl": "true", "ls": "echo kube-apiserver.yaml"}),
    ("disk-full", {"journalctl": "true", "ls": "echo etcd.yaml", "df": "echo '/dev/vda2 500 500 0 100% /'"}),
]


@pytest.mark.parametrize(("name", "programs"), ANSWERS, ids=[name for name, _ in ANSWERS])
def test_a_node_that_tells_why(name: str, programs: Mapping[str, str], tmp_path: Path) -> None:
    subject = Subject(name="demo", nodes=(controller(tmp_path, "good"),), error="the API server is not ready")
    port = subject.nodes[0].journal
    assert port is not None
    programs = {"df": "true", "ls": "echo etcd.yaml", **programs}
    with machine(make_pipes(port), {key: text.format(journals=JOURNALS) for key, text in programs.items()}):
        summary = collect(subject, tmp_path / "evidence", timeout=60)
    recorded(summary, tmp_path / "evidence", name)
    assert {"nodes/demo-controller-0/node.txt", "nodes/demo-controller-0/console.log"} <= set(summary.files)


def test_a_machine_that_went_on_from_a_snapshot(tmp_path: Path) -> None:
    booted = controller(tmp_path, "good")
    assert booted.console is not None
    earlier = booted.console.rename(tmp_path / "earlier.log")
    node = replace(controller(tmp_path), earlier=earlier)
    booted.console.write_text("[  900.0] a line since then\r\n")
    assert node.journal is not None
    with machine(make_pipes(node.journal), {"journalctl": "echo a journal", "df": "true", "ls": "echo etcd.yaml"}):
        summary = collect(Subject(name="demo", nodes=(node,)), tmp_path / "evidence", timeout=60)
    assert "firmware" not in summary.markdown()
    nodes = tmp_path / "evidence" / "nodes" / node.name
    assert "a journal" in (nodes / "journal.log").read_text()
    shown = (nodes / "console.log").read_text().splitlines()
    assert shown[0] == earlier.read_text().splitlines()[0]
    assert shown[-1] == "[  900.0] a line since then"


def test_no_file_holds_a_secret(pki: Pki, configs: dict[str, str], tmp_path: Path) -> None:
    """The worst that a node can do: print its whole config, in every writing, on console and journal."""
    cluster = spec.parse({"name": "demo"})
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(admin_kubeconfig(cluster, pki))
    config = configs["demo-controller-0"]
    spill = tmp_path / "spill.txt"
    keys = [pki.service_account.key, *(pair.key for pair in (*pki.leaves.values(), *pki.authorities.values()))]
    lines = [config, *keys, pki.encryption_key, TOKEN, pki.to_json(), kubeconfig.read_text()]
    lines += [base64.b64encode(line.encode()).decode() for line in lines] + [json.dumps(line) for line in lines]
    wrapped = "\n".join(line[i : i + 76] for line in lines for i in range(0, len(line), 76))
    spill.write_text(
        "\n".join(f"2026-11-25T21:00:03+00:00 kubelet[812]: {line}" for line in lines) + wrapped + "\nthe end.\n"
    )
    told = controller(tmp_path, "good")
    assert told.console is not None
    assert told.journal is not None
    with told.console.open("a") as file:
        file.write(f"{spill.read_text()}\r\nkube-controller-manager --cluster-cidr=10.2.0.0/16\r\n")
    subject = Subject(
        name="demo",
        nodes=(told,),
        kubeconfig=kubeconfig,
        configs=configs,
        secrets=frozenset({pki.to_json(), TOKEN, config, "a plain password"}),
        error=f"command failed: --token={TOKEN} --password='a plain password'",
    )
    with machine(make_pipes(told.journal), {"journalctl": f"cat {spill}"}):
        summary = collect(subject, tmp_path / "evidence", timeout=120)
    files = {path.name: path.read_text() for path in (tmp_path / "evidence").rglob("*") if path.is_file()}
    hidden = {line for key in keys for line in key.split("\n")[1:-2]} | {pki.encryption_key, TOKEN, TOKEN[7:]}
    hidden |= {base64.b64encode(key.encode()).decode() for key in keys} | {"a plain password"}
    for name, text in files.items():
        for secret in hidden:
            assert secret not in text, name
            assert secret not in text.replace("\n", ""), name
        assert "PRIVATE KEY-----\nMI" not in text
    assert "the end." in files["journal.log"]  # and what is no secret is all there
    assert "kube-controller-manager --cluster-cidr=10.2.0.0/16" in files["console.log"]
    assert json.loads(files["config.ign"])["ignition"]["version"]
    assert "--initial-cluster-token=demo" in files["config.txt"] or "(secret)" in files["config.txt"]
    assert "(hidden)" in summary.error


@contextmanager
def api(answers: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    """An API server that answers what it is told to; its kubeconfig."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answers.get(self.path.partition("?")[0], (404, '{"kind": "Status"}'))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield json.dumps(
            {
                "current-context": "a",
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "users": [{"name": "a", "user": {"token": "admin-token-0123456789"}}],
            }
        )
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def items(*objects: Mapping[str, object]) -> tuple[int, str]:
    return 200, json.dumps({"metadata": {}, "items": list(objects)})


def ready(name: str, *pressures: str) -> dict[str, object]:
    conditions = [{"type": "Ready", "status": "True"}, *({"type": each, "status": "True"} for each in pressures)]
    info = dict.fromkeys(
        ("machineID", "bootID", "kernelVersion", "osImage", "kubeProxyVersion", "operatingSystem", "architecture"), "x"
    )
    info |= {"systemUUID": "AA", "kubeletVersion": "v1.36.4", "containerRuntimeVersion": "containerd://2.4.2"}
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": conditions, "nodeInfo": info}}


POD = {
    "metadata": {"namespace": "kube-system", "name": "coredns-1"},
    "spec": {"nodeName": "demo-controller-0", "containers": []},
    "status": {
        "phase": "Pending",
        "conditions": [{"type": "Ready", "status": "False", "message": "containers with unready status: [coredns]"}],
        "containerStatuses": [
            {
                "name": "coredns",
                "image": "registry.k8s.io/coredns:1",
                "imageID": "",
                "ready": False,
                "restartCount": 2,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "registry.k8s.io/coredns:1: not found"}},
            }
        ],
    },
}
EVENT = {
    "type": "Warning",
    "reason": "Failed",
    "message": "Error: ErrImagePull",
    "count": 7,
    "lastTimestamp": "2026-11-25T21:00:00Z",
    "metadata": {"name": "e", "namespace": "kube-system"},
    "involvedObject": {"kind": "Pod", "namespace": "kube-system", "name": "coredns-1"},
}
WELL: Mapping[str, tuple[int, str]] = {
    "/readyz": (200, "[+]etcd ok\n[+]ping ok\nreadyz check passed\n"),
    "/livez": (200, "[+]ping ok\n"),
    "/readyz/etcd": (200, "ok"),
    "/api/v1/nodes": items(ready("demo-controller-0")),
    "/api/v1/pods": items(),
    "/api/v1/events": items(EVENT),
    "/api/v1/namespaces/kube-system/pods": items(),
    "/api/v1/namespaces/kube-flannel/pods": items(),
    **{
        f"/apis/apps/v1/namespaces/{space}/{kind}": items()
        for space in ("kube-system", "kube-flannel")
        for kind in ("daemonsets", "deployments")
    },
}
PODS: Mapping[str, tuple[int, str]] = {
    "/api/v1/pods": items(POD),
    "/api/v1/namespaces/kube-system/pods": items(POD),
    "/api/v1/namespaces/kube-system/pods/coredns-1/log": (200, "a line of its log\n"),
}


def of_api(tmp_path: Path, answers: Mapping[str, tuple[int, str]], error: str | None = None) -> tuple[Summary, Path]:
    with api(answers) as text:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(text)
        subject = Subject(name="demo", nodes=(controller(tmp_path, "good"),), kubeconfig=kubeconfig, error=error)
        return collect(subject, tmp_path / "evidence", timeout=30), tmp_path / "evidence"


def test_a_cluster_that_is_well_while_the_command_failed(tmp_path: Path) -> None:
    summary, into = of_api(tmp_path, WELL, error="pytest ended with status 1")
    assert summary.markdown().splitlines()[:5] == [
        "# Cluster demo failed: what was said",
        "",
        "**pytest ended with status 1**",
        "",
        "Of the cluster itself nothing wrong was seen.",
    ]
    assert "/readyz?verbose: [+]etcd ok" in (into / "etcd.txt").read_text()
    assert "Ready=True" in (into / "nodes.txt").read_text()
    assert "Warning  Failed  Pod kube-system/coredns-1  x7  Error: ErrImagePull" in (into / "events.txt").read_text()
    assert "admin-token-0123456789" not in "".join(path.read_text() for path in into.rglob("*") if path.is_file())


def test_a_pod_without_its_image(tmp_path: Path) -> None:
    summary, into = of_api(tmp_path, {**WELL, **PODS})
    recorded(summary, into, "pod-without-image")
    assert "waiting  reason ImagePullBackOff" in (into / "pods.txt").read_text()
    assert (into / "pods" / "kube-system_coredns-1_coredns.log").read_text() == "a line of its log\n"
    assert (into / "pods" / "kube-system_coredns-1_coredns.previous.log").exists()


def test_a_node_under_disk_pressure(tmp_path: Path) -> None:
    summary, into = of_api(tmp_path, {**WELL, "/api/v1/nodes": items(ready("demo-controller-0", "DiskPressure"))})
    recorded(summary, into, "disk-pressure")


def test_the_test_report(tmp_path: Path) -> None:
    _, into = of_api(tmp_path, {**WELL, **PODS})
    suite = ET.parse(into / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    cases = {(case.get("classname"), case.get("name")): case.find("failure") is None for case in suite.iter("testcase")}
    assert cases == {
        ("firestorm.demo.demo-controller-0", "boots"): True,
        ("firestorm.demo.demo-controller-0", "is configured"): True,
        ("firestorm.demo.demo-controller-0", "starts its kubelet"): True,
        ("firestorm.demo.demo-controller-0", "is Ready"): True,
        ("firestorm.demo.cluster", "the API answers"): True,
        ("firestorm.demo.cluster", "system pods run"): False,
    }
    assert (suite.get("tests"), suite.get("failures")) == ("6", "1")


STRANGE = [
    ("an API that answers nonsense", dict.fromkeys(WELL, (200, "<html>"))),
    ("an API that refuses", dict.fromkeys(WELL, (403, "forbidden"))),
    ("objects without fields", {**WELL, "/api/v1/nodes": (200, '{"items": [{}, {"metadata": null}]}')}),
    ("an API without anything", {}),
]


@pytest.mark.parametrize("answers", [case[1] for case in STRANGE], ids=[case[0] for case in STRANGE])
def test_nothing_that_the_api_says_is_fatal(answers: Mapping[str, tuple[int, str]], tmp_path: Path) -> None:
    summary, into = of_api(tmp_path, answers, error="up failed")
    assert summary.cause
    assert summary.missing or "cluster" in (into / "junit.xml").read_text()


def test_nothing_there_at_all(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("not: a kubeconfig")
    nodes = (
        controller(tmp_path),
        SubjectNode(name="demo-worker-0", role="worker", console=tmp_path, journal=tmp_path),
        SubjectNode(name="demo-worker-1", role="worker"),
    )
    error = (
        "Diagnostics:\n  firestorm (demo):\n    error: demo-worker-0: Ignition failed: no\n"
        "      step:   Ignition (files)\n      remedy: do it\n"
    )
    subject = Subject(name="demo", nodes=nodes, kubeconfig=kubeconfig, configs={"demo-worker-0": "{}"}, error=error)
    summary = collect(subject, tmp_path / "evidence", timeout=10)
    assert summary.markdown().splitlines()[:5] == [
        "# Cluster demo failed: demo-worker-0, Ignition (files)",
        "",
        "**Ignition failed: no**",
        "",
        "Remedy: do it.",
    ]
    assert {item.what for item in summary.missing} == {
        "everything that the API tells",
        *(f"console of {n.name}" for n in nodes),
        *(f"journal of {n.name}" for n in nodes),
        *(f"config of {n.name}" for n in nodes),
    }


def test_a_node_that_does_not_answer_costs_no_more_than_the_time_there_is(tmp_path: Path) -> None:
    subject = Subject(name="demo", nodes=(controller(tmp_path, "good"),))
    assert subject.nodes[0].journal is not None
    port = make_pipes(subject.nodes[0].journal)
    ends = [os.open(f"{port}{suffix}", os.O_RDWR | os.O_NONBLOCK) for suffix in (".in", ".out")]
    started = time.monotonic()
    summary = collect(subject, tmp_path / "evidence", timeout=3)
    assert time.monotonic() - started < 60  # far from the minutes that a node without a limit would get
    for end in ends:
        os.close(end)
    assert any("did not answer" in item.why or "time was up" in item.why for item in summary.missing)


def test_a_long_console_is_cut_in_its_middle(tmp_path: Path) -> None:
    subject = Subject(name="demo", nodes=(controller(tmp_path, "good"),))
    assert subject.nodes[0].console is not None
    with subject.nodes[0].console.open("a") as file:
        file.writelines(f"line {number} of a very talkative machine\n" for number in range(100_000))
    collect(subject, tmp_path / "evidence", timeout=120)
    text = (tmp_path / "evidence" / "nodes" / "demo-controller-0" / "console.log").read_text()
    assert len(text) < 3 << 20
    assert text.startswith("SeaBIOS")
    assert "bytes are left out here" in text
    assert text.endswith("line 99999 of a very talkative machine\n")
