"""Everything that must not become an image: each ends with its whole message and leaves nothing behind."""

from __future__ import annotations

import bz2
import json
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from firestorm.errors import ImageError
from firestorm.images import LocalImage, Retry, Servers, UnreachableError, fetch
from firestorm.spec.model import Mirror, OsImage
from tests.components.images.image_site import (
    FCOS,
    FCOS_DIR,
    FCOS_IMAGE,
    FCOS_KEY,
    FCOS_PAYLOAD,
    FCOS_VERSION,
    FLATCAR,
    FLATCAR_DIR,
    FLATCAR_FILE,
    FLATCAR_IMAGE,
    FLATCAR_KEY,
    FLATCAR_VERSION,
    PAYLOAD,
    Fault,
    GpgKey,
    Site,
    fcos_files,
    flatcar_files,
    qcow2,
    sha,
    tree,
)

Get = Callable[..., LocalImage]
MIB = 1 << 20
ALTERED = PAYLOAD[:-1] + bytes([PAYLOAD[-1] ^ 1])
STREAM = "/fcos/streams/stable.json"
QEMU = 'architectures.x86_64.artifacts.qemu.formats."qcow2.xz".disk'


def failure(get: Get, image: OsImage = FLATCAR, **changes: object) -> str:
    with pytest.raises(ImageError) as caught:
        get(image, **changes)
    return str(caught.value)


def checksum_message(url: str, algorithm: str, data: bytes, published: bytes) -> str:
    return (
        f"{url}: the {algorithm} of these {len(data)} bytes is {sha(algorithm, data)}, but {sha(algorithm, published)} "
        "is published; they have been removed. Try again; if it stays so, the server or mirror has a damaged or "
        "altered file"
    )


@pytest.mark.parametrize("bad", [ALTERED, PAYLOAD[:-1000], b""], ids=["altered", "truncated", "empty"])
def test_wrong_flatcar_file(get: Get, site: Site, cache: Path, bad: bytes) -> None:
    site.files[FLATCAR_IMAGE] = bad
    assert failure(get) == checksum_message(site.url + FLATCAR_IMAGE, "sha512", bad, PAYLOAD)
    assert tree(cache) == []
    assert len(site.requests(FLATCAR_IMAGE)) == 1


def test_truncated_fcos_file(get: Get, site: Site, cache: Path) -> None:
    packed = site.files[FCOS_IMAGE]
    site.files[FCOS_IMAGE] = packed[:MIB]
    assert failure(get, FCOS) == checksum_message(site.url + FCOS_IMAGE, "sha256", packed[:MIB], packed)
    assert tree(cache) == []


def test_resumed_to_a_wrong_file(get: Get, site: Site, cache: Path, once: Retry) -> None:
    """Fetched once more from its start before it is given up."""
    site.files[FLATCAR_IMAGE] = ALTERED
    site.faults[FLATCAR_IMAGE] = [Fault(after=MIB)]
    with pytest.raises(UnreachableError):
        get(FLATCAR, retry=once)
    assert failure(get) == checksum_message(site.url + FLATCAR_IMAGE, "sha512", ALTERED, PAYLOAD)
    assert [request.range for request in site.requests(FLATCAR_IMAGE)] == [None, f"bytes={MIB}-", None]
    assert tree(cache) == []


SIGNATURES: list[tuple[str, Callable[[GpgKey, GpgKey], bytes], str]] = [
    ("of another file", lambda key, _: key.sign(b"something else"), "the signature is not of this file"),
    (
        "by another key",
        lambda _, other: other.sign(PAYLOAD),
        "signed by key {other}, which is not one of the pinned key {pin}",
    ),
    ("not a signature", lambda *_: b"<html>busy</html>", "not an OpenPGP signature"),
    ("empty", lambda *_: b"", "not an OpenPGP signature"),
    (
        "SHA-1",
        lambda key, _: key.sign(PAYLOAD, "--digest-algo", "SHA1", "--allow-weak-digest-algos"),
        "the signature is of type 00 over hash algorithm 2, which is too weak",
    ),
    (
        "of a text",
        lambda key, _: key.sign(PAYLOAD, "--textmode"),
        "the signature is of type 01 over hash algorithm 8, which is too weak",
    ),
    (
        "two signatures",
        lambda key, other: key.sign(PAYLOAD) + other.sign(PAYLOAD),
        "signed by key {other}, which is not one of the pinned key {pin}",
    ),
    (
        "one signature twice",
        lambda key, _: key.sign(PAYLOAD) * 2,
        "2 signatures, where one must be",
    ),
]


