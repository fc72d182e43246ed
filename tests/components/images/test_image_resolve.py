"""What release metadata becomes, and which URLs are asked for it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import httpx
import pytest

from firestorm.images import Checksum, Resolved, Servers, SigningKey, resolve
from firestorm.images.model import Compression
from firestorm.spec.model import Mirror, OsImage
from tests.components.images.image_site import FCOS, FCOS_IMAGE, FCOS_PAYLOAD, FCOS_VERSION, FLATCAR, Site, sha

DIGESTS_NAMES = {
    "amd64": "flatcar_production_qemu_image.img",
    "arm64": "flatcar_production_qemu_uefi_image.img",
}


def official(answers: dict[str, str]) -> tuple[httpx.Client, list[str]]:
    """A client that stands for the official servers, and the URLs that it was asked for."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        text = answers.get(str(request.url))
        found = httpx.ByteStream((text or "").encode())
        return httpx.Response(404 if text is None else 200, stream=found)

    return httpx.Client(transport=httpx.MockTransport(answer)), asked


@pytest.mark.parametrize(
    ("image", "packed", "compression"),
    [
        (FLATCAR, "", "none"),
        (replace(FLATCAR, channel="alpha", version="4593.0.0"), "", "none"),
        (replace(FLATCAR, arch="arm64"), "", "none"),
        (replace(FLATCAR, version="3510.2.8"), ".bz2", "bz2"),
    ],
    ids=["current", "pinned", "arm64", "old"],
)
def test_flatcar(image: OsImage, packed: str, compression: Compression) -> None:
    base = f"https://{image.channel}.release.flatcar-linux.net/{image.arch}-usr"
    version, name = image.version or "4459.2.4", DIGESTS_NAMES[image.arch]
    url = f"{base}/{version}/{name}{packed}"
    sha512 = hashlib.sha512(b"image").hexdigest()
    client, asked = official(
        {
            f"{base}/current/version.txt": "FLATCAR_BUILD=4459\nFLATCAR_VERSION=4459.2.4\nFLATCAR_VERSION_ID=x\n",
            f"{url}.DIGESTS": f"# SHA1 HASH\n{'0' * 40}  {name}{packed}\n# SHA512 HASH\n{sha512}  {name}{packed}\n",
        }
    )
    assert resolve(image, servers=Servers(), client=client) == Resolved(
        name=f"flatcar-{image.channel}-{version}-{image.arch}",
        version=version,
        url=url,
        checksum=Checksum(algorithm="sha512", hex=sha512),
        signature_url=f"{url}.sig",
        key=SigningKey(
            url="https://www.flatcar.org/security/image-signing-key/Flatcar_Image_Signing_Key.asc",
            fingerprint="F88CFEDEFF29A5B4D9523864E25D9AED0593B34A",
        ),
        compression=compression,
        format="qcow2",
    )
    assert asked == [
        *([f"{base}/current/version.txt"] if image.version is None else []),
        *([f"{base}/{version}/{name}.DIGESTS"] if packed else []),
        f"{url}.DIGESTS",
    ]


@pytest.mark.parametrize("version", [None, FCOS_VERSION], ids=["stream", "release"])
@pytest.mark.parametrize("unpacked", [True, False], ids=["unpacked", "no-unpacked"])
def test_fcos(releases: dict[str, bytes], version: str | None, unpacked: bool) -> None:
    """Old release metadata have no hash of the unpacked image."""
    path = f"/prod/streams/stable/builds/{version}/release.json" if version else "/streams/stable.json"
    base = "https://builds.coreos.fedoraproject.org"
    text = releases[f"/fcos{path}"].decode()
    client, asked = official({base + path: text if unpacked else text.replace("uncompressed-", "un-")})
    url = base + FCOS_IMAGE.removeprefix("/fcos")
    assert resolve(replace(FCOS, version=version), servers=Servers(), client=client) == Resolved(
        name=f"fcos-stable-{FCOS_VERSION}-amd64",
        version=FCOS_VERSION,
        url=url,
        checksum=Checksum(algorithm="sha256", hex=sha("sha256", releases[FCOS_IMAGE])),
        signature_url=f"{url}.sig",
        key=SigningKey(
            url="https://fedoraproject.org/fedora.gpg", fingerprint="36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6"
        ),
        compression="xz",
        format="qcow2",
        unpacked_sha256=sha("sha256", FCOS_PAYLOAD) if unpacked else None,
    )
    assert asked == [base + path]


def test_mirrors_apply_to_what_metadata_name(site: Site, servers: Servers, client: httpx.Client) -> None:
    resolved = resolve(FCOS, servers=servers, client=client)
    assert (resolved.url, resolved.signature_url, resolved.key.url) == (
        f"{site.url}{FCOS_IMAGE}",
        f"{site.url}{FCOS_IMAGE}.sig",
        f"{site.url}/keys/fedora.gpg",
    )


MIRRORS = Servers(
    mirrors=(
        Mirror(prefix="https://a.example", url="http://m/a/"),
        Mirror(prefix="https://a.example/deep/", url="http://m/deep"),
        Mirror(prefix="registry.example", url="http://m/registry"),
    )
)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://a.example/x?y", "http://m/a/x?y"),
        ("https://a.example", "http://m/a"),
        ("https://a.example/deep/x", "http://m/deep/x"),
        ("https://a.example/deeper", "http://m/a/deeper"),
        ("https://a.example.evil/x", "https://a.example.evil/x"),
        ("https://b.example/x", "https://b.example/x"),
        ("registry.example/x", "registry.example/x"),
    ],
)
def test_mirror_prefixes(url: str, asked: str) -> None:
    assert MIRRORS.url(url) == asked
