"""Signatures by a key with a history, as Flatcar's is: yearly subkeys under one primary key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm.images import FCOS_KEYS, FLATCAR_KEY
from firestorm.images.openpgp import SignatureError, pinned_key, verify
from tests.components.images.image_site import GpgKey

DATA = b"an image"
URL = "https://mirror.example/image.sig"
REVOCATION = b"y\n0\n\ny\nsave\n"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpgKey]:
    """Subkeys: [1] expired in February 2020, [2] revoked, [3] valid. RSA, as the real one."""
    home = tmp_path_factory.mktemp("k") / "h"
    home.mkdir(mode=0o700)
    key = GpgKey(home)
    past = ("--faked-system-time", "20200101T000000")
    key.gpg(*past, "--quick-gen-key", "Buildbot <b@example.org>", "rsa2048", "cert", "never")
    for expiry in ("30d", "never", "never"):
        key.gpg(*past, "--quick-add-key", key.fingerprint, "rsa2048", "sign", expiry)
    yield key
    key.stop()


def check(tmp_path: Path, key: GpgKey, signature: bytes, public: bytes | None = None) -> None:
    file, signature_file = tmp_path / "image", tmp_path / "signature"
    file.write_bytes(DATA)
    signature_file.write_bytes(signature)
    pinned = pinned_key(public or key.export(), key.fingerprint, "https://mirror.example/key")
    try:
        verify(file, signature_file, pinned, key.fingerprint, URL)
    finally:
        assert sorted(path.name for path in tmp_path.iterdir()) == ["image", "signature"]


def by(key: GpgKey, subkey: int, time: str, *options: str) -> bytes:
    return key.sign(DATA, "--faked-system-time", time, "--local-user", f"{key.fingerprints[subkey]}!", *options)


@pytest.mark.parametrize("armor", [(), ("--armor",)], ids=["binary", "armored"])
@pytest.mark.parametrize("subkey", [1, 2, 3])
def test_every_subkey_of_the_pinned_key_counts(
    tmp_path: Path, history: GpgKey, subkey: int, armor: tuple[str, ...]
) -> None:
    """The first has expired since: its releases stay verifiable."""
    check(tmp_path, history, by(history, subkey, "20200115T000000", *armor), history.export(*armor))


def test_revoked_subkey(tmp_path: Path, history: GpgKey) -> None:
    signature = by(history, 2, "20200115T000000")
    copy = GpgKey(tmp_path.parent / f"{tmp_path.name}-k")
    copy.home.mkdir(mode=0o700)
    secret = history.gpg("--export-secret-keys", history.fingerprint)
    try:
        copy.gpg("--import", data=secret)
        edit = ("--command-fd", "0", "--no-batch", "--yes", "--edit-key", copy.fingerprint, "key 2", "revkey")
        copy.gpg(*edit, data=REVOCATION)
        with pytest.raises(SignatureError) as caught:
            check(tmp_path, copy, signature)
    finally:
        copy.stop()
    assert str(caught.value) == f"{URL}: signed by a key that has been revoked"


def test_expired_signature(tmp_path: Path, history: GpgKey) -> None:
    signature = by(history, 3, "20200115T000000", "--default-sig-expire", "1d")
    with pytest.raises(SignatureError) as caught:
        check(tmp_path, history, signature)
    assert str(caught.value) == f"{URL}: the signature has expired"


def test_only_the_pinned_key_is_taken_from_a_file_of_many(history: GpgKey, key: GpgKey, other_key: GpgKey) -> None:
    served = other_key.export("--armor", "--comment", "one") + b"\n" + history.export("--armor") + key.export("--armor")
    assert pinned_key(served, history.fingerprint, URL) == history.export()
    assert pinned_key(served, key.fingerprint, URL) == key.export()


def test_pinned_fingerprints() -> None:
    """As published at https://www.flatcar.org/security/image-signing-key/ and https://fedoraproject.org/security/."""
    assert FLATCAR_KEY == "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A"
    assert dict(FCOS_KEYS) == {
        43: "C6E7F081CF80E13146676E88829B606631645531",
        44: "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6",
        45: "4F50A6114CD5C6976A7F1179655A4B02F577861E",
        46: "D924B10D3E810DABDD8B56B596E7E91491211FCE",
    }