@pytest.mark.parametrize(("make", "fault"), [entry[1:] for entry in SIGNATURES], ids=[entry[0] for entry in SIGNATURES])
def test_wrong_signature(
    get: Get,
    site: Site,
    key: GpgKey,
    other_key: GpgKey,
    cache: Path,
    make: Callable[[GpgKey, GpgKey], bytes],
    fault: str,
) -> None:
    site.files[f"{FLATCAR_IMAGE}.sig"] = make(key, other_key)
    fault = fault.format(other=other_key.fingerprints[1][-16:], pin=key.fingerprint)
    assert failure(get) == (
        f"{site.url}{FLATCAR_IMAGE}.sig: {fault}; {site.url}{FLATCAR_IMAGE} has been removed. "
        "Try again; if it stays so, the server or mirror has an altered file"
    )
    assert tree(cache) == []


def test_wrong_key_shows_before_the_download(get: Get, site: Site, key: GpgKey, other_key: GpgKey, cache: Path) -> None:
    """Also where everything is signed by that key: the pin decides."""
    site.files.update(flatcar_files(other_key))
    assert failure(get) == (
        f"{site.url}{FLATCAR_KEY}: the key there is {other_key.fingerprint}, not the pinned {key.fingerprint}; do not "
        "use this server before you know why. If the project has changed its key, update Firestorm"
    )
    assert site.requests(FLATCAR_IMAGE) == []
    assert tree(cache) == []


KEYS = {
    b"<html>moved</html>": "not an OpenPGP public key (no packet header where one must be); correct the mirror",
    b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!!\n-----END PGP PUBLIC KEY BLOCK-----\n": (
        "not an OpenPGP public key (its armor is damaged); correct the mirror"
    ),
    b"\x99\x01\x0d\x04": "not an OpenPGP public key (cut off); correct the mirror",
    b"\xb4\x01x": "not an OpenPGP public key (no public key packet at the start); correct the mirror",
    b"": (
        "the key there is empty, not the pinned {pin}; do not use this server before you know why. If the project has "
        "changed its key, update Firestorm"
    ),
}


@pytest.mark.parametrize("served", KEYS)
def test_no_key_at_all(get: Get, site: Site, key: GpgKey, cache: Path, served: bytes) -> None:
    site.files[FLATCAR_KEY] = served
    assert failure(get) == f"{site.url}{FLATCAR_KEY}: {KEYS[served].format(pin=key.fingerprint)}"
    assert tree(cache) == []


def test_fcos_with_a_wrong_key_for_its_release(
    get: Get, site: Site, key: GpgKey, other_key: GpgKey, cache: Path
) -> None:
    """Both keys are in Fedora's key file; only the one of the image's own Fedora release counts."""
    site.files[f"{FCOS_IMAGE}.sig"] = other_key.sign(site.files[FCOS_IMAGE])
    assert failure(get, FCOS) == (
        f"{site.url}{FCOS_IMAGE}.sig: signed by key {other_key.fingerprints[1][-16:]}, which is not one of the pinned "
        f"key {key.fingerprint}; {site.url}{FCOS_IMAGE} has been removed. Try again; if it stays so, the server or "
        "mirror has an altered file"
    )
    assert tree(cache) == []


def test_fcos_of_an_unknown_fedora(get: Get, site: Site, cache: Path) -> None:
    """Nothing is taken on the metadata's word alone."""
    site.files[STREAM] = site.files[STREAM].replace(FCOS_VERSION.encode(), b"47.20270707.3.0")
    assert failure(get, FCOS) == (
        "fcos: Fedora CoreOS 47.20270707.3.0 is signed with the key of Fedora 47, which this version of Firestorm does "
        "not know (it knows those of 44); pin a `version` of these, update Firestorm, or download the image yourself "
        "and give its `path` and `sha256`"
    )
    assert not cache.exists()


