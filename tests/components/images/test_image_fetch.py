"""A whole fetch, the cache after it, and every way a fetch can be interrupted and go on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firestorm.errors import ImageError
from firestorm.images import (
    ImageEvent,
    LocalImage,
    Retry,
    Servers,
    UnreachableError,
    cached,
    default_cache,
    is_cached,
    prune,
)
from firestorm.images.files import exclusive
from tests.components.images.image_site import (
    FCOS,
    FCOS_IMAGE,
    FCOS_PAYLOAD,
    FCOS_VERSION,
    FLATCAR,
    FLATCAR_IMAGE,
    FLATCAR_VERSION,
    PAYLOAD,
    Fault,
    GpgKey,
    Request,
    Site,
    flatcar_files,
    qcow2,
    sha,
    tree,
)

Get = Callable[..., LocalImage]
FLATCAR_NAME = f"flatcar-stable-{FLATCAR_VERSION}-amd64-{sha('sha256', PAYLOAD)[:12]}.qcow2"
FCOS_NAME = f"fcos-stable-{FCOS_VERSION}-amd64-{sha('sha256', FCOS_PAYLOAD)[:12]}.qcow2"
MIB = 1 << 20
FILES_OF_A_KILLED_RUN = ("download", "download.json", "signature")


def local(cache: Path, name: str, version: str, payload: bytes) -> LocalImage:
    return LocalImage(
        path=cache / name,
        name=name,
        version=version,
        format="qcow2",
        sha256=sha("sha256", payload),
        virtual_size=10 << 30,
    )


@pytest.mark.parametrize(
    ("image", "name", "version", "payload"),
    [
        pytest.param(FLATCAR, FLATCAR_NAME, FLATCAR_VERSION, PAYLOAD, id="flatcar-current"),
        pytest.param(
            replace(FLATCAR, version=FLATCAR_VERSION), FLATCAR_NAME, FLATCAR_VERSION, PAYLOAD, id="flatcar-pinned"
        ),
        pytest.param(
            replace(FLATCAR, version="3510.2.8"),
            FLATCAR_NAME.replace(FLATCAR_VERSION, "3510.2.8"),
            "3510.2.8",
            PAYLOAD,
            id="flatcar-bzip2",
        ),
        pytest.param(FCOS, FCOS_NAME, FCOS_VERSION, FCOS_PAYLOAD, id="fcos-current"),
        pytest.param(replace(FCOS, version=FCOS_VERSION), FCOS_NAME, FCOS_VERSION, FCOS_PAYLOAD, id="fcos-pinned"),
    ],
)
def test_whole_fetch(get: Get, cache: Path, image: object, name: str, version: str, payload: bytes) -> None:
    old_mask = os.umask(0o077)
    try:
        found = get(image)
    finally:
        os.umask(old_mask)
    assert found == local(cache, name, version, payload)
    assert found.path.read_bytes() == payload
    assert tree(cache) == [name, f"{name}.json"]
    assert (found.path.stat().st_mode & 0o7777, cache.stat().st_mode & 0o7777) == (0o644, 0o755)


def test_progress_counts_up_to_the_whole(get: Get, events: list[ImageEvent]) -> None:
    get(FCOS, clock=iter(range(10_000)).__next__)
    stages = [event.stage for event in events]
    assert list(dict.fromkeys(stages)) == ["download", "verify", "unpack", "done"]
    packed = [event for event in events if event.stage == "download"][-1]
    assert packed.done == packed.total
    assert [event for event in events if event.stage == "unpack"][-1].done == len(FCOS_PAYLOAD)
    assert {event.name for event in events} == {f"fcos-stable-{FCOS_VERSION}-amd64"}
    assert packed.rate > 0


def test_second_fetch_downloads_nothing(get: Get, site: Site) -> None:
    first = get(FLATCAR)
    site.log.clear()
    assert get(FLATCAR) == first
    assert [request.path.rpartition("/")[2] for request in site.log] == [
        "version.txt",
        "flatcar_production_qemu_image.img.DIGESTS",
    ]


def test_pinned_and_cached_needs_no_network(get: Get, site: Site, cache: Path) -> None:
    pinned = replace(FLATCAR, version=FLATCAR_VERSION)
    assert not is_cached(pinned, cache)
    first = get(pinned)
    site.log.clear()
    assert get(pinned) == cached(pinned, cache) == first
    assert is_cached(pinned, cache)
    assert not is_cached(FLATCAR, cache)
    assert site.log == []


def test_touched_file_is_hashed_again_and_kept(get: Get, site: Site) -> None:
    pinned = replace(FLATCAR, version=FLATCAR_VERSION)
    first = get(pinned)
    os.utime(first.path, (1, 1))
    site.log.clear()
    assert get(pinned) == first
    assert json.loads(first.path.with_name(f"{first.name}.json").read_text())["mtime_ns"] == 1_000_000_000
    assert site.log == []


@pytest.mark.parametrize("damage", ["content", "length", "record"])
def test_damaged_cache_is_fetched_anew(get: Get, cache: Path, damage: str) -> None:
    pinned = replace(FLATCAR, version=FLATCAR_VERSION)
    first = get(pinned)
    record = first.path.with_name(f"{first.name}.json")
    if damage == "content":
        first.path.write_bytes(PAYLOAD[:-1] + bytes([PAYLOAD[-1] ^ 1]))
    elif damage == "length":
        first.path.write_bytes(PAYLOAD[:-1])
    else:
        record.write_text("{}")
    assert get(pinned) == first
    assert first.path.read_bytes() == PAYLOAD
    assert tree(cache) == [FLATCAR_NAME, f"{FLATCAR_NAME}.json"]


def test_republished_release_is_fetched_beside_the_old_one(get: Get, site: Site, key: GpgKey, cache: Path) -> None:
    first = get(FLATCAR)
    site.files.update(flatcar_files(key, again := qcow2(MIB, 3)))
    second = get(FLATCAR)
    assert second.sha256 == sha("sha256", again)
    assert {first.name, second.name} < set(tree(cache))
    assert get(replace(FLATCAR, version=FLATCAR_VERSION)) == second


def test_other_key_in_the_file_does_not_matter(get: Get, site: Site, key: GpgKey, other_key: GpgKey) -> None:
    site.files["/keys/Flatcar_Image_Signing_Key.asc"] = other_key.export("--armor") + b"\r\n" + key.export("--armor")
    assert get(FLATCAR).name == FLATCAR_NAME


def test_interrupted_download_is_resumed_by_the_next_run(get: Get, site: Site, cache: Path, once: Retry) -> None:
    site.faults[FLATCAR_IMAGE] = [Fault(after=MIB + 5)]
    with pytest.raises(UnreachableError) as caught:
        get(FLATCAR, retry=once)
    assert str(caught.value) == (
        f"{site.url}{FLATCAR_IMAGE}: the connection broke off; check the network and try again, or name a mirror in "
        "`mirrors`"
    )
    work = f".work/flatcar-stable-{FLATCAR_VERSION}-amd64"
    assert tree(cache) == [".work", work, f"{work}/download", f"{work}/download.json"]
    assert (cache / work / "download").read_bytes() == PAYLOAD[: MIB + 5]

    assert get(FLATCAR, retry=once).path.read_bytes() == PAYLOAD
    assert site.requests(FLATCAR_IMAGE) == [
        Request(FLATCAR_IMAGE, None, None),
        Request(FLATCAR_IMAGE, f"bytes={MIB + 5}-", f'"{sha("md5", PAYLOAD)}"'),
    ]
    assert tree(cache) == [FLATCAR_NAME, f"{FLATCAR_NAME}.json"]


def test_interrupted_download_is_resumed_by_the_same_run(
    get: Get, site: Site, pauses: list[float], events: list[ImageEvent]
) -> None:
    """The count of failures starts anew with every MiB that was won, so three of them pause one second each."""
    site.faults[FCOS_IMAGE] = [Fault(after=MIB), Fault(after=MIB), Fault(after=10), Fault(after=10)]
    assert get(FCOS).path.read_bytes() == FCOS_PAYLOAD
    ranges = [request.range for request in site.requests(FCOS_IMAGE)]
    assert ranges == [None, *(f"bytes={at}-" for at in (MIB, 2 * MIB, 2 * MIB + 10, 2 * MIB + 20))]
    assert pauses == [1, 1, 2, 4]
    assert [event.reason for event in events if event.stage == "retry"] == ["the connection broke off"] * 4


def test_server_that_ignores_range(get: Get, site: Site, once: Retry) -> None:
    site.ranges = False
    site.faults[FLATCAR_IMAGE] = [Fault(after=MIB)]
    with pytest.raises(UnreachableError):
        get(FLATCAR, retry=once)
    assert get(FLATCAR).path.read_bytes() == PAYLOAD
    assert [request.range for request in site.requests(FLATCAR_IMAGE)] == [None, f"bytes={MIB}-"]


def test_file_replaced_on_the_server_is_taken_whole(get: Get, site: Site, once: Retry) -> None:
    """If-Range keeps a piece of the new file from being joined to a piece of the old one."""
    site.files[FLATCAR_IMAGE] = old = qcow2(3 * MIB, 5)
    site.faults[FLATCAR_IMAGE] = [Fault(after=MIB)]
    with pytest.raises(UnreachableError):
        get(FLATCAR, retry=once)
    site.files[FLATCAR_IMAGE] = PAYLOAD
    assert get(FLATCAR, retry=once).path.read_bytes() == PAYLOAD
    assert site.requests(FLATCAR_IMAGE)[1:] == [Request(FLATCAR_IMAGE, f"bytes={MIB}-", f'"{sha("md5", old)}"')]


def test_changed_checksum_begins_anew(get: Get, site: Site, key: GpgKey, once: Retry) -> None:
    site.faults[FLATCAR_IMAGE] = [Fault(after=MIB)]
    with pytest.raises(UnreachableError):
        get(FLATCAR, retry=once)
    site.files.update(flatcar_files(key, again := qcow2(2 * MIB, 6)))
    assert get(FLATCAR, retry=once).path.read_bytes() == again
    assert [request.range for request in site.requests(FLATCAR_IMAGE)] == [None, None]


@pytest.mark.parametrize("etags", [True, False])
def test_damaged_partial_file_is_fetched_once_more_whole(
    get: Get, site: Site, cache: Path, once: Retry, etags: bool
) -> None:
    site.etags = etags
    site.faults[FLATCAR_IMAGE] = [Fault(after=MIB)]
    with pytest.raises(UnreachableError):
        get(FLATCAR, retry=once)
    part = cache / ".work" / f"flatcar-stable-{FLATCAR_VERSION}-amd64" / "download"
    part.write_bytes(bytes(MIB))
    assert get(FLATCAR, retry=once).path.read_bytes() == PAYLOAD
    assert [request.range for request in site.requests(FLATCAR_IMAGE)] == [None, f"bytes={MIB}-", None]


def test_partial_file_longer_than_the_whole_is_dropped(get: Get, site: Site, cache: Path, retry: Retry) -> None:
    site.faults[FLATCAR_IMAGE] = [Fault(after=MIB)]
    with pytest.raises(UnreachableError):
        get(FLATCAR, retry=replace(retry, attempts=1))
    part = cache / ".work" / f"flatcar-stable-{FLATCAR_VERSION}-amd64" / "download"
    part.write_bytes(bytes(4 * MIB))
    assert get(FLATCAR).path.read_bytes() == PAYLOAD
    assert [request.range for request in site.requests(FLATCAR_IMAGE)] == [None, f"bytes={4 * MIB}-", None]


def test_unavailable_then_well(get: Get, site: Site, pauses: list[float]) -> None:
    site.faults = {
        "/flatcar/stable/amd64-usr/current/version.txt": [Fault(status=503), Fault(status=502)],
        FLATCAR_IMAGE: [
            Fault(status=429, headers={"Retry-After": "7"}),
            Fault(status=503, headers={"Retry-After": "900"}),
        ],
    }
    assert get(FLATCAR).name == FLATCAR_NAME
    assert pauses == [1, 2, 7, 20]


CHILD = """
import json, sys
from pathlib import Path
from firestorm.images import Servers, fetch
from firestorm.spec.model import Mirror, OsImage

