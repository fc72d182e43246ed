"""Hides secrets in text that streams by: in every form in which logs print them, whole or in part, across line wraps.

Secrets of LONG characters and more are cut into windows of WINDOW characters; where the text shows windows of a secret
in a row, that run is hidden, also when it is only a part of the secret. Shorter secrets are looked for as they are.
Line breaks inside a secret do not hide it, because consoles and loggers wrap lines; they go with it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from firestorm.evidence.secretvalues import SHORTEST, needles

HIDDEN = "(hidden)"
WINDOW = 12
STRIDE = 6
LONG = WINDOW + STRIDE - 1
"""A run of so many characters of a secret is always found: every STRIDE-th place of a text is looked at."""
LARGE = 1024
"""Larger texts are encoded already: they are looked for as they are."""
_HELD = 1 << 20
_BREAKS = str.maketrans("", "", "\r\n")


class Masker:
    """Hides the secrets of one set of values; `stream` begins a text."""

    def __init__(self, values: Iterable[str]) -> None:
        long, short = set[str](), set[str]()
        for needle in needles(values):
            for form in forms(needle) if len(needle) <= LARGE else (needle,):
                (long if len(form) >= LONG else short).add(form)
        self._windows = frozenset(form[i : i + WINDOW] for form in long for i in range(len(form) - WINDOW + 1))
        ordered = sorted(short, key=lambda form: (-len(form), form))
        self._short = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def mask(self, text: str) -> str:
        """A whole text without the secrets."""
        stream = self.stream()
        return stream.feed(text) + stream.end()

    def stream(self) -> Stream:
        return Stream(self)

    def runs(self, text: str) -> list[tuple[int, int]]:
        """Where secrets stand in a text without line breaks: (begin, end), in order, apart from each other."""
        found = list(self._long_runs(text))
        if self._short is not None:
            found += [match.span() for match in self._short.finditer(text)]
        return _joined(sorted(found))

    def _long_runs(self, text: str) -> Iterator[tuple[int, int]]:
        windows, last, at = self._windows, len(text) - WINDOW, 0
        while windows and at <= last:
            if text[at : at + WINDOW] not in windows:
                at += STRIDE
                continue
            begin = end = at
            while begin and text[begin - 1 : begin - 1 + WINDOW] in windows:
                begin -= 1
            while end < last and text[end + 1 : end + 1 + WINDOW] in windows:
                end += 1
            yield begin, end + WINDOW
            at = end + STRIDE


class Stream:
    """One text, fed in pieces of any size. What comes out lags behind by as much as a secret may need to be seen."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._text = ""

    def feed(self, piece: str) -> str:
        """The next piece; what is known to be fit to be shown of it and of what came before."""
        self._text += piece
        return self._take(final=False)

    def end(self) -> str:
        """What is left."""
        return self._take(final=True)

    def _take(self, *, final: bool) -> str:
        plain = self._text.translate(_BREAKS)
        keep = 0 if final else 4 * LONG
        limit = len(plain) - keep
        if limit <= 0 and not final:
            return ""
        parts: list[str] = []
        at = 0  # in self._text
        seen = 0  # in plain
        for begin, end in self._masker.runs(plain):
            if begin >= limit:
                break
            if end > limit and len(plain) - begin < _HELD:
                limit = begin  # it may go on
                break
            at, text = _skip(self._text, at, begin - seen)
            parts += [text, self._text[at : _after_breaks(self._text, at)], HIDDEN]
            at, _ = _skip(self._text, at, end - begin)
            seen = end
        if final:
            parts.append(self._text[at:])
            self._text = ""
        else:
            at, text = _skip(self._text, at, max(0, limit - seen))
            parts.append(text)
            self._text = self._text[at:]
        return "".join(parts)


def forms(needle: str) -> frozenset[str]:
    """How logs print a text: as it is, escaped for JSON and URLs, and inside base64 at each of its three alignments."""
    data = needle.encode()
    found = {needle, json.dumps(needle)[1:-1], json.dumps(needle, ensure_ascii=False)[1:-1]}
    found |= {quote(needle, safe=""), quote(needle), quote_plus(needle)}
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + data).decode().rstrip("=")
            # The characters at both ends hold bits of what stands beside the secret.
            begin = (0, 2, 3)[shift]
            end = len(whole) - (1 if (shift + len(data)) % 3 else 0)
            found.add(whole[begin:end])
    return frozenset(form for form in found if len(form) >= SHORTEST)


def _skip(text: str, at: int, count: int) -> tuple[int, str]:
    """Where `count` characters that are no line breaks end, from `at` on, and the text up to there."""
    begin = at
    while count > 0:
        piece = text[at : at + count]
        at += len(piece)
        count -= len(piece.translate(_BREAKS))
        if not piece:
            break
    return at, text[begin:at]


def _after_breaks(text: str, at: int) -> int:
    while text[at : at + 1] in ("\r", "\n"):
        at += 1
    return at


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for begin, end in runs:
        if joined and begin < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined
