"""The second half of DEFLATE (RFC 1951): tokens to blocks of Huffman codes, each in the shortest of its three forms.

Among equally short codes the choice is that of the reference: the boundary between lengths falls where package-merge
puts it when, of a leaf and a package of equal weight, the package comes first.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

_END = 256
_LITERALS, _DISTANCES = 286, 30
_STORED_MOST = 65535
# The order in which the lengths of the code-length code are written (RFC 1951, 3.2.7).
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_REPEAT_BITS = {16: 2, 17: 3, 18: 7}

Code = list[tuple[int, int]]
"""By symbol: the bits of its code, first bit lowest, and their number, 0 for a symbol that does not occur."""


class Bits:
    """A stream of bits, lowest first."""

    __slots__ = ("_count", "_done", "_value")

    def __init__(self) -> None:
        self._done = bytearray()
        self._value = 0
        self._count = 0

    def put(self, value: int, count: int) -> None:
        self._value |= value << self._count
        self._count += count
        if self._count >= 512:
            self._drain()

    def _drain(self) -> None:
        whole = self._count >> 3
        self._done += (self._value & ((1 << whole * 8) - 1)).to_bytes(whole, "little")
        self._value >>= whole * 8
        self._count &= 7

    def align(self) -> None:
        """Fills the current byte with zeros."""
        self._count = (self._count + 7) & ~7
        self._drain()

    def raw(self, data: bytes) -> None:
        """Whole bytes; the stream must be aligned."""
        self._drain()
        self._done += data

    def finish(self) -> bytes:
        self.align()
        return bytes(self._done)


# -- symbols -----------------------------------------------------------------------------------------------------------


def _length_table() -> list[tuple[int, int, int]]:
    """By match length: its symbol, the extra bits and their number (RFC 1951, 3.2.5)."""
    table = [(0, 0, 0)] * 259
    length, symbol = 3, 257
    while symbol < 285:
        extra = max(0, (symbol - 261) // 4)
        for k in range(1 << extra):
            if length + k < 258:
                table[length + k] = (symbol, k, extra)
        length += 1 << extra
        symbol += 1
    table[258] = (285, 0, 0)
    return table


_LENGTHS = _length_table()


def _distance(distance: int) -> tuple[int, int, int]:
    """The symbol of a distance, the extra bits and their number."""
    offset = distance - 1
    if offset < 4:
        return offset, 0, 0
    extra = offset.bit_length() - 2
    return 2 * extra + (offset >> extra), offset & ((1 << extra) - 1), extra


# -- codes -------------------------------------------------------------------------------------------------------------


def _counts(weights: list[int], most: int) -> list[int]:
    """How many symbols get each number of bits, at most ``most``; ``weights`` rise, and are three or more."""
    unlimited = _unlimited_counts(weights)
    return unlimited if len(unlimited) <= most + 1 else _limited_counts(weights, most)


def _unlimited_counts(weights: list[int]) -> list[int]:
    """By Huffman's algorithm, which is package-merge without a limit: of equal weights the package is taken first."""
    leaves = len(weights)
    nodes = weights + [0] * (leaves - 1)
    parents = [0] * (2 * leaves - 2)
    leaf, package = 0, leaves
    for made in range(leaves, 2 * leaves - 1):
        weight = 0
        for _ in (0, 1):
            if leaf < leaves and (package >= made or nodes[leaf] < nodes[package]):
                weight += nodes[leaf]
                parents[leaf] = made
                leaf += 1
            else:
                weight += nodes[package]
                parents[package] = made
                package += 1
        nodes[made] = weight
    # The weights are no longer needed: from the root down, each node's place now holds its depth.
    nodes[-1] = 0
    for node in range(2 * leaves - 3, -1, -1):
        nodes[node] = nodes[parents[node]] + 1
    counts = [0] * (nodes[0] + 1)
    for bits in nodes[:leaves]:
        counts[bits] += 1
    return counts


def _limited_counts(weights: list[int], most: int) -> list[int]:
    """By package-merge."""
    leaves = len(weights)
    most = min(most, leaves - 1)
    rows: list[list[bool]] = []  # per level, whether each item is a leaf
    packages: list[int] = []
    for _ in range(most):
        items: list[int] = []
        kinds: list[bool] = []
        i = k = 0
        while i < leaves or k < len(packages):
            if k >= len(packages) or (i < leaves and weights[i] < packages[k]):
                items.append(weights[i])
                kinds.append(True)
                i += 1
            else:
                items.append(packages[k])
                kinds.append(False)
                k += 1
        rows.append(kinds)
        packages = [a + b for a, b in zip(items[::2], items[1::2], strict=False)]
    chosen = 2 * leaves - 2
    taken = []
    for kinds in reversed(rows):
        picked = sum(kinds[:chosen])
        taken.append(picked)
        chosen = 2 * (chosen - picked)
    # A symbol has as many bits as there are levels that take its leaf.
    return [0, *(a - b for a, b in zip(taken, [*taken[1:], 0], strict=True))]


def _reverse(value: int, count: int) -> int:
    return int(format(value, f"0{count}b")[::-1], 2)


def _code(frequencies: list[int], most: int) -> Code:
    """The code of least total length, no symbol longer than ``most`` bits."""
    code: Code = [(0, 0)] * len(frequencies)
    used = [symbol for symbol, frequency in enumerate(frequencies) if frequency]
    if len(used) <= 2:
        for i, symbol in enumerate(used):
            code[symbol] = (i, 1)
        return code
    used.sort(key=lambda symbol: (frequencies[symbol], symbol))
    value = 0
    for bits, count in enumerate(_counts([frequencies[symbol] for symbol in used], most)):
        value <<= 1
        if bits and count:
            for symbol in sorted(used[len(used) - count :]):
                code[symbol] = (_reverse(value, bits), bits)
                value += 1
            del used[len(used) - count :]
    return code


