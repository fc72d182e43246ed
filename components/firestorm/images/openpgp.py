"""OpenPGP: reading a downloaded public key, and checking a detached signature with gpgv (RFC 4880)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from firestorm.errors import ImageError

_ARMOR: Final = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[^\r\n]*:[^\r\n]*\r?\n)*[ \t]*\r?\n(.*?)"
    rb"(?:\r?\n=[A-Za-z0-9+/]{4})?\s*-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)
_PUBLIC_KEY: Final = 6  # packet tag, section 4.3
_STRONG_HASHES: Final = {"8": "SHA256", "9": "SHA384", "10": "SHA512"}  # section 9.4
_BINARY_DOCUMENT: Final = "00"  # signature type, section 5.2.1
_GPGV_TIMEOUT: Final = 600  # seconds; it reads the whole image


class SignatureError(ImageError):
    """A file is not signed by the key that it must be signed by."""


def pinned_key(data: bytes, fingerprint: str, url: str) -> bytes:
    """The binary public key (with its subkeys) in `data` whose primary fingerprint is `fingerprint`.

    `data` is what `url` served: any number of keys, armored or binary.

    Raises:
        ImageError: it is no OpenPGP key, or the pinned one is not among them.
    """
    found: dict[str, bytes] = {}
    try:
        current = ""
        for tag, body, packet in _packets(_dearmored(data)):
            if tag == _PUBLIC_KEY:
                current = _fingerprint(body)
            elif not current:
                raise ValueError("no public key packet at the start")
            found[current] = found.get(current, b"") + packet
    except (ValueError, IndexError) as error:
        raise ImageError(f"{url}: not an OpenPGP public key ({error}); correct the mirror") from error
    if fingerprint in found:
        return found[fingerprint]
    raise ImageError(
        f"{url}: the key there is {', '.join(found) or 'empty'}, not the pinned {fingerprint}; do not use this server "
        "before you know why. If the project has changed its key, update Firestorm"
    )


def _dearmored(data: bytes) -> bytes:
    if b"-----BEGIN PGP" not in data:
        return data
    try:
        return b"".join(base64.b64decode(b"".join(block.split()), validate=True) for block in _ARMOR.findall(data))
    except binascii.Error as error:
        raise ValueError("its armor is damaged") from error


def _packets(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(tag, body, whole packet) of each packet; both header formats of section 4.2 but for indefinite lengths."""
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise ValueError("no packet header where one must be")
        if head & 0x40:
            tag, (start, length) = head & 0x3F, _new_length(data, at + 1)
        else:
            tag, octets = (head >> 2) & 0x0F, (1, 2, 4, 0)[head & 3]
            if not octets:
                raise ValueError("a packet without a length")
            start, length = at + 1 + octets, int.from_bytes(data[at + 1 : at + 1 + octets], "big")
        if start + length > len(data):
            raise ValueError("cut off")
        yield tag, data[start : start + length], data[at : start + length]
        at = start + length


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """(start of the body, its length), section 4.2.2."""
    first = data[at]
    if first < 192:
        return at + 1, first
    if first < 224:
        return at + 2, ((first - 192) << 8) + data[at + 1] + 192
    if first == 255:
        return at + 5, int.from_bytes(data[at + 1 : at + 5], "big")
    raise ValueError("a packet without a length")


def _fingerprint(body: bytes) -> str:
    """Section 12.2; other versions than 4 get a name that no pin can equal."""
    if body[0] != 4:
        return f"of version {body[0]}"
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()


def verify(file: Path, signature: Path, key: bytes, fingerprint: str, url: str) -> None:
    """Checks that `signature` is one valid detached signature of `file` by `key`, which `pinned_key` returned.

    An expired subkey counts: releases stay signed by the subkey of their year. A revoked one does not. `url` is where
    the signature came from. The keyring is written beside the signature and removed.

    Raises:
        SignatureError: it is not.
        ImageError: gpgv cannot be run.
    """
    keyring = signature.with_name("keyring.gpg")
    keyring.write_bytes(key)
    command = ["gpgv", "--homedir", str(keyring.parent), "--status-fd", "1", "--keyring", str(keyring.resolve())]
    try:
        run = subprocess.run(
            [*command, "--", str(signature), str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_GPGV_TIMEOUT,
            check=False,
        )
    except FileNotFoundError as error:
        raise ImageError("gpgv: not found, but images are verified with it; install your system's gpgv or gnupg") from (
            error
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(
            f"{file}: gpgv has not finished after {_GPGV_TIMEOUT} s; try again on a less busy machine"
        ) from error
    finally:
        keyring.unlink(missing_ok=True)
    fault = _fault(run.stdout.decode("utf-8", "replace"), run.returncode, fingerprint)
    if fault:
        raise SignatureError(f"{url}: {fault}")


def _fault(status: str, returncode: int, fingerprint: str) -> str:
    """What is wrong according to gpgv's status lines (GnuPG's doc/DETAILS); empty if all is well."""
    lines = [line.split()[1:] for line in status.splitlines() if line.startswith("[GNUPG:] ")]
    said = {line[0]: line for line in lines if line}
    if "BADSIG" in said:
        return "the signature is not of this file"
    if "REVKEYSIG" in said:
        return "signed by a key that has been revoked"
    if "EXPSIG" in said:
        return "the signature has expired"
    if "NO_PUBKEY" in said:
        return f"signed by key {said['NO_PUBKEY'][1]}, which is not one of the pinned key {fingerprint}"
    if "NODATA" in said:
        return "not an OpenPGP signature"
    valid = said.get("VALIDSIG", [])
    signatures = sum(line[0] == "NEWSIG" for line in lines if line)
    if signatures > 1:
        return f"{signatures} signatures, where one must be"
    # VALIDSIG: fingerprint, date, time, expiry, version, reserved, algorithm, hash, type, primary fingerprint.
    if returncode or len(valid) != 11 or not {"GOODSIG", "EXPKEYSIG"} & said.keys():
        return f"gpgv cannot check the signature ({' '.join(said) or f'exit status {returncode}'})"
    if valid[10] != fingerprint:
        return f"signed by the key {valid[10]}, not by the pinned {fingerprint}"
    if valid[8] not in _STRONG_HASHES or valid[9] != _BINARY_DOCUMENT:
        return f"the signature is of type {valid[9]} over hash algorithm {valid[8]}, which is too weak"
    return ""