def test_unpacked_hash_differs(get: Get, site: Site, cache: Path) -> None:
    published = "0" * 64
    site.files[STREAM] = site.files[STREAM].replace(sha("sha256", FCOS_PAYLOAD).encode(), published.encode())
    assert failure(get, FCOS) == (
        f"{site.url}{FCOS_IMAGE}: the sha256 of the unpacked image is {sha('sha256', FCOS_PAYLOAD)}, but {published} "
        "is published; it has been removed. Tell its publisher, or correct the mirror"
    )
    assert tree(cache) == []


def test_pinned_hash_differs(get: Get, site: Site, cache: Path) -> None:
    assert failure(get, replace(FLATCAR, sha256="0" * 64)) == (
        f"{site.url}{FLATCAR_IMAGE}: the sha256 of the image is {sha('sha256', PAYLOAD)}, but the specification says "
        f"{'0' * 64}; it has been removed. Correct `sha256`, or pin the `version` that it belongs to"
    )
    assert tree(cache) == []
    assert get(replace(FLATCAR, sha256=sha("sha256", PAYLOAD).upper())).sha256 == sha("sha256", PAYLOAD)


def test_signed_but_no_qcow2(get: Get, site: Site, key: GpgKey, cache: Path) -> None:
    site.files.update(flatcar_files(key, b"not an image" * 100))
    assert failure(get) == (
        f"{site.url}{FLATCAR_IMAGE}: not a qcow2 image; it has been removed. Tell its publisher, or correct the mirror"
    )
    assert tree(cache) == []


def resigned(site: Site, key: GpgKey, packed: bytes) -> None:
    """Publishes `packed` as Fedora CoreOS's image, with its hash and signature right."""
    old = sha("sha256", site.files[FCOS_IMAGE]).encode()
    site.files[STREAM] = site.files[STREAM].replace(old, sha("sha256", packed).encode())
    site.files |= {FCOS_IMAGE: packed, f"{FCOS_IMAGE}.sig": key.sign(packed)}


@pytest.mark.parametrize(
    ("packed", "fault"),
    [
        (b"plain text", "Input format not supported by decoder"),
        (
            lzma.compress(FCOS_PAYLOAD, preset=0)[:-20],
            "Compressed file ended before the end-of-stream marker was reached",
        ),
    ],
    ids=["not xz", "cut off"],
)
def test_signed_but_damaged(get: Get, site: Site, key: GpgKey, cache: Path, packed: bytes, fault: str) -> None:
    resigned(site, key, packed)
    assert failure(get, FCOS) == (
        f"{site.url}{FCOS_IMAGE}: the xz data is damaged ({fault}); it has been removed. Tell its publisher"
    )
    assert tree(cache) == []


def test_signed_but_damaged_bzip2(get: Get, site: Site, key: GpgKey, cache: Path) -> None:
    name = f"{FLATCAR_FILE}.bz2"
    path = f"{FLATCAR_DIR}/3510.2.8/{name}"
    packed = bz2.compress(PAYLOAD, 1)[:-20]
    digests = f"# SHA512 HASH\n{sha('sha512', packed)}  {name}\n".encode()
    site.files |= {path: packed, f"{path}.sig": key.sign(packed), f"{path}.DIGESTS": digests}
    assert failure(get, replace(FLATCAR, version="3510.2.8")) == (
        f"{site.url}{path}: the bz2 data is damaged (Compressed file ended before the end-of-stream marker was "
        "reached); it has been removed. Tell its publisher"
    )
    assert tree(cache) == []


MISSING = {
    FLATCAR_IMAGE: "the release's metadata names this file, so try again later or correct the mirror",
    f"{FLATCAR_IMAGE}.sig": "without it the image cannot be verified, so copy this file to the mirror too",
    FLATCAR_KEY: "without it no image can be verified, so copy this file to the mirror too",
    f"{FLATCAR_DIR}/current/version.txt": ("Flatcar has no channel stable for amd64; take stable, beta, alpha or lts"),
}