@cache
def _fixed() -> tuple[Code, Code]:
    """The codes of blocks without a header (RFC 1951, 3.2.6)."""
    literals: Code = []
    for first, last, value, bits in ((0, 143, 48, 8), (144, 255, 400, 9), (256, 279, 0, 7), (280, 287, 192, 8)):
        literals += [(_reverse(value + i, bits), bits) for i in range(last - first + 1)]
    return literals, [(_reverse(i, 5), 5) for i in range(_DISTANCES)]


def _cost(frequencies: list[int], code: Code) -> int:
    return sum(frequency * code[symbol][1] for symbol, frequency in enumerate(frequencies) if frequency)


# -- blocks ------------------------------------------------------------------------------------------------------------


def write_block(bits: Bits, tokens: list[int], raw: bytes | None) -> None:
    """Writes one block that is not the last. ``raw`` is what the tokens stand for, if it is still known."""
    literals, distances = [0] * _LITERALS, [0] * _DISTANCES
    literals[_END] = 1
    extra = 0
    for token, count in Counter(tokens).items():
        if token < 256:
            literals[token] += count
        else:
            symbol, _, more = _LENGTHS[token >> 16]
            literals[symbol] += count
            reach, _, further = _distance(token & 0xFFFF)
            distances[reach] += count
            extra += (more + further) * count
    counted_literals = max(i for i, n in enumerate(literals) if n) + 1
    counted_distances = max((i for i, n in enumerate(distances) if n), default=-1) + 1
    if not counted_distances:
        distances[0] = counted_distances = 1
    codes = _code(literals, 15), _code(distances, 15)
    header = _Header(codes[0][:counted_literals], codes[1][:counted_distances])
    fixed = _fixed()
    if raw is None:
        extra = 0
    shortest = 3 + _cost(literals, fixed[0]) + _cost(distances, fixed[1]) + extra
    dynamic = header.size + _cost(literals, codes[0]) + _cost(distances, codes[1]) + extra
    chosen = fixed
    if dynamic < shortest:
        shortest, chosen = dynamic, codes
    if raw is not None and len(raw) <= _STORED_MOST and (len(raw) + 5) * 8 < shortest:
        bits.put(0, 3)
        bits.align()
        bits.put(len(raw) | (len(raw) ^ 0xFFFF) << 16, 32)
        bits.raw(raw)
        return
    if chosen is fixed:
        bits.put(2, 3)
    else:
        header.write(bits)
    _write_tokens(bits, tokens, *chosen)


def _write_tokens(bits: Bits, tokens: list[int], literals: Code, distances: Code) -> None:
    held = size = 0
    for token in tokens:
        if token < 256:
            value, count = literals[token]
            held |= value << size
            size += count
        else:
            symbol, rest, more = _LENGTHS[token >> 16]
            value, count = literals[symbol]
            held |= (value | rest << count) << size
            size += count + more
            symbol, rest, more = _distance(token & 0xFFFF)
            value, count = distances[symbol]
            held |= (value | rest << count) << size
            size += count + more
        if size >= 256:
            bits.put(held, size)
            held = size = 0
    bits.put(held, size)
    bits.put(*literals[_END])


class _Header:
    """The two codes of a dynamic block as their lengths, in a code of their own (RFC 1951, 3.2.7)."""

    def __init__(self, literals: Code, distances: Code) -> None:
        self._sizes = (len(literals), len(distances))
        self._runs = list(_run_lengths([count for _, count in (*literals, *distances)]))
        frequencies = [0] * 19
        for symbol, _ in self._runs:
            frequencies[symbol] += 1
        self._code = _code(frequencies, 7)
        self._written = max(4, max(i for i, symbol in enumerate(_ORDER) if frequencies[symbol]) + 1)
        repeats = sum(frequencies[symbol] * count for symbol, count in _REPEAT_BITS.items())
        self.size = 3 + 5 + 5 + 4 + 3 * self._written + _cost(frequencies, self._code) + repeats

    def write(self, bits: Bits) -> None:
        bits.put(4, 3)
        bits.put(self._sizes[0] - 257, 5)
        bits.put(self._sizes[1] - 1, 5)
        bits.put(self._written - 4, 4)
        for symbol in _ORDER[: self._written]:
            bits.put(self._code[symbol][1], 3)
        for symbol, repeat in self._runs:
            bits.put(*self._code[symbol])
            if symbol in _REPEAT_BITS:
                bits.put(repeat, _REPEAT_BITS[symbol])


def _run_lengths(sizes: list[int]) -> list[tuple[int, int]]:
    """Symbols 0 to 15 for a size, 16 for repeating it, 17 and 18 for zeros; with each the value of its extra bits."""
    runs: list[tuple[int, int]] = []
    at = 0
    while at < len(sizes):
        size = sizes[at]
        count = 1
        while at + count < len(sizes) and sizes[at + count] == size:
            count += 1
        at += count
        if size:
            runs.append((size, 0))
            count -= 1
            while count >= 3:
                n = min(6, count)
                runs.append((16, n - 3))
                count -= n
        else:
            while count >= 11:
                n = min(138, count)
                runs.append((18, n - 11))
                count -= n
            if count >= 3:
                runs.append((17, count - 3))
                count = 0
        runs += [(size, 0)] * count
    return runs