fingerprint, cache, mirrors = json.loads(sys.argv[1])
servers = Servers(mirrors=tuple(Mirror(**m) for m in mirrors), flatcar_key=fingerprint)
def progress(event):
    if event.stage == "wait":
        print("waiting", flush=True)
print(fetch(OsImage(name="flatcar", channel="stable"), Path(cache), servers=servers, progress=progress).path)
"""


@contextlib.contextmanager
def child(site: Site, key: GpgKey, cache: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that fetches Flatcar into `cache`; killed at the end if it is still there."""
    mirrors = [{"prefix": mirror.prefix, "url": mirror.url} for mirror in site.mirrors()]
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", CHILD, json.dumps([key.fingerprint, str(cache), mirrors])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def test_two_processes_share_one_download(site: Site, key: GpgKey, cache: Path) -> None:
    go = threading.Event()
    fault = Fault(after=MIB, stall=go)
    site.faults[FLATCAR_IMAGE] = [fault]
    with child(site, key, cache) as first, contextlib.ExitStack() as stack:
        stack.callback(go.set)
        assert fault.reached.wait(60)
        second = stack.enter_context(child(site, key, cache))
        assert second.stdout is not None
        assert second.stdout.readline() == "waiting\n"
        go.set()
        outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert outputs == [f"{cache / FLATCAR_NAME}\n"] * 2
    assert (first.returncode, second.returncode) == (0, 0)
    # The first run's own resumption after the stall; the second run asks for the image not at all.
    assert [request.range for request in site.requests(FLATCAR_IMAGE)] == [None, f"bytes={MIB}-"]
    assert tree(cache) == [FLATCAR_NAME, f"{FLATCAR_NAME}.json"]


