"""The compressor: its output is fixed to the byte, is what zlib reads, and is chosen where the reference chooses it."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm_butane import translate
from firestorm_butane.deflate import EXACT, deflate, gzip_best
from firestorm_butane.encoding import data_url
from tests.butane.references import Reference


def inputs() -> dict[str, bytes]:
    rng = random.Random(20)
    words = [b"kubelet", b"etcd", b"apiVersion: v1\n", b"  - ", b"/etc/kubernetes/"]
    return {
        "empty": b"",
        "one byte": b"a",
        "run": b"a" * 1000,
        "numbers": b"".join(b"%d\n" % i for i in range(1, 501)),
        "noise": rng.randbytes(3000),
        "words": b"".join(rng.choice(words) for _ in range(4000)),
        "indented": b"".join(b" " * rng.randint(0, 60) + b"x\n" for _ in range(3000)),
        "far repetition": (block := rng.randbytes(33_000)) + block[:2000] + bytes(20_000) + block,
        "four letters": bytes(rng.choice(b"abcd") for _ in range(20_000)),
    }


# SHA-256 of the whole gzip stream that Go 1.26's compress/gzip writes at its best level.
GOLDEN = {
    "empty": "10c2221846da8b4250e556aa520c86d6674614d7c5874d8b9cb7f26d62835036",
    "one byte": "fcb0c6c17cdb5fae5e897d85bbdc9f3559f638823824b62791d08fd5d0f73488",
    "run": "5cf5a13d554c7cab922c87724c2d8f3462f5f93e75364a24fac9d83d6a702cf8",
    "numbers": "e46cb52331fc589972f8cafd20276f38b3a6b6250db75fdd1dfd1c0d6b9d1bdf",
    "noise": "375e67a0d4fb2111ac5a9b9d7626df50ec06956268b55d93c9870eafb1d62c29",
    "words": "9d20783d47e380e5bd2d4e27fddfc8e9cc209d4c8721dc89c4e0d487029d180b",
    "indented": "02e553ef4fa6b9a12e021a0dd1f2d6fd03878d17174c4f050ed9deccceda1a3c",
    "far repetition": "b5e43dbd10c269a824b0871b347072f76891fa9a7f6d4b2c6c7dc47e9d77d5c8",
    "four letters": "abbaa214e11203c17062143231aa50a69a5a8a5cbe70ffdad132c55aa2321313",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_output_is_that_of_go(name: str) -> None:
    data = inputs()[name]
    packed = gzip_best(data, below=1 << 30)
    assert packed is not None
    assert gzip.decompress(packed) == data
    assert hashlib.sha256(packed).hexdigest() == GOLDEN[name]


def test_every_input_has_a_golden() -> None:
    assert GOLDEN.keys() == inputs().keys()


@pytest.mark.parametrize("seed", range(60))
def test_zlib_reads_what_is_written(seed: int) -> None:
    rng = random.Random(seed)
    alphabet = rng.randbytes(rng.randint(1, 40))
    data = bytes(rng.choice(alphabet) for _ in range(rng.randint(0, 2000))) * rng.randint(1, 3)
    assert zlib.decompress(deflate(data), -15) == data


def test_large_inputs_are_left_to_zlib() -> None:
    data = b"0123456789" * (EXACT // 10 + 1)
    packed = gzip_best(data, below=len(data))
    assert packed is not None
    assert gzip.decompress(packed) == data


def test_a_limit_that_is_not_undercut_gives_nothing() -> None:
    packed = gzip_best(b"a" * 100, below=1000)
    assert packed is not None
    assert gzip_best(b"a" * 100, below=len(packed)) is None
    assert gzip_best(b"a" * 100, below=len(packed) + 1) == packed


@pytest.mark.parametrize(
    ("data", "start", "packed"),
    [
        (b"plain text", "data:,plain%20text", False),
        (bytes(range(128, 200)), "data:;base64,gIGCg4", False),
        (b"a" * 200, "data:;base64,H4sIAAAAAAAC/", True),
    ],
)
def test_the_shortest_url_wins(data: bytes, start: str, packed: bool) -> None:
    url, compressed = data_url(data, may_compress=True)
    assert url.startswith(start)
    assert compressed is packed
    assert not data_url(data, may_compress=False)[1]


def texts() -> Iterator[bytes]:
    """Contents of all kinds and sizes, up to some ten kilobytes."""
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    for seed in range(150):
        rng = random.Random(f"text {seed}")
        source = rng.choice(sources)
        start = rng.randrange(len(source))
        piece = source[start : start + rng.choice((50, 300, 1000, 4000, 12_000))]
        noise = bytes(rng.choice(b"ABCDEFGHIJ+/=\n") for _ in range(rng.choice((0, 0, 100, 5000))))
        yield piece + noise + piece[: rng.randrange(len(piece) + 1)]


def test_texts_are_packed_as_by_the_reference(reference: Reference, tmp_path: Path) -> None:
    """Among them are some that fill more than one block, and some that do not pay."""
    files = {str(i): data for i, data in enumerate([*texts(), *inputs().values()])}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    entries = "".join(f"    - {{path: /{name}, contents: {{local: '{name}'}}}}\n" for name in files)
    source = f"variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n{entries}"
    result, answer = translate(source, files=files), reference.translate(source, files_dir=str(tmp_path))
    assert answer.accepted
    assert result.ignition is not None
    wanted = json.loads(answer.output)["storage"]["files"]
    for ours, theirs in zip(result.ignition["storage"]["files"], wanted, strict=True):
        assert ours == theirs
    assert len({file["contents"]["compression"] for file in wanted}) == 2
