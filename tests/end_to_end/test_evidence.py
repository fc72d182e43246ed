"""Clusters that fail in five ways: the first three lines of each summary name the cause, and no file holds a secret.

An Ignition failure is the first of them; the fifth is a cluster that was up.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm.evidence import Subject, Summary, collect
from firestorm.readiness.port import PortError, ask
from firestorm_lab.development import Development
from firestorm_lab.standin import REGISTRY_PORT
from tests.end_to_end.evidence_subject import subject_of
from tests.end_to_end.running import eventually, start
from tests.end_to_end.test_failures import failed_up, masked

pytestmark = [pytest.mark.lab, pytest.mark.machine, pytest.mark.trial, pytest.mark.timeout(1200)]
GOLDEN = Path(__file__).parent / "golden"

HEAD = "variant: flatcar\nversion: 1.1.0\n"
READ_ONLY = HEAD + ("storage:\n  files:\n    - {path: /usr/share/firestorm, mode: 0644, contents: {inline: no}}\n")
FLAG = (
    HEAD
    + """\
systemd:
  units:
    - name: kubelet.service
      dropins:
        - name: 50-flag.conf
          contents: |
            [Service]
            ExecStart=
            ExecStart=/opt/bin/kubelet $KUBELET_ARGS --no-such-flag
"""
)
# All but a few megabytes of the disk, once it has its size.
FULL = (
    HEAD
    + """\
systemd:
  units:
    - name: fill.service
      enabled: true
      contents: |
        [Unit]
        After=firestorm-growfs.service
        Before=containerd.service cni-plugins.service

        [Service]
        Type=oneshot
        ExecStart=/bin/sh -c 'fallocate -l $(($(stat -f -c %%a*%%S /) - 8000000)) /var/full'

        [Install]
        WantedBy=multi-user.target
"""
)
# The images that the stand-in's disk has are not there: the node has to pull.
PULL = (
    HEAD
    + """\
systemd:
  units:
    - name: forget.service
      enabled: true
      contents: |
        [Unit]
        Before=containerd.service

        [Service]
        Type=oneshot
        ExecStart=/bin/sh -c 'rm -rf /var/lib/containerd/*'

        [Install]
        WantedBy=multi-user.target