def test_killed_halfway_then_run_again(get: Get, site: Site, key: GpgKey, cache: Path) -> None:
    go = threading.Event()
    fault = Fault(after=2 * MIB, stall=go)
    site.faults[FLATCAR_IMAGE] = [fault]
    work = cache / ".work" / f"flatcar-stable-{FLATCAR_VERSION}-amd64"
    part = work / "download"
    with child(site, key, cache) as process:
        try:
            assert fault.reached.wait(60)
            while not part.exists() or part.stat().st_size < MIB:
                assert process.poll() is None
                time.sleep(0.01)
            process.kill()
            assert process.wait(60) == -signal.SIGKILL
        finally:
            go.set()
    size = part.stat().st_size
    leftovers = [f"{work.name}", f"{work.name}.lock", *(f"{work.name}/{name}" for name in FILES_OF_A_KILLED_RUN)]
    assert tree(cache) == [".work", *(f".work/{name}" for name in sorted(leftovers))]

    assert get(FLATCAR).path.read_bytes() == PAYLOAD
    assert [request.range for request in site.requests(FLATCAR_IMAGE)] == [None, f"bytes={size}-"]
    assert tree(cache) == [FLATCAR_NAME, f"{FLATCAR_NAME}.json"]


def test_prune(get: Get, site: Site, key: GpgKey, cache: Path, once: Retry) -> None:
    flatcar, fcos = get(FLATCAR), get(FCOS)
    site.files.update(flatcar_files(key, qcow2(MIB, 4), "4230.2.2"))
    site.faults[FLATCAR_IMAGE.replace(FLATCAR_VERSION, "4230.2.2")] = [Fault(after=10)]
    with pytest.raises(ImageError):
        get(FLATCAR, retry=once)
    (cache / "notes.qcow2").write_text("not ours")
    assert prune(cache, {fcos.name}) == (flatcar.name, ".work/flatcar-stable-4230.2.2-amd64")
    assert tree(cache) == [fcos.name, f"{fcos.name}.json", "notes.qcow2"]
    assert prune(cache / "missing", ()) == ()


