"""What nodes' logs say: whole excerpts, and the failures that are read out of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from firestorm.readiness.journal import container_failures, journal_failures, node_failures

HERE = Path(__file__).parent
ETCD = "registry.k8s.io/etcd:3.6.8-0"

JOURNALS = [
    ("image-missing", [("images", f"the image {ETCD} cannot be pulled: not found", 2)]),
    (
        "registry-refuses",
        [
            (
                "images",
                "the image registry.k8s.io/pause:3.10 cannot be pulled: Head https://registry.k8s.io/v2/pause/manifests/3.10:"
                " dial tcp 192.0.2.1:443: connect: connection refused",
                2,
            )
        ],
    ),
    (
        "sandbox-image-missing",
        [("images", "the image registry.k8s.io/pause:3.10.2 cannot be pulled: not found", 2)],
    ),
    ("pulled-in-the-end", []),
    (
        "no-space",
        [
            ("disk", f"no space is left on the node's disk for the image {ETCD}", 3),
            ("disk", "the kubelet evicts pods for want of ephemeral-storage", 3),
        ],
    ),
]


@pytest.mark.parametrize(("name", "expected"), JOURNALS, ids=[name for name, _ in JOURNALS])
def test_journal(name: str, expected: list[tuple[str, str, int]]) -> None:
    failures = journal_failures((HERE / "journals" / f"{name}.txt").read_text())
    assert [(failure.step, failure.cause, failure.rank) for failure in failures] == expected


def test_the_line_without_a_reason_does_not_hide_the_one_with_it() -> None:
    text = (
        HERE / "journals" / "image-missing.txt"
    ).read_text() + f'E1125 1 a.go:1] "x" err="Back-off pulling image \\"{ETCD}\\""\n'
    assert [failure.cause for failure in journal_failures(text)] == [f"the image {ETCD} cannot be pulled: not found"]


def test_kubelet_that_ended() -> None:
    text = (
        "2026-11-25T21:00:03+0000 kubelet[812]: E1125 21:00:03.4 812 run.go:72] "
        '"command failed" err="failed to parse kubelet flag: unknown flag: --no-such"'
    )
    assert [(f.step, f.cause) for f in journal_failures(text)] == [
        ("kubelet.service", "the kubelet ended: failed to parse kubelet flag: unknown flag: --no-such")
    ]


LOST = (HERE / "journals" / "etcd-lost.txt").read_text()


def test_containers_of_a_lost_member() -> None:
    assert [(f.step, f.cause) for f in container_failures(LOST)] == [
        ("etcd", "etcd ended: discovery failed: member 8e9e has already been bootstrapped"),
        ("etcd", "the API server cannot reach the etcd member at 10.17.0.10:2379: connection refused"),
    ]


def test_etcds_words_count_in_its_own_log_alone() -> None:
    assert (
        container_failures(LOST.replace("/etcd/3.log", "/web/3.log").replace("/kube-apiserver/0.log", "/web/0.log"))
        == ()
    )


FACTS = """
==> df -P -l
Filesystem     1024-blocks    Used Available Capacity Mounted on
/dev/vda2          5000000 4990000     10000      100% /
/dev/vda1            60000   60000         0      100% /usr
tmpfs               400000    1000    399000        1% /run

==> df -P -l -i
Filesystem      Inodes  IUsed   IFree IUse% Mounted on
/dev/vda2       320000  60000  260000       19% /

==> ls -l /etc/kubernetes/manifests
total 8
-rw------- 1 root root 3180 Nov 25 20:59 {manifest}.yaml

==> ip route
default via 10.17.0.1 dev ens2
"""


def test_facts() -> None:
    full = [("disk", "100 % of the space of the file system at / is used")]
    gone = ("etcd", "the etcd member is gone: /etc/kubernetes/manifests has no etcd.yaml, and so the kubelet runs none")
    lost = FACTS.format(manifest="kube-apiserver")
    assert [(f.step, f.cause) for f in node_failures(lost, "controller")] == [*full, gone]
    assert [(f.step, f.cause) for f in node_failures(lost, "worker")] == full
    assert [(f.step, f.cause) for f in node_failures(FACTS.format(manifest="etcd"), "controller")] == full
    assert node_failures("", "controller") == ()
