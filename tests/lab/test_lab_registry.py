"""The registry: what the layout holds comes out of it unchanged, and nothing can be put in while it serves."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from firestorm_lab import packages, registry
from firestorm_lab.cache import Workspace
from firestorm_lab.containers import Layout
from firestorm_lab.errors import LabError
from firestorm_lab.oci import Entry, Layer, OciImage, write_layout
from firestorm_lab.process import Runner
from firestorm_lab.progress import Step

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NAME = "registry.k8s.io/some/image:v1"
LAB = Path(__file__).parents[2] / "lab"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    packages.require(("docker-registry", "skopeo"))
    work = tmp_path_factory.mktemp("registry")
    layer = Layer(entries=(Entry(path="/file", content=b"content"),))
    digests = write_layout(work / "layout", [OciImage(name=NAME, layers=(layer,))])
    workspace = Workspace(
        out=work / "out", scratch=work / "scratch", runner=Runner(log=work / "log", step=Step("test"))
    )
    workspace.out.mkdir()
    workspace.scratch.mkdir()
    registry.fill(workspace, Layout(path=work / "layout", digests=digests))
    return workspace.out / "storage", digests[NAME]


def ask(port: int, method: str, path: str) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers={"Accept": MANIFEST})
        response = connection.getresponse()
        return response.status, response.getheader("Docker-Content-Digest"), response.read()
    finally:
        connection.close()


def test_an_image_is_served_under_its_repository_with_its_digest(filled: tuple[Path, str], tmp_path: Path) -> None:
    storage, digest = filled
    port = registry.free_port()
    with registry.running(storage, "127.0.0.1", port, tmp_path, read_only=True):
        status, told, body = ask(port, "GET", "/v2/some/image/manifests/v1")
        assert (status, told) == (200, digest)
        (layer,) = json.loads(body)["layers"]
        status, _, archive = ask(port, "GET", f"/v2/some/image/blobs/{layer['digest']}")
        assert (status, len(archive)) == (200, layer["size"])
        assert b"content" in archive
        assert ask(port, "GET", "/v2/some/image/manifests/v2")[0] == 404
        assert ask(port, "POST", "/v2/some/image/blobs/uploads/")[0] == 405


def test_a_port_that_is_taken_is_said(filled: tuple[Path, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(LabError, match=rf"(?s)does not answer at 127\.0\.0\.1:{port}.*address already in use"),
            registry.running(filled[0], "127.0.0.1", port, tmp_path, read_only=True),
        ):
            pass


def test_serve_says_when_it_is_ready_and_ends_when_told(tmp_path: Path) -> None:
    ports = [registry.free_port(), registry.free_port()]
    command = [sys.executable, "-m", "firestorm_lab", "serve", "--release-port", str(ports[0])]
    process = subprocess.Popen(
        [*command, "--registry-port", str(ports[1])],
        env={**os.environ, "PYTHONPATH": str(LAB)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = f"ready: releases http://127.0.0.1:{ports[0]} registry http://127.0.0.1:{ports[1]}\n"
        assert process.stdout.readline() == ready
        assert ask(ports[1], "GET", "/v2/pause/manifests/3.10.2")[0] == 200
        assert ask(ports[0], "HEAD", "/dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet")[0] == 200
    finally:
        process.send_signal(signal.SIGTERM)
        _, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    with pytest.raises(ConnectionRefusedError):
        ask(ports[1], "GET", "/v2/")
