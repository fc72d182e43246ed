"""An image file of the user's own: checked and used in place."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import Final

from firestorm.errors import ImageError
from firestorm.images.files import Record, digest, make_directory, read_record, write_record
from firestorm.images.meter import Meter
from firestorm.images.model import LocalImage
from firestorm.images.unpack import inspect
from firestorm.spec.model import OsImage

_SETTLED: Final = 2_000_000_000  # ns; a file changed later than this before it was read may change under one time stamp


def own_image(image: OsImage, path: Path, cache_dir: Path, meter: Meter) -> LocalImage:
    """The image file at `path`, with the boot files beside it if the specification names them.

    Its hash is remembered in the cache for as long as the file keeps its size and modification time.

    Raises:
        ImageError: a file is missing or unreadable, or the image is not what `sha256` says.
    """
    kernel, initrd = (_boot_file(image, name) for name in ("kernel", "initrd"))
    _readable(image, "path", path)
    if path.stat().st_size == 0:
        raise ImageError(f"{path}: the image is empty; give the `path` of a disk image")
    form, virtual_size, backed = inspect(path)
    if backed:
        raise ImageError(
            f"{path}: the image rests on a backing file, which no hash of it covers; "
            "make it whole with `qemu-img convert -O qcow2`"
        )
    sha256 = _sha256(path, cache_dir, meter)
    if image.sha256 is not None and image.sha256.lower() != sha256:
        raise ImageError(
            f"{path}: its sha256 is {sha256}, but the specification says {image.sha256}; "
            "restore the file, or correct `sha256` if you have replaced the image"
        )
    version = image.version or "local"
    ending = "qcow2" if form == "qcow2" else "img"
    return LocalImage(
        path=path,
        name=f"{image.name}-{image.channel}-{version}-{image.arch}-{sha256[:12]}.{ending}",
        version=version,
        format=form,
        sha256=sha256,
        virtual_size=virtual_size,
        kernel=kernel,
        initrd=initrd,
    )


def _boot_file(image: OsImage, field: str) -> Path | None:
    given = image.kernel if field == "kernel" else image.initrd
    if given is None:
        return None
    path = Path(given).absolute()
    _readable(image, field, path)
    return path


def _readable(image: OsImage, field: str, path: Path) -> None:
    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise ImageError(f"{path}: {what}; correct `{field}` of the operating system {image.name}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}; make the file readable for the user who deploys") from error


def _sha256(path: Path, cache_dir: Path, meter: Meter) -> str:
    memo = cache_dir / ".own" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"
    before = path.stat()
    record = read_record(memo)
    if record is not None and (record.size, record.mtime_ns) == (before.st_size, before.st_mtime_ns):
        return record.sha256
    sha256 = digest(path, "sha256", lambda done: meter.count("verify", done, before.st_size))
    if time.time_ns() - before.st_mtime_ns > _SETTLED:
        record = Record(version="", source=str(path), sha256=sha256, size=before.st_size, mtime_ns=before.st_mtime_ns)
        with contextlib.suppress(OSError):  # without the memory, only time is lost
            make_directory(memo.parent, 0o700)
            write_record(memo, record)
    return sha256
