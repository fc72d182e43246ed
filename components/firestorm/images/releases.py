"""Release metadata: from an operating system's channel or version to the image to download.

Flatcar: https://www.flatcar.org/docs/latest/updates-releases/releases/ and the layout that flatcar/scripts'
ci-automation writes (version.txt; beside each file F also F.DIGESTS and F.sig).
Fedora CoreOS: https://docs.fedoraproject.org/en-US/fedora-coreos/stream-metadata/; a pinned version's release.json as
in coreos/stream-metadata-go's `release` package.
"""

from __future__ import annotations

import json
import re
from typing import Final

import httpx

from firestorm.errors import ImageError
from firestorm.images.model import Checksum, Compression, Resolved, SigningKey
from firestorm.images.servers import FCOS_KEY_URL, FCOS_URL, FLATCAR_KEY_URL, FLATCAR_URL, Servers
from firestorm.images.transport import NotFoundError, Retry, get_small
from firestorm.spec.model import OsImage

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_FLATCAR_VERSION: Final = re.compile(r"\d+\.\d+\.\d+(\+[A-Za-z0-9.-]+)?")
_FCOS_VERSION: Final = re.compile(r"(\d+)\.\d{8}\.\d+\.\d+")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
# There is no BIOS image for arm64; for amd64 both names are of one and the same content.
_FLATCAR_FILES: Final = {
    "amd64": "flatcar_production_qemu_image.img",
    "arm64": "flatcar_production_qemu_uefi_image.img",
}
# Plain qcow2 files, compressed inside, exist since 3602.2.0; bzip2 is what older releases have.
_FLATCAR_COMPRESSIONS: Final[tuple[tuple[str, Compression], ...]] = (("", "none"), (".bz2", "bz2"))
_FCOS_ARCHES: Final = {"amd64": "x86_64", "arm64": "aarch64"}


def resolve(image: OsImage, *, servers: Servers, client: httpx.Client, retry: Retry | None = None) -> Resolved:
    """Asks the release server what `image` is today. `image.version` None takes the channel's newest.

    Raises:
        UnreachableError: the server gives no usable answer.
        ImageError: there is no such release, or its metadata is not what it should be.
    """
    retry = retry or Retry()
    if not _LABEL.fullmatch(image.channel):
        raise ImageError(f"{image.name}: `{image.channel}` is not a channel name; take one such as stable")
    if image.name == "flatcar":
        return _flatcar(image, servers, client, retry)
    if image.name == "fcos":
        return _fcos(image, servers, client, retry)
    raise ImageError(
        f"{image.name}: no release server publishes this operating system's image; give the `path` of an image file"
    )


def stem(image: OsImage, version: str) -> str:
    """What the cache calls this release: <os>-<channel>-<version>-<arch>."""
    return f"{image.name}-{image.channel}-{version}-{image.arch}"


def check_version(image: OsImage, version: str, where: str, remedy: str) -> None:
    """Versions become part of URLs and file names, so they are held to their form.

    Raises:
        ImageError: `version`, found at `where`, is not of its operating system's form.
    """
    pattern, example = (_FLATCAR_VERSION, "4230.2.1") if image.name == "flatcar" else (_FCOS_VERSION, "44.20260707.3.1")
    if not pattern.fullmatch(version):
        raise ImageError(f"{where}: `{version}` is not a version such as {example}; {remedy}")


def _flatcar(image: OsImage, servers: Servers, client: httpx.Client, retry: Retry) -> Resolved:
    base = f"{FLATCAR_URL.format(channel=image.channel)}/{image.arch}-usr"
    version = image.version or _flatcar_current(image, servers.url(f"{base}/current/version.txt"), client, retry)
    check_version(image, version, "flatcar", "correct `version`")
    for suffix, compression in _FLATCAR_COMPRESSIONS:
        name = _FLATCAR_FILES[image.arch] + suffix
        url = servers.url(f"{base}/{version}/{name}")
        digests_url = servers.url(f"{base}/{version}/{name}.DIGESTS")
        try:
            digests = get_small(client, digests_url, retry=retry)
        except NotFoundError as error:
            missing = error
            continue
        return Resolved(
            name=stem(image, version),
            version=version,
            url=url,
            checksum=Checksum(algorithm="sha512", hex=_flatcar_sha512(digests, name, digests_url)),
            signature_url=servers.url(f"{base}/{version}/{name}.sig"),
            key=SigningKey(url=servers.url(FLATCAR_KEY_URL), fingerprint=servers.flatcar_key),
            compression=compression,
            format="qcow2",
        )
    raise ImageError(
        f"{missing}: Flatcar's channel {image.channel} has no release {version} for {image.arch}; "
        "take a version from https://www.flatcar.org/releases"
    ) from missing