@pytest.mark.parametrize("path", MISSING)
def test_missing_file(get: Get, site: Site, cache: Path, path: str) -> None:
    del site.files[path]
    assert failure(get) == f"{site.url}{path}: the server answers 404 Not Found; {MISSING[path]}".replace(
        "Found; Flatcar", "Found: Flatcar"
    )
    assert not cache.exists() or tree(cache) == []


@pytest.mark.parametrize(
    ("image", "path", "rest"),
    [
        (
            replace(FLATCAR, version="9999.0.0"),
            f"{FLATCAR_DIR}/9999.0.0/{FLATCAR_FILE}.bz2.DIGESTS",
            "Flatcar's channel stable has no release 9999.0.0 for amd64; take a version from "
            "https://www.flatcar.org/releases",
        ),
        (
            replace(FLATCAR, version=FLATCAR_VERSION, arch="arm64"),
            f"/flatcar/stable/arm64-usr/{FLATCAR_VERSION}/flatcar_production_qemu_uefi_image.img.bz2.DIGESTS",
            f"Flatcar's channel stable has no release {FLATCAR_VERSION} for arm64; take a version from "
            "https://www.flatcar.org/releases",
        ),
        (
            replace(FCOS, channel="rawhide"),
            "/fcos/streams/rawhide.json",
            "Fedora CoreOS has no stream rawhide; take stable, testing or next",
        ),
        (
            replace(FCOS, version="44.20990101.3.0"),
            "/fcos/prod/streams/stable/builds/44.20990101.3.0/release.json",
            "Fedora CoreOS's stream stable has no release 44.20990101.3.0; take a version from "
            "https://builds.coreos.fedoraproject.org/prod/streams/stable/releases.json",
        ),
    ],
)
def test_no_such_release(get: Get, site: Site, cache: Path, image: OsImage, path: str, rest: str) -> None:
    assert failure(get, image) == f"{site.url}{path}: the server answers 404 Not Found: {rest}"
    assert not cache.exists()


