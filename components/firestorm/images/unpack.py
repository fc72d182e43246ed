"""From the downloaded file to the disk image: streaming decompression, and what a disk image's header says."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, cast

from firestorm.errors import ImageError
from firestorm.images.files import CHUNK
from firestorm.images.model import Compression, Format

_QCOW2_MAGIC: Final = b"QFI\xfb"  # QEMU's docs/interop/qcow2.rst; all numbers are big-endian


def decompress(source: Path, target: Path, compression: Compression, report: Callable[[int], None]) -> str:
    """Writes `source` decompressed to `target` and returns the SHA-256 of that. `report` gets the bytes written so far.

    Raises:
        ImageError: `source` is damaged or cut off.
        OSError: the disk is full.
    """
    state, done = sha256(), 0
    with target.open("wb", buffering=0) as out:
        try:
            with _open(source, compression) as packed:
                while chunk := packed.read(CHUNK):
                    _write_all(out, chunk)
                    state.update(chunk)
                    done += len(chunk)
                    report(done)
        except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ImageError(f"the {compression} data is damaged ({error})") from error
    return state.hexdigest()


def _open(source: Path, compression: Compression) -> IO[bytes]:
    if compression == "xz":
        return lzma.open(source)
    if compression == "bz2":
        return bz2.open(source)
    if compression == "gz":
        return cast(IO[bytes], gzip.open(source))
    return source.open("rb")


def _write_all(out: IO[bytes], chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[out.write(rest) :]


def inspect(path: Path) -> tuple[Format, int, bool]:
    """(format, virtual size in bytes, whether it rests on a backing file). What is not qcow2 counts as raw."""
    with path.open("rb") as file:
        header = file.read(32)
    if len(header) < 32 or not header.startswith(_QCOW2_MAGIC):
        return "raw", path.stat().st_size, False
    return "qcow2", int.from_bytes(header[24:32], "big"), header[8:16] != bytes(8)
