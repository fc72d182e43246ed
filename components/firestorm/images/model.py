"""What the image cache speaks of: a release found on a server, an image on this machine, a step of the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Algorithm = Literal["sha256", "sha512"]
Compression = Literal["none", "gz", "bz2", "xz"]
Format = Literal["qcow2", "raw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """A published hash of a file: the algorithm and lower-case hexadecimal digits."""

    algorithm: Algorithm
    hex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """Where a project's OpenPGP key is downloaded from, and the primary key fingerprint it must have."""

    url: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A release's image as its server describes it. Every URL is the one to ask, after mirrors.

    `name` is <os>-<channel>-<version>-<arch>. `checksum` and the detached signature at `signature_url` are of the file
    as downloaded; `unpacked_sha256`, where published, of the decompressed one. Neither project publishes a size: that
    is known from the download itself.
    """

    name: str
    version: str
    url: str
    checksum: Checksum
    signature_url: str
    key: SigningKey
    compression: Compression
    format: Format
    unpacked_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImage:
    """A verified image file on this machine.

    `name` is unique to the content: <os>-<channel>-<version>-<arch>-<first 12 digits of sha256>.<format> (`raw` files
    end in .img). `virtual_size` in bytes is the size of the disk that a guest sees: no volume on top may be smaller.
    `kernel` and `initrd` are set for an image of the user's own without a boot loader.
    """

    path: Path
    name: str
    version: str
    format: Format
    sha256: str
    virtual_size: int
    kernel: Path | None = None
    initrd: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEvent:
    """One report of progress on the image `name`: `done` of `total` bytes (None: unknown) at `rate` bytes per second.

    `wait` says that another run holds the image's lock; `retry` that the server is asked again, for `reason`.
    """

    stage: Literal["wait", "download", "retry", "verify", "unpack", "done"]
    name: str
    done: int = 0
    total: int | None = None
    rate: float = 0.0
    reason: str = ""


Progress = Callable[[ImageEvent], None]
