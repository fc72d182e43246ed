"""OCI images, written by hand: https://github.com/opencontainers/image-spec (v1.1).

Layers are plain tar archives, since an emulated machine decompresses slowly, and everything is reproducible: times are
zero, names sorted.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_NAME_ANNOTATIONS = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file (`source` or `content`) or a symbolic link (`link`) of a layer, at the absolute `path`.

    `capabilities` are the file's permitted and effective capabilities, as a bit mask (capability.h).
    """

    path: str
    source: Path | None = None
    content: bytes = b""
    link: str | None = None
    mode: int = 0o755
    capabilities: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Files that images share when they share the layer.

    Parent directories are added; `directories` names further ones, with their modes.
    """

    entries: tuple[Entry, ...]
    directories: tuple[tuple[str, int], ...] = ()

    def write(self, target: Path) -> None:
        """The layer as a tar archive."""
        modes = {parent: 0o755 for entry in self.entries for parent in _parents(entry.path)}
        for path, mode in self.directories:
            modes |= {parent: modes.get(parent, 0o755) for parent in _parents(path)}
            modes[_relative(path)] = mode
        entries = {_relative(entry.path): entry for entry in self.entries}
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
            for name in sorted({*modes, *entries}):
                if name in entries:
                    _add(archive, name, entries[name])
                else:
                    archive.addfile(_member(name, tarfile.DIRTYPE, modes[name]))


@dataclass(frozen=True, slots=True, kw_only=True)
class OciImage:
    """An image under its full name, as `registry.k8s.io/pause:3.10.2`."""

    name: str
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    directory: str = "/"
    labels: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def repository(self) -> str:
        """The name inside its registry, as `coredns/coredns`."""
        return self.name.partition("/")[2].rpartition(":")[0]

    @property
    def tag(self) -> str:
        return self.name.rpartition(":")[2]


def write_layout(target: Path, images: Iterable[OciImage]) -> dict[str, str]:
    """Write an image layout (oci-layout, index.json, blobs); the manifest digest of each image by its name."""
    (target / "blobs" / "sha256").mkdir(parents=True)
    written: dict[int, dict[str, object]] = {}
    manifests: list[dict[str, object]] = []
    digests: dict[str, str] = {}
    for image in images:
        layers = [_layer(target, layer, written) for layer in image.layers]
        config = _blob(target, _json(_image_config(image, layers)), _CONFIG)
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers}
        described = _blob(target, _json(manifest), _MANIFEST)
        digests[image.name] = str(described["digest"])
        # The specification's name, and containerd's own, which it takes for the full one.
        described["annotations"] = dict.fromkeys(_NAME_ANNOTATIONS, image.name)
        described["platform"] = {"architecture": "amd64", "os": "linux"}
        manifests.append(described)
    (target / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (target / "index.json").write_bytes(_json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}))
    return digests


def _image_config(image: OciImage, layers: Sequence[dict[str, object]]) -> dict[str, object]:
    config: dict[str, object] = {"Env": [f"PATH={_DEFAULT_PATH}"], "WorkingDir": image.directory}
    if image.entrypoint:
        config["Entrypoint"] = list(image.entrypoint)
    if image.command:
        config["Cmd"] = list(image.command)
    if image.user:
        config["User"] = image.user
    if image.labels:
        config["Labels"] = dict(sorted(image.labels.items()))
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": config,
        # The layers are not compressed, so a layer's digest is its diff ID too.
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    }


def _layer(target: Path, layer: Layer, written: dict[int, dict[str, object]]) -> dict[str, object]:
    if id(layer) not in written:
        archive = target / "layer.tar"
        layer.write(archive)
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = archive.stat().st_size
        archive.rename(target / "blobs" / "sha256" / digest)
        written[id(layer)] = {"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": size}
    return written[id(layer)]


def _blob(target: Path, content: bytes, media: str) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    (target / "blobs" / "sha256" / digest).write_bytes(content)
    return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content)}


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _relative(path: str) -> str:
    return str(PurePosixPath(path).relative_to("/"))


def _parents(path: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(_relative(path)).parents if str(parent) != "."]


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.mode = mode
    return member


def _add(archive: tarfile.TarFile, name: str, entry: Entry) -> None:
    if entry.link is not None:
        member = _member(name, tarfile.SYMTYPE, 0o777)
        member.linkname = entry.link
        archive.addfile(member)
        return
    member = _member(name, tarfile.REGTYPE, entry.mode)
    if entry.capabilities:
        member.pax_headers = {"SCHILY.xattr.security.capability": _capability(entry.capabilities)}
    if entry.source is None:
        member.size = len(entry.content)
        archive.addfile(member, io.BytesIO(entry.content))
        return
    with entry.source.open("rb") as file:
        member.size = entry.source.stat().st_size
        archive.addfile(member, file)


def _capability(mask: int) -> str:
    """A file's `security.capability` attribute: struct vfs_cap_data of linux/capability.h, revision 2, effective."""
    revision_2, effective = 0x02000000, 0x000001
    low, high = mask & 0xFFFFFFFF, mask >> 32
    packed = struct.pack("<5I", revision_2 | effective, low, 0, high, 0)
    return packed.decode("utf-8", "surrogateescape")
