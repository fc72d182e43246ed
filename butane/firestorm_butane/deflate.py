"""gzip (RFC 1952) whose output depends on nothing but its input.

zlib's output changes with its version and its build, and the hash of a config decides whether a machine is replaced.
So the compressor is here: the one of Go's standard library at its best level, byte for byte, which the reference uses
as well. It takes some microseconds per byte, so zlib first says whether it is worth the while; above :data:`EXACT`
bytes, where time would be felt, zlib's output is taken.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections import Counter

from .huffman import Bits, write_block

EXACT = 1 << 17
"""The largest input, in bytes, whose output does not depend on the zlib at hand."""

# ID1 ID2, method deflate, no flags, no time, slowest compression, unknown system.
_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 255))

_SMALL = 1 << 13
_SHORTEST, _LONGEST = 4, 258
_WINDOW = 1 << 15
_BUFFER = 2 * _WINDOW
_LOOKAHEAD = _SHORTEST + _LONGEST
_CHAIN = 4096  # candidates looked at for one match
_NEAR = 4096  # how far back a match of the shortest length may lie
_BLOCK_TOKENS = 1 << 14
_HASH_FACTOR, _HASH_SHIFT = 0x1E35A7BD, 32 - 17


def gzip_best(data: bytes, *, below: int) -> bytes | None:
    """``data`` compressed, or ``None`` if that takes ``below`` bytes or more."""
    small = len(data) <= _SMALL  # for which zlib need not set up its large tables
    packer = zlib.compressobj(9, zlib.DEFLATED, -13 if small else -15, 5 if small else 9)
    body = packer.compress(data) + packer.flush()
    if len(data) <= EXACT:
        # The two differ by up to a tenth; well above the limit there is nothing to find out.
        if len(body) > below + below // 4 + 64:
            return None
        body = deflate(data)
    trailer = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    packed = _HEADER + body + trailer
    return packed if len(packed) < below else None


def deflate(data: bytes) -> bytes:
    """A raw stream (RFC 1951), ended by an empty stored block."""
    bits = Bits()
    _Compressor(data, bits).run()
    bits.put(1, 3)
    bits.align()
    bits.put(0xFFFF0000, 32)
    return bits.finish()


class _Compressor:
    """LZ77 with lazy evaluation: a match is taken unless the next position has a longer one.

    Positions are absolute. The reference slides a buffer of two windows; ``_base`` is where it begins, and matches do
    not reach before it.
    """

    def __init__(self, data: bytes, bits: Bits) -> None:
        self._data = data
        self._bits = bits
        self._base = 0
        self._block: int | None = 0
        # A token is a literal below 256, or a match: its length shifted left by 16, and its distance.
        self._tokens: list[int] = []
        grams = _grams(data)
        # By position: where its four bytes were last seen before it, -1 for nowhere.
        self._previous = _previous(grams) + [-1] * min(len(data), _SHORTEST - 1)
        # By hash, all its places; only where the reference may not look at all of them.
        self._chains = _chains(grams)

    def run(self) -> None:
        data, end = self._data, len(self._data)
        previous, tokens = self._previous, self._tokens
        seen = bytes([place >= 0 for place in previous])
        filled = min(end, _BUFFER)
        at = length = distance = 0
        pending = False
        length = _SHORTEST - 1
        while at < end:
            if length < _SHORTEST and previous[at] < 0:
                # Nothing but literals up to the next four bytes that were seen before.
                following = seen.find(1, at)
                following = end if following < 0 else following
                if len(tokens) + following - at < _BLOCK_TOKENS and (filled == end or filled - following >= _LOOKAHEAD):
                    tokens.extend(data[at - pending : following - 1])
                    at, pending = following, True
                    continue
            if filled < end and filled - at < _LOOKAHEAD:
                self._slide()
                filled = min(end, self._base + _BUFFER)
            before, distance_before = length, distance
            length, distance = _SHORTEST - 1, 0
            if (candidate := previous[at]) >= 0 and before < _LONGEST and filled - at > before:
                length, distance = self._match(at, candidate, min(_LONGEST, filled - at))
            if before >= _SHORTEST and length <= before:
                tokens.append(before << 16 | distance_before)
                at += before - 1
                pending = False
                length = _SHORTEST - 1
                if len(tokens) == _BLOCK_TOKENS:
                    self._write(at)
            else:
                if pending:
                    tokens.append(data[at - 1])
                    if len(tokens) == _BLOCK_TOKENS:
                        self._write(at)
                at += 1
                pending = True
        if pending:
            tokens.append(data[at - 1])
        if tokens:
            self._write(at)

    def _match(self, at: int, candidate: int, look: int) -> tuple[int, int]:
        """The longest earlier match, of equal ones the nearest; three bytes and no distance if there is none."""
        data = self._data
        lowest = max(self._base, at - _WINDOW)
        if self._chains is not None:
            chain = self._chains[_hash(int.from_bytes(data[at : at + _SHORTEST], "big"))]
            before = bisect_left(chain, at)
            if before > _CHAIN:
                lowest = max(lowest, chain[before - _CHAIN])
        length, distance = _SHORTEST - 1, 0
        while candidate >= lowest:
            size = _SHORTEST if length < _SHORTEST else length + 1
            while size < look and data[candidate + size] == data[at + size]:
                size += 1
            if size > _SHORTEST or at - candidate <= _NEAR:
                length, distance = size, at - candidate
            if size >= look:
                break
            # The next one back that is longer.
            candidate = data.rfind(data[at : at + size + 1], lowest, candidate + size)
            length = max(length, size) if distance else length
        return length, distance

    def _slide(self) -> None:
        if self._block is not None and self._block - self._base < _WINDOW:
            self._block = None
        self._base += _WINDOW

    def _write(self, end: int) -> None:
        raw = self._data[self._block : end] if self._block is not None and self._block <= end else None
        write_block(self._bits, self._tokens, raw)
        self._block = end
        self._tokens.clear()


def _grams(data: bytes) -> list[int]:
    """Every four bytes in a row, as a number."""
    grams = [0] * max(0, len(data) - _SHORTEST + 1)
    for shift in range(_SHORTEST):
        count = len(grams[shift::_SHORTEST])
        grams[shift::_SHORTEST] = struct.unpack_from(f">{count}I", data, shift) if count else ()
    return grams


def _previous(grams: list[int]) -> list[int]:
    last: dict[int, int] = {}
    get = last.get
    places = []
    for at, gram in enumerate(grams):
        places.append(get(gram, -1))
        last[gram] = at
    return places


def _chains(grams: list[int]) -> dict[int, list[int]] | None:
    if len(grams) <= _CHAIN:
        return None
    counts: dict[int, int] = {}
    for gram, count in Counter(grams).items():
        hashed = _hash(gram)
        counts[hashed] = counts.get(hashed, 0) + count
    if max(counts.values()) <= _CHAIN:
        return None
    chains: dict[int, list[int]] = {}
    for at, gram in enumerate(grams):
        chains.setdefault(_hash(gram), []).append(at)
    return chains


def _hash(gram: int) -> int:
    return (gram * _HASH_FACTOR & 0xFFFFFFFF) >> _HASH_SHIFT
