"""The cache: an image is there, verified and under the name of its content, or it is not there.

In the cache directory: <image>, <image>.json (its record), and in .work, while something is under way, a lock and a
directory per image that hold everything unfinished.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import httpx

from firestorm.errors import ImageError
from firestorm.images import files, unpack
from firestorm.images.files import Record
from firestorm.images.job import Job, record_of, work_of
from firestorm.images.meter import Meter
from firestorm.images.model import LocalImage, Progress, Resolved
from firestorm.images.own import own_image
from firestorm.images.releases import check_version, resolve, stem
from firestorm.images.servers import Servers
from firestorm.images.transport import Retry, UnreachableError, http_client
from firestorm.spec.model import OsImage

_IMAGE: Final = re.compile(r"(?P<stem>.+)-(?P<digest>[0-9a-f]{12})\.qcow2")


def fetch(
    image: OsImage,
    cache_dir: Path,
    *,
    servers: Servers | None = None,
    progress: Progress | None = None,
    client: httpx.Client | None = None,
    retry: Retry | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> LocalImage:
    """The verified image file for `image`: from the cache, or downloaded into it, or the user's own in place.

    A pinned version that is cached needs no network. Any number of runs may do this at once: one downloads, the others
    wait for it. `progress` is called from this thread; `clock`, in monotonic seconds, is what rates are measured by.

    Raises:
        UnreachableError: the release server gives no usable answer.
        ImageError: anything else that keeps the image from being had or verified; nothing unverified is left behind
            under an image's name.
    """
    cache_dir = cache_dir.absolute()
    servers, retry = servers or Servers(), retry or Retry()
    try:
        if image.path is not None:
            meter = Meter(name=Path(image.path).name, progress=progress, clock=clock)
            return own_image(image, Path(image.path).absolute(), cache_dir, meter)
        hit = cached(image, cache_dir)
        if hit is not None:
            return hit
        with contextlib.ExitStack() as stack:
            client = client or stack.enter_context(http_client())
            resolved = _resolve(image, cache_dir, servers, client, retry)
            meter = Meter(name=resolved.name, progress=progress, clock=clock)
            return _obtain(image, resolved, cache_dir, client, retry, meter)
    except OSError as error:
        raise files.disk_error(error, cache_dir) from error


def default_cache() -> Path:
    """$XDG_CACHE_HOME/firestorm/images, by default ~/.cache/firestorm/images (XDG Base Directory Specification).

    Raises:
        ImageError: the user has no home directory.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # the specification has relative paths ignored
        try:
            base = Path.home() / ".cache"
        except RuntimeError as error:
            raise ImageError("no home directory for the image cache; set HOME or XDG_CACHE_HOME") from error
    return base / "firestorm" / "images"


def cached(image: OsImage, cache_dir: Path) -> LocalImage | None:
    """The cached image of a pinned version, without a look at the network; None if it is not there, or not pinned."""
    if image.version is None or image.path is not None or image.name == "debian":
        return None
    check_version(image, image.version, image.name, "correct `version`")
    return _find(cache_dir.absolute(), stem(image, image.version), image.sha256)


def is_cached(image: OsImage, cache_dir: Path) -> bool:
    """Whether `fetch` would need no network: an own image, or a pinned version that is in the cache."""
    return image.path is not None or cached(image, cache_dir) is not None


def prune(cache_dir: Path, keep: Collection[str]) -> tuple[str, ...]:
    """Removes every image but those named in `keep` (`LocalImage.name`), and downloads that no running process makes.

    Returns the names of what was removed. Volumes that have a removed image as their backing file are lost with it:
    name all that are in use.
    """
    removed = []
    for path in sorted(cache_dir.glob("*.qcow2")):
        if _IMAGE.fullmatch(path.name) and path.name not in keep:
            _remove(path)
            removed.append(path.name)
    for work in sorted(cache_dir.glob(".work/*/")):
        with contextlib.suppress(_Busy), files.exclusive(_lock_of(work), _busy):
            shutil.rmtree(work, ignore_errors=True)
            removed.append(f".work/{work.name}")
    return tuple(removed)


def _resolve(image: OsImage, cache_dir: Path, servers: Servers, client: httpx.Client, retry: Retry) -> Resolved:
    try:
        return resolve(image, servers=servers, client=client, retry=retry)
    except UnreachableError as error:
        versions = _cached_versions(cache_dir, image)
        if image.version is not None or not versions:
            raise
        raise UnreachableError(f"{error}. To go on with an image of the cache, pin `version` {versions[0]}") from error


def _obtain(
    image: OsImage, resolved: Resolved, cache_dir: Path, client: httpx.Client, retry: Retry, meter: Meter
) -> LocalImage:
    source = f"{resolved.checksum.algorithm}:{resolved.checksum.hex}"
    hit = _find(cache_dir, resolved.name, image.sha256, source)
    if hit is not None:
        return hit
    files.make_directory(cache_dir, 0o755)
    work = work_of(cache_dir, resolved.name)
    with files.exclusive(_lock_of(work), lambda: meter.say("wait")):
        hit = _find(cache_dir, resolved.name, image.sha256, source)
        if hit is None:
            job = Job(
                resolved=resolved,
                want=image.sha256,
                cache_dir=cache_dir,
                client=client,
                retry=retry,
                meter=meter,
            )
            hit = job.run()
    meter.say("done")
    return hit


class _Busy(Exception):  # noqa: N818 - never escapes this module
    pass


def _busy() -> None:
    raise _Busy


def _lock_of(work: Path) -> Path:
    return work.with_name(work.name + ".lock")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    record_of(path).unlink(missing_ok=True)


def _cached_versions(cache_dir: Path, image: OsImage) -> list[str]:
    """The versions of the image's channel that are in the cache, the last downloaded first."""
    found = []
    for path in cache_dir.glob(f"{image.name}-{image.channel}-*-{image.arch}-*.qcow2"):
        record = files.read_record(record_of(path))
        if record is not None and path.name.startswith(stem(image, record.version) + "-"):
            found.append((path.stat().st_mtime_ns, record.version))
    return [version for _, version in sorted(found, reverse=True)]


def _find(cache_dir: Path, name: str, sha256: str | None = None, source: str | None = None) -> LocalImage | None:
    """The cached image of the release `name`, the newest if it was published more than once.

    `sha256` and `source` (the published checksum) restrict the search. A file that is not what its record says is
    removed.
    """
    found = []
    for path in cache_dir.glob(f"{name}-*.qcow2"):
        match, record = _IMAGE.fullmatch(path.name), files.read_record(record_of(path))
        if match is None or match["stem"] != name or record is None:
            continue
        if source not in (None, record.source) or (sha256 or record.sha256).lower() != record.sha256:
            continue
        if _intact(path, record):
            found.append((path.stat().st_mtime_ns, path, record))
    if not found:
        return None
    _, path, record = max(found, key=lambda entry: entry[0])
    form, virtual_size, _ = unpack.inspect(path)
    return LocalImage(
        path=path,
        name=path.name,
        version=record.version,
        format=form,
        sha256=record.sha256,
        virtual_size=virtual_size,
    )


def _intact(path: Path, record: Record) -> bool:
    """Whether the file is the one that was verified: by its size and time, or else by its hash."""
    now = path.stat()
    if (now.st_size, now.st_mtime_ns) == (record.size, record.mtime_ns):
        return True
    if now.st_size == record.size and files.digest(path, "sha256") == record.sha256:
        with contextlib.suppress(OSError):  # a cache that may only be read
            files.write_record(record_of(path), dataclasses.replace(record, mtime_ns=now.st_mtime_ns))
        return True
    _remove(path)
    return False