def test_unreachable_server_names_the_cached_version(get: Get, cache: Path, site: Site, key: GpgKey) -> None:
    get(FLATCAR)
    gone = Servers(mirrors=tuple(replace(m, url="http://127.0.0.1:9") for m in site.mirrors()))
    with pytest.raises(UnreachableError) as caught:
        get(FLATCAR, servers=gone)
    assert str(caught.value) == (
        "http://127.0.0.1:9/amd64-usr/current/version.txt: no connection to the server ([Errno 111] Connection "
        "refused) (5 attempts); check the network and try again, or name a mirror in `mirrors`. To go on with an image "
        "of the cache, pin `version` 4230.2.1"
    )


def test_prune_spares_a_running_download(cache: Path) -> None:
    work = cache / ".work" / "fcos-stable-44.20260707.3.1-amd64"
    work.mkdir(parents=True)
    with exclusive(work.with_name(f"{work.name}.lock"), lambda: None):
        assert prune(cache, ()) == ()
    assert prune(cache, ()) == (f".work/{work.name}",)
    assert tree(cache) == []


@pytest.mark.parametrize(
    ("xdg", "home", "cache"),
    [
        ("/x", "/h", "/x/firestorm/images"),
        ("", "/h", "/h/.cache/firestorm/images"),
        ("relative", "/h", "/h/.cache/firestorm/images"),
        (None, "/h", "/h/.cache/firestorm/images"),
    ],
)
def test_default_cache(monkeypatch: pytest.MonkeyPatch, xdg: str | None, home: str, cache: str) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if xdg is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert default_cache() == Path(cache)
