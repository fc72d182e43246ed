"""Container images: a layout that the specification accepts, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import struct
import tarfile
from pathlib import Path
from typing import Any

from firestorm_lab.oci import Entry, Layer, OciImage, write_layout

NET_BIND_SERVICE = 1 << 10


def images(program: Path) -> tuple[OciImage, OciImage]:
    shared = Layer(
        entries=(
            Entry(path="/usr/local/bin/program", source=program, capabilities=NET_BIND_SERVICE),
            Entry(path="/usr/local/bin/alias", link="program"),
            Entry(path="/etc/passwd", content=b"root:x:0:0::/:\n", mode=0o644),
        ),
        directories=(("/tmp", 0o1777),),
    )
    first = OciImage(name="registry.k8s.io/first:v1", layers=(shared,), entrypoint=("/usr/local/bin/alias",))
    own = Layer(entries=(Entry(path="/own", content=b"own"),))
    second = OciImage(name="ghcr.io/a/second:v2", layers=(shared, own), command=("sh",), user="65532:65532")
    return first, second


def write(tmp_path: Path, name: str) -> tuple[Path, dict[str, str]]:
    program = tmp_path / f"{name}-program"
    program.write_bytes(b"\x7fELF" + bytes(100_000))
    return tmp_path / name, write_layout(tmp_path / name, images(program))


def blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()


def load(layout: Path, digest: str) -> Any:
    return json.loads(blob(layout, digest))


def test_every_blob_is_named_by_its_digest_and_sized_as_described(tmp_path: Path) -> None:
    layout, digests = write(tmp_path, "layout")
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((layout / "index.json").read_text())
    assert {
        entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in index["manifests"]
    } == digests
    described = {entry["digest"]: entry["size"] for entry in index["manifests"]}
    for digest in digests.values():
        manifest = load(layout, digest)
        assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
        described |= {entry["digest"]: entry["size"] for entry in [manifest["config"], *manifest["layers"]]}
    stored = {f"sha256:{path.name}": path for path in (layout / "blobs" / "sha256").iterdir()}
    assert {digest: path.stat().st_size for digest, path in stored.items()} == described
    assert [
        digest for digest, path in stored.items() if hashlib.sha256(path.read_bytes()).hexdigest() not in digest
    ] == []


def test_images_share_a_layer_and_say_how_they_start(tmp_path: Path) -> None:
    layout, digests = write(tmp_path, "layout")
    first, second = load(layout, digests["registry.k8s.io/first:v1"]), load(layout, digests["ghcr.io/a/second:v2"])
    assert first["layers"] == second["layers"][:1]
    assert {layer["mediaType"] for layer in second["layers"]} == {"application/vnd.oci.image.layer.v1.tar"}
    config = load(layout, first["config"]["digest"])
    assert config["config"]["Entrypoint"] == ["/usr/local/bin/alias"]
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layer["digest"] for layer in first["layers"]]}
    config = load(layout, second["config"]["digest"])
    assert (config["config"]["Cmd"], config["config"]["User"]) == (["sh"], "65532:65532")
    assert "Entrypoint" not in config["config"]


def test_a_layer_holds_parents_modes_links_and_capabilities(tmp_path: Path) -> None:
    layout, digests = write(tmp_path, "layout")
    digest = load(layout, digests["registry.k8s.io/first:v1"])["layers"][0]["digest"]
    with tarfile.open(layout / "blobs" / "sha256" / digest.removeprefix("sha256:")) as archive:
        members = {member.name: member for member in archive}
    assert {name: (member.type, member.mode) for name, member in members.items()} == {
        "etc": (tarfile.DIRTYPE, 0o755),
        "etc/passwd": (tarfile.REGTYPE, 0o644),
        "tmp": (tarfile.DIRTYPE, 0o1777),
        "usr": (tarfile.DIRTYPE, 0o755),
        "usr/local": (tarfile.DIRTYPE, 0o755),
        "usr/local/bin": (tarfile.DIRTYPE, 0o755),
        "usr/local/bin/alias": (tarfile.SYMTYPE, 0o777),
        "usr/local/bin/program": (tarfile.REGTYPE, 0o755),
    }
    assert members["usr/local/bin/alias"].linkname == "program"
    attribute = members["usr/local/bin/program"].pax_headers["SCHILY.xattr.security.capability"].encode()
    # struct vfs_cap_data: revision 2 with the effective flag, then permitted and inheritable, low words first.
    assert struct.unpack("<5I", attribute) == (0x02000001, NET_BIND_SERVICE, 0, 0, 0)
    assert {(member.mtime, member.uid, member.gid) for member in members.values()} == {(0, 0, 0)}


def test_two_runs_write_the_same(tmp_path: Path) -> None:
    one, two = write(tmp_path, "one"), write(tmp_path, "two")
    assert one[1] == two[1]
    assert (one[0] / "index.json").read_bytes() == (two[0] / "index.json").read_bytes()


def test_names_split_into_repository_and_tag() -> None:
    image = OciImage(name="registry.k8s.io/coredns/coredns:v1.14.2", layers=())
    assert (image.repository, image.tag) == ("coredns/coredns", "v1.14.2")
