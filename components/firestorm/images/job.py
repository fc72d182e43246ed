"""The making of one cached image, under its lock: download, verify, unpack, publish."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from firestorm.errors import ImageError
from firestorm.images import files, openpgp, unpack
from firestorm.images.download import Download, Watch
from firestorm.images.files import Record
from firestorm.images.meter import Meter
from firestorm.images.model import LocalImage, Resolved
from firestorm.images.transport import NotFoundError, Retry, get_small

# Room that a decompressed image is taken to need, in multiples of the download: Fedora CoreOS's xz is about 1:3.
_EXPANSION: Final = 4
_SMALL: Final = 2 << 20  # bytes; signatures have some 600, the file of all Fedora keys some 20 000
_PART: Final = "download"


def work_of(cache_dir: Path, name: str) -> Path:
    """The directory of everything unfinished of the release `name`."""
    return cache_dir / ".work" / name


def record_of(path: Path) -> Path:
    """The record beside a cached image."""
    return path.with_name(path.name + ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One image to make. `want` is a SHA-256 that the specification pins the disk image to."""

    resolved: Resolved
    want: str | None
    cache_dir: Path
    client: httpx.Client
    retry: Retry
    meter: Meter

    def run(self) -> LocalImage:
        """Makes the image. The caller holds its lock. Whatever happens, only a resumable download stays unfinished.

        Raises:
            ImageError: as `firestorm.images.fetch`.
            OSError: the cache's disk is full or fails.
        """
        work = work_of(self.cache_dir, self.resolved.name)
        files.make_directory(work, 0o700)
        self._tidy(work)
        try:
            return self._make(work)
        finally:
            self._tidy(work)
            with contextlib.suppress(OSError):  # not empty: a download to resume
                work.rmdir()

    def _tidy(self, work: Path) -> None:
        """Removes what a killed run left behind, and at the end what this one needs no longer."""
        for path in work.iterdir():
            if path.name not in (_PART, f"{_PART}.json"):
                path.unlink()

    def _make(self, work: Path) -> LocalImage:
        resolved = self.resolved
        signature = work / "signature"
        # The small files first: a missing signature or a wrong key shows before hundreds of megabytes have come.
        signature.write_bytes(self._small(resolved.signature_url, "without it the image cannot be verified"))
        key = openpgp.pinned_key(
            self._small(resolved.key.url, "without it no image can be verified"),
            resolved.key.fingerprint,
            resolved.key.url,
        )
        download = self._download(work)
        try:
            openpgp.verify(download.part, signature, key, resolved.key.fingerprint, resolved.signature_url)
        except openpgp.SignatureError as error:
            download.discard()
            raise ImageError(
                f"{error}; {resolved.url} has been removed. Try again; if it stays so, the server or mirror has an "
                "altered file"
            ) from error
        try:
            image, sha256 = self._unpack(download.part, work)
        except ImageError:
            download.discard()
            raise
        local = self._publish(image, sha256)
        download.discard()
        return local

    def _small(self, url: str, why: str) -> bytes:
        try:
            return get_small(self.client, url, retry=self.retry, limit=_SMALL)
        except NotFoundError as error:
            raise ImageError(f"{error}; {why}, so copy this file to the mirror too") from error

    def _download(self, work: Path) -> Download:
        resolved, meter = self.resolved, self.meter
        part = work / _PART

        def room(rest: int, total: int) -> None:
            unpacked = 0 if resolved.compression == "none" else _EXPANSION * total
            files.require_room(self.cache_dir, rest + unpacked, f"the image {resolved.name}")

        watch = Watch(
            room=room,
            moved=lambda done, total: meter.count("download", done, total),
            failed=lambda reason: meter.say("retry", reason),
            hashed=lambda done: meter.count("verify", done, part.stat().st_size),
        )
        download = Download(
            client=self.client,
            url=resolved.url,
            checksum=resolved.checksum,
            part=part,
            retry=self.retry,
            watch=watch,
        )
        try:
            download.run()
        except NotFoundError as error:
            raise ImageError(
                f"{error}; the release's metadata names this file, so try again later or correct the mirror"
            ) from error
        return download

    def _unpack(self, part: Path, work: Path) -> tuple[Path, str]:
        """(the disk image, its SHA-256), checked."""
        resolved, meter = self.resolved, self.meter
        if resolved.compression == "none":
            image = part
            sha256 = files.digest(part, "sha256", lambda done: meter.count("verify", done, part.stat().st_size))
        else:
            image = work / "image"
            try:
                sha256 = unpack.decompress(part, image, resolved.compression, lambda done: meter.count("unpack", done))
            except ImageError as error:
                raise ImageError(f"{resolved.url}: {error}; it has been removed. Tell its publisher") from error
        if resolved.unpacked_sha256 not in (None, sha256):
            raise ImageError(
                f"{resolved.url}: the sha256 of the unpacked image is {sha256}, but {resolved.unpacked_sha256} is "
                "published; it has been removed. Tell its publisher, or correct the mirror"
            )
        if self.want is not None and self.want.lower() != sha256:
            raise ImageError(
                f"{resolved.url}: the sha256 of the image is {sha256}, but the specification says {self.want}; it has "
                "been removed. Correct `sha256`, or pin the `version` that it belongs to"
            )
        found, _, _ = unpack.inspect(image)
        if found != resolved.format:
            raise ImageError(
                f"{resolved.url}: not a {resolved.format} image; it has been removed. Tell its publisher, or correct "
                "the mirror"
            )
        return image, sha256

    def _publish(self, image: Path, sha256: str) -> LocalImage:
        resolved = self.resolved
        final = self.cache_dir / f"{resolved.name}-{sha256[:12]}.{resolved.format}"
        stat = image.stat()
        record = Record(
            version=resolved.version,
            source=f"{resolved.checksum.algorithm}:{resolved.checksum.hex}",
            sha256=sha256,
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            url=resolved.url,
        )
        _, virtual_size, _ = unpack.inspect(image)
        try:
            files.write_record(record_of(final), record)
            files.publish(image, final)
        except OSError:
            record_of(final).unlink(missing_ok=True)
            raise
        return LocalImage(
            path=final,
            name=final.name,
            version=resolved.version,
            format=resolved.format,
            sha256=sha256,
            virtual_size=virtual_size,
        )