"""
)
# From inside, as no one could from outside: the etcd member's data and manifest go, then the kubelet and the network.
LOSE = """
apiVersion: v1
kind: Pod
metadata: {name: lose, namespace: kube-system}
spec:
  nodeName: NODE
  hostNetwork: true
  hostPID: true
  restartPolicy: Never
  containers:
    - name: lose
      image: firestorm.test/busybox:1
      securityContext: {privileged: true}
      command: [chroot, /host, /bin/sh, -c]
      args:
        - >-
          rm /etc/kubernetes/manifests/etcd.yaml; rm -rf /var/lib/etcd/member;
          until ! curl --silent --fail --max-time 5 http://127.0.0.1:2381/readyz; do sleep 1; done;
          systemctl stop kubelet.service;
          for link in /sys/class/net/e*; do ip link set ${link##*/} down; done
      volumeMounts: [{name: host, mountPath: /host}]
  volumes: [{name: host, hostPath: {path: /}}]
"""


def assert_cause(summary: Summary, into: Path, name: str) -> None:
    """The summary's first three lines are those of golden/NAME.md, addresses, times and counts aside."""
    lines = "\n".join((into / "summary.md").read_text().splitlines()[:3])
    expected = (GOLDEN / f"{name}.md").read_text().rstrip("\n")
    assert counted(lines) == counted(expected), summary.markdown()


def counted(text: str) -> str:
    return re.sub(r"failed \d+ times|\d+ %", "N", masked(text))


def assert_no_secrets(subject: Subject, into: Path) -> None:
    """No file holds a secret value of the state, nor a key or token that is in one, in any of four writings."""
    files = {path: path.read_text() for path in into.rglob("*") if path.is_file()}
    assert files
    hidden = {text for value in subject.secrets for text in (value, *secret_parts(value)) if len(text) >= 8}
    assert len(hidden) > 20
    for path, text in files.items():
        assert path.stat().st_mode & 0o777 == 0o600, path
        for secret in hidden:
            for form in (secret, json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode().rstrip("=")):
                assert form not in text, f"{path} holds a secret"


def secret_parts(value: str) -> Iterator[str]:
    """What anybody would call a secret in a value: lines of private keys, also where a document holds one in base64."""
    text = value.replace("\\n", "\n")
    for block in re.findall(r"PRIVATE KEY-----\n(.*?)\n-----END", text, re.DOTALL):
        yield from block.split("\n")
    yield from re.findall(r"\b[a-z0-9]{6}\.([a-z0-9]{16})\b", text)
    for token in re.findall(r"[\w+/]{60,}={0,2}", text):
        try:
            inner = base64.b64decode(token).decode()
        except ValueError:
            continue
        if "PRIVATE KEY" in inner:
            yield token
            yield from secret_parts(inner)


def test_an_ignition_failure(broken: Development, tmp_path: Path) -> None:
    summary, subject, into = fail(broken, tmp_path, READ_ONLY)
    assert_cause(summary, into, "evidence-ignition")
    assert_no_secrets(subject, into)
    assert (into / "nodes/broken-controller-0/console.log").exists()
    assert "its console tells of it" in summary.markdown()


def test_a_kubelet_flag_that_does_not_exist(broken: Development, tmp_path: Path) -> None:
    summary, subject, into = fail(broken, tmp_path, FLAG)
    assert_cause(summary, into, "evidence-kubelet-flag")
    assert_no_secrets(subject, into)
    assert "unknown flag: --no-such-flag" in (into / "nodes/broken-controller-0/kubelet.log").read_text()


def test_an_image_that_is_missing_from_the_registry(broken: Development, tmp_path: Path) -> None:
    snippet = tmp_path / "pull.bu"
    snippet.write_text(PULL)
    start(broken, {"controllers": {"snippets": [str(snippet)]}, "workers": []})
    config = broken.stack_config.read_text()
    changed = re.sub(rf"(registry\.k8s\.io: http://[\d.]+:{REGISTRY_PORT})", r"\1/not-there", config)
    assert changed != config
    broken.stack_config.write_text(changed)
    said = failed_up(broken)
    assert re.search(r"broken-controller-0: the image registry\.k8s\.io/\S+ cannot be pulled: .*not found", said)
    summary, subject, into = gather(broken, tmp_path, said)
    assert_cause(summary, into, "evidence-image")
    assert_no_secrets(subject, into)


def test_a_node_out_of_disk(broken: Development, tmp_path: Path) -> None:
    summary, subject, into = fail(broken, tmp_path, FULL)
    assert_cause(summary, into, "evidence-disk")
    assert_no_secrets(subject, into)


def test_an_etcd_member_that_is_lost_on_a_node_without_network_and_kubelet(broken: Development, tmp_path: Path) -> None:
    running = start(broken, {"workers": []})
    broken.up()
    well, subject, into = gather(broken, tmp_path / "well", None)
    assert well.cause == "no fault can be seen: all nodes are Ready and all system pods run"
    assert [item for item in well.missing if "broken-controller-0" in item.what] == []
    assert {"api.txt", "etcd.txt", "events.txt", "nodes.txt", "pods.txt", "junit.xml"} <= {
        p.name for p in into.iterdir()
    }
    assert_no_secrets(subject, into)

    running.kubectl("apply", "-f", "-", stdin=LOSE.replace("NODE", "broken-controller-0"))
    port = subject.nodes[0].journal
    assert port is not None
    eventually(lambda: cut_off(port), seconds=400, pause=10)
    summary, subject, into = gather(broken, tmp_path / "lost", None)
    assert_cause(summary, into, "evidence-etcd")
    assert_no_secrets(subject, into)
    node = into / "nodes/broken-controller-0"
    assert "Stopped kubelet.service" in (node / "journal.log").read_text()
    assert "etcd" in (node / "containers.log").read_text()


def cut_off(port: Path) -> None:
    try:
        journal = ask(port, "journal", timeout=60).data.decode(errors="replace")
    except PortError as error:
        raise AssertionError(str(error)) from error
    assert "Stopped kubelet.service" in journal


def fail(development: Development, scratch: Path, snippet: str) -> tuple[Summary, Subject, Path]:
    """Bring up a controller with this snippet, which must fail, and collect the evidence."""
    path = scratch / "snippet.bu"
    path.write_text(snippet)
    start(development, {"controllers": {"snippets": [str(path)]}, "workers": []})
    return gather(development, scratch, failed_up(development))


def gather(development: Development, scratch: Path, error: str | None) -> tuple[Summary, Subject, Path]:
    subject, into = subject_of(development, error), scratch / "evidence"
    return collect(subject, into, timeout=240), subject, into
