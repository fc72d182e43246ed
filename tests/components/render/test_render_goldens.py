"""What every kind of machine gets, and the cluster's own objects, as texts to read in a review.

FIRESTORM_RECORD_GOLDENS=1 writes them anew and fails, so that no such run is taken for a passed one.
"""

from __future__ import annotations

import base64
import difflib
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from firestorm.pki import Pki, request_for
from firestorm.releases import Release
from firestorm.render import manifests, node_directories, node_files
from firestorm.spec.model import ClusterSpec, Mirror, OsName, Taint

GOLDENS = Path(__file__).parent / "goldens"
TOKEN = "000000.0000000000000000"

MakeCluster = Callable[..., ClusterSpec]


def check(name: str, actual: str) -> None:
    path = GOLDENS / name
    if os.environ.get("FIRESTORM_RECORD_GOLDENS"):
        path.write_text(actual)
        pytest.fail(f"{path} was recorded: read it, then run again without FIRESTORM_RECORD_GOLDENS")
    assert actual == path.read_text()


def readable(content: str) -> str:
    """Kubeconfigs with what their base64 holds, so that a golden tells which certificate is where."""

    def decode(match: re.Match[str]) -> str:
        return f"-data: <{base64.b64decode(match[1]).decode().strip()}>"

    return re.sub(r"-data: (\S+)", decode, content)


def listing(spec: ClusterSpec, role: str, release: Release) -> str:
    node = next(node for node in spec.nodes if node.role == role)
    pki = Pki.placeholder(request_for(spec))
    parts = [f"== {d.path}/ {d.mode:04o} {d.uid}:{d.gid}\n" for d in node_directories(spec, node)]
    parts += [
        f"== {f.path} {f.mode:04o} {f.uid}:{f.gid}\n{readable(f.content)}"
        for f in node_files(spec, node, pki, release, token=TOKEN)
    ]
    return "".join(parts)


def demo(cluster: MakeCluster, system: OsName) -> ClusterSpec:
    return cluster(
        system,
        worker={"labels": {"disk": "fast"}, "taints": (Taint(key="gpu", value="yes"),)},
        mirrors=(Mirror(prefix="registry.k8s.io", url="http://10.17.0.1:5000"),),
    )


@pytest.mark.parametrize("role", ["controller", "worker"])
def test_a_machine_of_the_stand_in(cluster: MakeCluster, release: Release, role: str) -> None:
    check(f"debian-{role}.txt", listing(demo(cluster, "debian"), role, release))


@pytest.mark.parametrize("role", ["controller", "worker"])
@pytest.mark.parametrize("system", ["flatcar", "fcos"])
def test_what_is_different_elsewhere(cluster: MakeCluster, release: Release, system: OsName, role: str) -> None:
    stand_in, other = (listing(demo(cluster, name), role, release) for name in ("debian", system))
    lines = difflib.unified_diff(
        stand_in.splitlines(keepends=True), other.splitlines(keepends=True), f"debian-{role}", f"{system}-{role}", n=1
    )
    check(f"{system}-{role}.diff", "".join(lines))


def test_the_clusters_own_objects(cluster: MakeCluster, release: Release) -> None:
    objects = manifests(
        cluster(), release, token="abcdef.0123456789abcdef", now=datetime(2026, 3, 1, 12, 0, 15, 999, tzinfo=UTC)
    )
    check("manifests.yaml", "---\n".join(yaml.safe_dump(object_, sort_keys=False) for object_ in objects))
