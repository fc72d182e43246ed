"""Fixtures of the image tests: keys and signed releases are made once, a server and a cache for every test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from firestorm.images import ImageEvent, LocalImage, Retry, Servers, fetch
from firestorm.spec.model import OsImage
from tests.components.images.image_site import GpgKey, Site, fcos_files, flatcar_bz2_files, flatcar_files


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpgKey]:
    key = GpgKey.generate(tmp_path_factory.mktemp("k") / "a", "buildbot")
    yield key
    key.stop()


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpgKey]:
    key = GpgKey.generate(tmp_path_factory.mktemp("k") / "b", "somebody")
    yield key
    key.stop()


@pytest.fixture(scope="session")
def releases(key: GpgKey, other_key: GpgKey) -> dict[str, bytes]:
    return {**flatcar_bz2_files(key), **flatcar_files(key), **fcos_files(key, other_key)}


@pytest.fixture
def site(releases: dict[str, bytes]) -> Iterator[Site]:
    site = Site(releases)
    yield site
    site.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=True, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that `retry` was asked for; none of them is made."""
    return []


@pytest.fixture
def retry(pauses: list[float]) -> Retry:
    return Retry(sleep=pauses.append)


@pytest.fixture
def once() -> Retry:
    """No second attempt."""
    return Retry(attempts=1)


@pytest.fixture
def servers(site: Site, key: GpgKey) -> Servers:
    return site.servers(key.fingerprint)


@pytest.fixture
def events() -> list[ImageEvent]:
    return []


@pytest.fixture
def get(
    cache: Path, client: httpx.Client, retry: Retry, servers: Servers, events: list[ImageEvent]
) -> Callable[..., LocalImage]:
    """`fetch` from the test's server into the test's cache; keyword arguments replace what it passes."""

    def call(image: OsImage, **changes: object) -> LocalImage:
        arguments = {"servers": servers, "client": client, "retry": retry, "progress": events.append, **changes}
        return fetch(image, cache, **arguments)  # type: ignore[arg-type]

    return call


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system of a size, or changes the size of the one mounted."""
    mount = tmp_path / "disk"
    mount.mkdir()
    sizes: list[str] = []

    def resize(size: str) -> Path:
        options = f"remount,size={size}" if sizes else f"size={size},mode=0755"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mount)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"a small disk needs the right to mount a tmpfs: {done.stderr.strip()}")
        sizes.append(size)
        return mount

    yield resize
    if sizes:
        subprocess.run(["umount", str(mount)], check=True)
