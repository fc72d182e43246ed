"""The bytes that a config carries: data URLs (RFC 2397) and gzip (RFC 1952), decoded."""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Mapping
from typing import Any

MOST = 64 << 20
"""Bytes that contents may unpack to; a config's own size is limited far below that by every platform."""

_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")


class ContentsError(ValueError):
    """What a data URL holds cannot be read."""


def decode_url(url: str) -> bytes:
    """The data of a data URL.

    Raises:
        ContentsError: it is not one, or its data is malformed.
    """
    scheme, _, rest = url.partition(":")
    head, comma, data = rest.partition(",")
    if scheme != "data" or not comma:
        raise ContentsError("not a data URL")
    raw = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), data.encode())
    if not head.endswith(";base64"):
        return raw
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error as exc:
        raise ContentsError(f"base64: {exc}") from exc


def unpack(data: bytes) -> bytes:
    """``data`` unpacked.

    Raises:
        ContentsError: it is not gzip, or would become too large.
    """
    unpacker = zlib.decompressobj(31)
    try:
        unpacked = unpacker.decompress(data, MOST)
    except zlib.error as exc:
        raise ContentsError(f"gzip: {exc}") from exc
    if unpacker.unconsumed_tail:
        raise ContentsError(f"gzip: more than {MOST} bytes")
    if not unpacker.eof:
        raise ContentsError("gzip: it ends early")
    return unpacked


def contents(resource: Mapping[str, Any]) -> bytes | None:
    """What a resource holds; ``None`` if it has no source, or one that must be fetched.

    Raises:
        ContentsError: its data URL or its compression is malformed.
    """
    source = resource.get("source")
    if not source or not source.startswith("data:"):
        return None
    data = decode_url(source)
    return unpack(data) if resource.get("compression") == "gzip" else data


def as_text(data: bytes) -> str | None:
    """``data`` as text, or ``None`` if it is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
