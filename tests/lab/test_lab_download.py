"""Downloads from a server on loopback: checked, or not there at all."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm_lab import download
from firestorm_lab.errors import LabError
from firestorm_lab.mirror import MirrorServer

CONTENT = b"a release file\n" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    root = tmp_path / "www"
    root.mkdir()
    (root / "file").write_bytes(CONTENT)
    (root / "sums").write_text(f"{DIGEST}  file\n{'0' * 64} *other\n")
    with MirrorServer(root, "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.port}"
        running.shutdown()
        thread.join()


def test_a_checked_file_arrives(server: str, tmp_path: Path) -> None:
    digest = download.checksum_of(download.text(f"{server}/sums"), "file")
    download.fetch(f"{server}/file", tmp_path / "got", digest)
    assert (tmp_path / "got").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "digest", "words"),
    [
        ("file", "0" * 64, f"has SHA-256 {DIGEST}, but {'0' * 64} was published"),
        ("absent", DIGEST, "404"),
    ],
)
def test_a_file_that_is_wrong_or_missing_leaves_none(
    server: str, tmp_path: Path, path: str, digest: str, words: str
) -> None:
    with pytest.raises(LabError, match=words):
        download.fetch(f"{server}/{path}", tmp_path / "got", digest)
    assert not (tmp_path / "got").exists()


def test_checksums_are_read_by_name(server: str) -> None:
    listing = download.text(f"{server}/sums")
    assert download.checksum_of(listing, "other") == "0" * 64
    with pytest.raises(LabError, match="does not name third"):
        download.checksum_of(listing, "third")


def test_reachability_is_a_connection_within_the_time(server: str) -> None:
    assert download.reachable(server)
    assert not download.reachable("http://127.0.0.1:9", timeout=1)
