"""The release mirror: the official paths below their hosts' names, and nothing outside its root."""

from __future__ import annotations

import hashlib
import http.client
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm_lab import mirror
from firestorm_lab.cache import file_digest
from firestorm_lab.mirror import MirrorServer

BIG = bytes(range(256)) * 40_000  # 10 MB: more than a socket's buffer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MirrorServer]:
    root = tmp_path / "files"
    (root / "dl.k8s.io" / "release").mkdir(parents=True)
    (root / "dl.k8s.io" / "release" / "kubelet").write_bytes(BIG)
    (root / "dl.k8s.io" / "a b").write_text("blank")
    (tmp_path / "secret").write_text("not to be seen")
    (root / "link").symlink_to(tmp_path / "secret")
    with MirrorServer(root, "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def request(server: MirrorServer, method: str, path: str) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Length"), response.read()
    finally:
        connection.close()


def test_a_file_is_served_whole(server: MirrorServer) -> None:
    status, length, body = request(server, "GET", "/dl.k8s.io/release/kubelet")
    assert (status, length) == (200, str(len(BIG)))
    assert hashlib.sha256(body).digest() == hashlib.sha256(BIG).digest()
    assert request(server, "HEAD", "/dl.k8s.io/release/kubelet") == (200, str(len(BIG)), b"")
    assert request(server, "GET", "/dl.k8s.io/a%20b?x=1") == (200, "5", b"blank")
    assert any('"GET /dl.k8s.io/release/kubelet HTTP/1.1" 200' in line for line in server.requests)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/dl.k8s.io",
        "/dl.k8s.io/",
        "/absent",
        "/../secret",
        "/%2e%2e/secret",
        "/dl.k8s.io/../../secret",
        "/link",
        "/%00",
    ],
)
def test_nothing_else_exists(server: MirrorServer, path: str) -> None:
    status, _, body = request(server, "GET", path)
    assert status == 404
    assert b"not to be seen" not in body


def test_one_connection_carries_several_requests(server: MirrorServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        for _ in range(2):
            connection.request("GET", "/dl.k8s.io/a%20b")
            assert connection.getresponse().read() == b"blank"
    finally:
        connection.close()


def test_the_plugins_archive_is_reproducible_and_named_as_the_official_one(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in ("bridge", "host-local"):
            (tmp_path / folder / name).write_bytes(f"{name} program".encode())
        mirror.write_plugins(tmp_path / f"{folder}.tgz", tmp_path / folder)
    assert file_digest(tmp_path / "one.tgz") == file_digest(tmp_path / "two.tgz")
    with tarfile.open(tmp_path / "one.tgz") as archive:
        members = {member.name: (member.mode, member.uid, member.mtime) for member in archive}
    assert members == {"./bridge": (0o755, 0, 0), "./host-local": (0o755, 0, 0)}


def test_urls_are_the_official_ones() -> None:
    assert mirror.KUBELET_URL == "https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet"
    assert mirror.CNI_URL == (
        "https://github.com/containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz"
    )