def fcos_metadata(change: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    """A change of the qcow2.xz entry of the stream metadata."""

    def apply(body: bytes) -> bytes:
        document = json.loads(body)
        change(document["architectures"]["x86_64"]["artifacts"]["qemu"]["formats"]["qcow2.xz"]["disk"])
        return json.dumps(document).encode()

    return apply


METADATA: list[tuple[OsImage, str, Callable[[bytes], bytes], str]] = [
    (FCOS, STREAM, lambda _: b'{"a": 1,\n}', "not JSON (line 2: Expecting property name enclosed in double quotes); "),
    (FCOS, STREAM, lambda body: body[:200], "not JSON (line 1: Unterminated string starting at); "),
    (FCOS, STREAM, lambda _: b"\xff\xfe\xfd", "not JSON (no text); "),
    (FCOS, STREAM, lambda _: b"[" * 100_000, "not JSON (no text); "),
    (FCOS, STREAM, lambda _: b"[]", "architectures.x86_64.artifacts.qemu.release is missing; "),
    (FCOS, STREAM, fcos_metadata(lambda disk: disk.pop("sha256")), f"{QEMU}.sha256 is missing; "),
    (FCOS, STREAM, fcos_metadata(lambda disk: disk.update(location=[])), f"{QEMU}.location is not a text; "),
    (FCOS, STREAM, fcos_metadata(lambda disk: disk.update(signature=None)), f"{QEMU}.signature is missing; "),
    (FCOS, STREAM, fcos_metadata(lambda disk: disk.update(sha256="abc")), f"{QEMU}.sha256 is not a SHA-256 hash; "),
    (
        FCOS,
        STREAM,
        lambda body: body.replace(f'"{FCOS_VERSION}"'.encode(), b'"../44"'),
        "`../44` is not a version such as 44.20260707.3.1; ",
    ),
    (
        replace(FCOS, version=FCOS_VERSION),
        f"{FCOS_DIR}/release.json",
        lambda body: body.replace(b'"release": "44.2026', b'"release": "44.2025'),
        f"this is the metadata of 44.20250707.3.1, not of {FCOS_VERSION}; ",
    ),
    (
        FLATCAR,
        f"{FLATCAR_DIR}/current/version.txt",
        lambda _: b"<html>",
        "no line FLATCAR_VERSION=..., so this is not Flatcar's version.txt; ",
    ),
    (
        FLATCAR,
        f"{FLATCAR_DIR}/current/version.txt",
        lambda _: b"FLATCAR_VERSION=../../x\n",
        "`../../x` is not a version such as 4230.2.1; ",
    ),
    (
        FLATCAR,
        f"{FLATCAR_IMAGE}.DIGESTS",
        lambda body: body.replace(b"# SHA512", b"# B2"),
        f"no SHA512 hash of {FLATCAR_FILE}, so this is not its DIGESTS file; ",
    ),
    (
        FLATCAR,
        f"{FLATCAR_IMAGE}.DIGESTS",
        lambda _: bytes(9 << 20),
        "the answer is longer than 8388608 bytes, so it is not the file that belongs there; ",
    ),
]


@pytest.mark.parametrize(("image", "path", "change", "fault"), METADATA)
def test_malformed_metadata(
    get: Get, site: Site, cache: Path, image: OsImage, path: str, change: Callable[[bytes], bytes], fault: str
) -> None:
    site.files[path] = change(site.files[path])
    later = "try again later, or " if "not JSON" in fault or "architectures" in fault else ""
    assert failure(get, image) == f"{site.url}{path}: {fault}{later}correct the mirror"
    assert not cache.exists()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            replace(FLATCAR, version="current"),
            "flatcar: `current` is not a version such as 4230.2.1; correct `version`",
        ),
        (
            replace(FCOS, version="44/../45"),
            "fcos: `44/../45` is not a version such as 44.20260707.3.1; correct `version`",
        ),
        (
            replace(FLATCAR, channel="stable.evil.example/"),
            "flatcar: `stable.evil.example/` is not a channel name; take one such as stable",
        ),
        (
            OsImage(name="debian", channel="trixie"),
            "debian: no release server publishes this operating system's image; give the `path` of an image file",
        ),
    ],
)
def test_what_no_server_is_asked_for(get: Get, site: Site, cache: Path, image: OsImage, message: str) -> None:
    assert failure(get, image) == message
    assert site.log == []
    assert not cache.exists()


def test_unavailable_for_good(get: Get, site: Site, cache: Path, pauses: list[float]) -> None:
    site.faults[FLATCAR_IMAGE] = [Fault(status=503)] * 9
    with pytest.raises(UnreachableError) as caught:
        get(FLATCAR)
    assert str(caught.value) == (
        f"{site.url}{FLATCAR_IMAGE}: the server answers 503 Service Unavailable (5 attempts); check the network and "
        "try again, or name a mirror in `mirrors`"
    )
    assert pauses == [1, 2, 4, 8]
    assert tree(cache) == []


def test_forbidden_is_not_tried_again(get: Get, site: Site, pauses: list[float]) -> None:
    site.faults[FLATCAR_IMAGE] = [Fault(status=403)]
    assert failure(get) == (
        f"{site.url}{FLATCAR_IMAGE}: the server answers 403 Forbidden; check that the URL or its mirror may be read "
        "without credentials"
    )
    assert pauses == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "http://127.0.0.1:9",
            "no connection to the server ([Errno 111] Connection refused) (5 attempts); check the network and try "
            "again, or name a mirror in `mirrors`",
        ),
        ("ftp://127.0.0.1", "not an http:// or https:// URL; correct it in `mirrors`"),
        ("http://[::1", "not a valid URL (Invalid port: ':1'); correct it in `mirrors`"),
    ],
)
def test_mirror_that_cannot_be_asked(get: Get, cache: Path, url: str, message: str) -> None:
    servers = Servers(mirrors=(Mirror(prefix="https://stable.release.flatcar-linux.net", url=url),))
    with pytest.raises(UnreachableError) as caught:
        get(FLATCAR, servers=servers)
    assert str(caught.value) == f"{url}/amd64-usr/current/version.txt: {message}"
    assert not cache.exists()