def _flatcar_current(image: OsImage, url: str, client: httpx.Client, retry: Retry) -> str:
    try:
        text = get_small(client, url, retry=retry).decode("utf-8", "replace")
    except NotFoundError as error:
        raise ImageError(
            f"{error}: Flatcar has no channel {image.channel} for {image.arch}; take stable, beta, alpha or lts"
        ) from error
    found = re.search(r"^FLATCAR_VERSION=(.*)$", text, re.MULTILINE)
    if found is None:
        raise ImageError(
            f"{url}: no line FLATCAR_VERSION=..., so this is not Flatcar's version.txt; correct the mirror"
        )
    version = found[1].strip().strip('"')
    check_version(image, version, url, "correct the mirror")
    return version


def _flatcar_sha512(digests: bytes, name: str, url: str) -> str:
    """DIGESTS has a heading `# SHA512 HASH` (and others), each with lines `<hex>  <file>` below."""
    heading = ""
    for line in digests.decode("utf-8", "replace").splitlines():
        if line.startswith("#"):
            heading = line.strip("# ").upper()
        elif heading == "SHA512 HASH":
            found = re.fullmatch(r"([0-9a-f]{128})\s+\*?(\S+)", line.strip())
            if found is not None and found[2] == name:
                return found[1]
    raise ImageError(f"{url}: no SHA512 hash of {name}, so this is not its DIGESTS file; correct the mirror")


def _fcos(image: OsImage, servers: Servers, client: httpx.Client, retry: Retry) -> Resolved:
    if image.version is None:
        url = servers.url(f"{FCOS_URL}/streams/{image.channel}.json")
        outer, inner = "artifacts", "formats"
        missing = f"Fedora CoreOS has no stream {image.channel}; take stable, testing or next"
    else:
        check_version(image, image.version, "fcos", "correct `version`")
        url = servers.url(f"{FCOS_URL}/prod/streams/{image.channel}/builds/{image.version}/release.json")
        outer, inner = "media", "artifacts"
        missing = (
            f"Fedora CoreOS's stream {image.channel} has no release {image.version}; "
            f"take a version from {FCOS_URL}/prod/streams/{image.channel}/releases.json"
        )
    try:
        document = _json(get_small(client, url, retry=retry), url)
    except NotFoundError as error:
        raise ImageError(f"{error}: {missing}") from error
    platform = ("architectures", _FCOS_ARCHES[image.arch], outer, "qemu")
    release = _text(document, ("release",) if image.version else (*platform, "release"), url)
    check_version(image, release, url, "correct the mirror")
    if image.version not in (None, release):
        raise ImageError(f"{url}: this is the metadata of {release}, not of {image.version}; correct the mirror")
    return _fcos_resolved(image, servers, release, document, (*platform, inner, "qcow2.xz", "disk"), url)


def _fcos_resolved(
    image: OsImage, servers: Servers, release: str, document: object, disk: tuple[str, ...], url: str
) -> Resolved:
    unpacked = _lookup(document, (*disk, "uncompressed-sha256"))
    return Resolved(
        name=stem(image, release),
        version=release,
        url=servers.url(_text(document, (*disk, "location"), url)),
        checksum=Checksum(algorithm="sha256", hex=_sha256(document, (*disk, "sha256"), url)),
        signature_url=servers.url(_text(document, (*disk, "signature"), url)),
        key=_fcos_key(servers, release),
        compression="xz",
        format="qcow2",
        unpacked_sha256=None if unpacked is None else _sha256(document, (*disk, "uncompressed-sha256"), url),
    )


def _fcos_key(servers: Servers, release: str) -> SigningKey:
    fedora = int(release.partition(".")[0])
    fingerprint = servers.fcos_keys.get(fedora)
    if fingerprint is None:
        known = ", ".join(str(number) for number in sorted(servers.fcos_keys))
        raise ImageError(
            f"fcos: Fedora CoreOS {release} is signed with the key of Fedora {fedora}, which this version of Firestorm "
            f"does not know (it knows those of {known}); pin a `version` of these, update Firestorm, or download the "
            "image yourself and give its `path` and `sha256`"
        )
    return SigningKey(url=servers.url(FCOS_KEY_URL), fingerprint=fingerprint)


def _json(body: bytes, url: str) -> object:
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        what = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "no text"
        raise ImageError(f"{url}: not JSON ({what}); try again later, or correct the mirror") from error
    return document


def _lookup(document: object, path: tuple[str, ...]) -> object:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _text(document: object, path: tuple[str, ...], url: str) -> str:
    value = _lookup(document, path)
    if isinstance(value, str) and value:
        return value
    what = "missing" if value is None else "not a text"
    raise ImageError(f"{url}: {_dotted(path)} is {what}; try again later, or correct the mirror")


def _sha256(document: object, path: tuple[str, ...], url: str) -> str:
    value = _text(document, path, url)
    if not _SHA256.fullmatch(value):
        raise ImageError(f"{url}: {_dotted(path)} is not a SHA-256 hash; try again later, or correct the mirror")
    return value


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(f'"{key}"' if "." in key else key for key in path)
