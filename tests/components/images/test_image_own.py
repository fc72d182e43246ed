"""An image file of the user's own."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from firestorm.errors import ImageError
from firestorm.images import LocalImage, fetch, is_cached
from firestorm.spec.model import OsImage
from tests.components.images.image_site import qcow2, sha, tree

RAW = b"\x00" * 510 + b"\x55\xaa" + b"partition" * 100
QCOW2 = qcow2(4096, 8, virtual=5 << 30)


def own(path: Path, **fields: str) -> OsImage:
    return OsImage(name="debian", channel="trixie", path=str(path), **fields)  # type: ignore[arg-type]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "my.img"
    path.write_bytes(RAW)
    return path


def message(image: OsImage, cache: Path) -> str:
    with pytest.raises(ImageError) as caught:
        fetch(image, cache)
    return str(caught.value)


def test_used_in_place(image: Path, tmp_path: Path, cache: Path) -> None:
    kernel, initrd = tmp_path / "vmlinuz", tmp_path / "initrd"
    for file in (kernel, initrd):
        file.write_bytes(b"boot")
    given = own(image, sha256=sha("sha256", RAW), kernel=str(kernel), initrd=str(initrd))
    assert is_cached(given, cache)
    assert fetch(given, cache) == LocalImage(
        path=image,
        name=f"debian-trixie-local-amd64-{sha('sha256', RAW)[:12]}.img",
        version="local",
        format="raw",
        sha256=sha("sha256", RAW),
        virtual_size=len(RAW),
        kernel=kernel,
        initrd=initrd,
    )
    assert not cache.exists()


def test_qcow2(image: Path, cache: Path) -> None:
    image.write_bytes(QCOW2)
    found = fetch(own(image, version="13"), cache)
    assert (found.name, found.format, found.virtual_size, found.kernel, found.initrd) == (
        f"debian-trixie-13-amd64-{sha('sha256', QCOW2)[:12]}.qcow2",
        "qcow2",
        5 << 30,
        None,
        None,
    )


def test_hash_is_remembered_until_the_file_changes(image: Path, cache: Path) -> None:
    """An unchanged size and time are taken for an unchanged file: shown by changing the content behind their back."""
    os.utime(image, (1, 1))
    first = fetch(own(image), cache)
    image.write_bytes(RAW[::-1])
    os.utime(image, (1, 1))
    assert fetch(own(image), cache).sha256 == first.sha256
    os.utime(image, (2, 2))
    assert fetch(own(image), cache).sha256 == sha("sha256", RAW[::-1])
    assert len(tree(cache)) == 2


def test_fresh_file_is_not_remembered(image: Path, cache: Path) -> None:
    """Two changes within one tick of the file system's clock must not look like one."""
    now = time.time_ns()
    os.utime(image, ns=(now, now))
    fetch(own(image), cache)
    image.write_bytes(RAW[::-1])
    os.utime(image, ns=(now, now))
    assert fetch(own(image), cache).sha256 == sha("sha256", RAW[::-1])


def test_cache_that_cannot_be_written_costs_only_time(image: Path, tmp_path: Path) -> None:
    os.utime(image, (1, 1))
    (tmp_path / "file").touch()
    assert fetch(own(image), tmp_path / "file").sha256 == sha("sha256", RAW)


def test_wrong_hash(image: Path, cache: Path) -> None:
    assert message(own(image, sha256="0" * 64), cache) == (
        f"{image}: its sha256 is {sha('sha256', RAW)}, but the specification says {'0' * 64}; restore the file, or "
        "correct `sha256` if you have replaced the image"
    )
    assert image.read_bytes() == RAW


@pytest.mark.parametrize("field", ["path", "kernel", "initrd"])
def test_missing_files(image: Path, tmp_path: Path, cache: Path, field: str) -> None:
    missing = tmp_path / "missing"
    given = own(missing) if field == "path" else own(image, **{field: str(missing)})
    assert message(given, cache) == f"{missing}: no such file; correct `{field}` of the operating system debian"


def test_directory(tmp_path: Path, cache: Path) -> None:
    assert message(own(tmp_path), cache) == f"{tmp_path}: not a file; correct `path` of the operating system debian"


def test_empty(image: Path, cache: Path) -> None:
    image.write_bytes(b"")
    assert message(own(image), cache) == f"{image}: the image is empty; give the `path` of a disk image"


def test_backing_file(image: Path, cache: Path) -> None:
    image.write_bytes(qcow2(4096, 9, backing=112))
    assert message(own(image), cache) == (
        f"{image}: the image rests on a backing file, which no hash of it covers; make it whole with "
        "`qemu-img convert -O qcow2`"
    )
