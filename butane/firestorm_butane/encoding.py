"""File contents as data URLs (RFC 2397): the shortest of plain, base64 and compressed, as the reference chooses."""

from __future__ import annotations

import binascii
from functools import lru_cache

from .deflate import gzip_best

# RFC 2396, section 2.3: unreserved characters.
_UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()")
_UNRESERVED_BYTES = bytes(_UNRESERVED)
_ESCAPES = [chr(b) if b in _UNRESERVED else f"%{b:02X}" for b in range(256)]
_BASE64 = ";base64,"
_GZIP_COST = len("gzip")


def escape(data: bytes) -> str:
    """Percent-encoded ``data``."""
    return "".join([_ESCAPES[b] for b in data])


def escaped_size(data: bytes) -> int:
    return len(data) + 2 * len(data.translate(None, _UNRESERVED_BYTES))


def _base64_size(size: int) -> int:
    return len(_BASE64) + (size + 2) // 3 * 4


def _base64(data: bytes) -> str:
    return _BASE64 + binascii.b2a_base64(data, newline=False).decode("ascii")


def plain_url(data: bytes) -> str:
    """The only form that Butane for Ignition 3.0.0 writes."""
    return "data:," + escape(data)


def data_url(data: bytes, *, may_compress: bool) -> tuple[str, bool]:
    """The shortest data URL of ``data``, and whether it holds it compressed."""
    make = _remembered if len(data) <= _MEMORABLE else _shortest
    return make(data, may_compress)


def forget() -> None:
    """As if no contents had been seen, for measurements."""
    _remembered.cache_clear()


def _shortest(data: bytes, may_compress: bool) -> tuple[str, bool]:
    plain = 1 + escaped_size(data)
    base64 = _base64_size(len(data))
    best = min(plain, base64)
    if may_compress and (packed := gzip_best(data, below=_largest_gzip(best))) is not None:
        return "data:" + _base64(packed), True
    return "data:" + (_base64(data) if base64 < plain else "," + escape(data)), False


# The nodes of a cluster have most of their files in common, and compressing takes longer than all else.
_remembered = lru_cache(maxsize=512)(_shortest)
_MEMORABLE = 1 << 15
"""Bytes of the largest contents that are remembered, so that all of them together take some ten megabytes."""


def _largest_gzip(best: int) -> int:
    """The size in bytes from which a compressed form no longer pays, given the best uncompressed URL's length."""
    # It pays when its base64 form and the word "gzip" together are shorter.
    groups = (best - _GZIP_COST - len(_BASE64) - 1) // 4
    return max(0, groups) * 3 + 1