def test_redirect_in_a_circle(get: Get, site: Site) -> None:
    path = f"{FLATCAR_DIR}/current/version.txt"
    site.faults[path] = [Fault(status=302, headers={"Location": path})] * 30
    assert failure(get) == f"{site.url}{path}: the server redirects in a circle; correct the mirror"


def test_without_gpgv(get: Get, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was downloaded stays for the run after the installation of gpgv."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert failure(get) == ("gpgv: not found, but images are verified with it; install your system's gpgv or gnupg")
    work = f".work/flatcar-stable-{FLATCAR_VERSION}-amd64"
    assert tree(cache) == [".work", work, f"{work}/download", f"{work}/download.json"]


FULL = (
    "the disk is full; make room, or choose another cache directory. What was downloaded so far is kept, and the next "
    "run goes on from there"
)


def test_too_little_room_shows_before_the_download(
    client: httpx.Client, servers: Servers, retry: Retry, tmpfs: Callable[[str], Path]
) -> None:
    disk = tmpfs("1m")
    with pytest.raises(ImageError) as caught:
        fetch(FLATCAR, disk, servers=servers, client=client, retry=retry)
    assert str(caught.value) == (
        f"{disk}: the image flatcar-stable-{FLATCAR_VERSION}-amd64 needs 3.0 MiB there, but only 1.0 MiB are free; "
        "make room, or choose another cache directory"
    )
    assert tree(disk) == []


def test_disk_fills_up_in_the_download(
    client: httpx.Client, site: Site, servers: Servers, retry: Retry, tmpfs: Callable[[str], Path]
) -> None:
    site.chunked = True  # so that no size is known beforehand
    disk = tmpfs("1m")
    with pytest.raises(ImageError) as caught:
        fetch(FLATCAR, disk, servers=servers, client=client, retry=retry)
    assert str(caught.value) == f"{disk}: {FULL}"
    work = f".work/flatcar-stable-{FLATCAR_VERSION}-amd64"
    assert tree(disk) == [".work", work, f"{work}/download", f"{work}/download.json"]
    size = (disk / work / "download").stat().st_size
    assert 0 < size < MIB

    tmpfs("8m")
    assert fetch(FLATCAR, disk, servers=servers, client=client, retry=retry).path.read_bytes() == PAYLOAD
    assert [request.range for request in site.requests(FLATCAR_IMAGE)] == [None, f"bytes={size}-"]


def test_disk_fills_up_in_the_unpacking(
    client: httpx.Client,
    site: Site,
    key: GpgKey,
    other_key: GpgKey,
    servers: Servers,
    retry: Retry,
    tmpfs: Callable[[str], Path],
) -> None:
    payload = qcow2(1000, 7) + bytes(4 * MIB)  # packs far better than is reckoned with
    site.files.update(fcos_files(key, other_key, payload))
    disk = tmpfs("1m")
    with pytest.raises(ImageError) as caught:
        fetch(FCOS, disk, servers=servers, client=client, retry=retry)
    assert str(caught.value) == f"{disk}: {FULL}"
    work = f".work/fcos-stable-{FCOS_VERSION}-amd64"
    assert tree(disk) == [".work", work, f"{work}/download", f"{work}/download.json"]

    tmpfs("8m")
    assert fetch(FCOS, disk, servers=servers, client=client, retry=retry).path.read_bytes() == payload
    assert len(site.requests(FCOS_IMAGE)) == 1
    assert site.requests(FCOS_KEY)[1:]


def test_cache_directory_that_cannot_be_made(client: httpx.Client, servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageError) as caught:
        fetch(FLATCAR, tmp_path / "file" / "images", servers=servers, client=client)
    assert str(caught.value) == (
        f"{tmp_path}/file/images: Not a directory; check the cache directory {tmp_path}/file/images and its permissions"
    )
