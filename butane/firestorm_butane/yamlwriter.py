"""JSON values as YAML, laid out as by the library that the reference writes MachineConfigs with (yaml.v3).

Its layout is libyaml's, with keys in natural order, lists indented below their key, and no line ever folded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from . import scalars

_BREAKS = "\r\n\x85\u2028\u2029"
_SIMPLE_KEY = 128  # bytes
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_OLD_BOOLEANS = frozenset(
    ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"]
)
# YAML 1.1, production 1, as far as the library knows it: nothing beyond the first plane.
_UNPRINTABLE = re.compile("[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_ESCAPED = re.compile('[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]|[\u2028\u2029"\\\\]')
_SHORT = {
    **{"\0": "0", "\x07": "a", "\x08": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r", "\x1b": "e"},
    **{'"': '"', "\\": "\\", "\x85": "N", "\xa0": "_", "\u2028": "L", "\u2029": "P"},
}
_MERGE = "<<"
_BYTE_ORDER_MARK = "\ufeff"


def dump(value: Mapping[str, Any]) -> str:
    """``value`` as a YAML document."""
    return "\n".join(_mapping(value, 0)).strip("\n")


def _mapping(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    pad = " " * indent
    for key in sorted(value, key=_BY_NATURE):
        item = value[key]
        if _is_simple(key):
            head = pad + _scalar(key, simple_key=True) + ":"
        else:
            first, *rest = _text(key, indent + 2)
            yield f"{pad}? {first}"
            yield from rest
            head = pad + ":"
        yield from _value(item, head, indent + 2)


def _value(item: Any, head: str, indent: int) -> Iterator[str]:
    """An entry's lines; those below ``head`` are indented."""
    if isinstance(item, Mapping) and item:
        yield head
        yield from _mapping(item, indent)
    elif isinstance(item, list) and item:
        yield head
        yield from _sequence(item, indent)
    else:
        first, *rest = _leaf(item, indent)
        yield f"{head} {first}"
        yield from rest


def _sequence(items: list[Any], indent: int) -> Iterator[str]:
    pad = " " * indent
    for item in items:
        if isinstance(item, Mapping) and item:
            first, *rest = _mapping(item, indent + 2)
            yield f"{pad}- {first[indent + 2 :]}"
            yield from rest
        elif isinstance(item, list) and item:
            first, *rest = _sequence(item, indent + 2)
            yield f"{pad}- {first[indent + 2 :]}"
            yield from rest
        else:
            yield from _value(item, pad + "-", indent + 2)


def _leaf(item: Any, indent: int) -> list[str]:
    if item is None:
        return ["null"]
    if isinstance(item, bool):
        return ["true" if item else "false"]
    if isinstance(item, (int, float)):
        return [number(float(item))]
    if isinstance(item, str):
        return _text(item, indent)
    return ["{}" if isinstance(item, Mapping) else "[]"]


def number(value: float) -> str:
    """The shortest decimal that reads as ``value``, with an exponent from a million on (Go's ``%g``)."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    point = len(digits) + exponent
    text = "".join(map(str, digits))
    if not -4 < point <= 6:
        mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
        number_ = f"{mantissa}e{'-' if point < 1 else '+'}{abs(point - 1):02d}"
    elif point <= 0:
        number_ = "0." + "0" * -point + text
    else:
        number_ = text.ljust(point, "0")
        number_ = number_[:point] + ("." + number_[point:] if len(number_) > point else "")
    return "-" * sign + number_


# -- strings -----------------------------------------------------------------------------------------------------------


def _is_simple(key: str) -> bool:
    return not any(c in key for c in _BREAKS) and len(key.encode()) <= _SIMPLE_KEY


def _text(text: str, indent: int) -> list[str]:
    """A value's first line, which follows its key, and those below."""
    if "\n" in text and not _unfit_for_literal(text):
        return _literal(text, indent)
    return _scalar(text, indent=indent).split("\n")


def _unfit_for_literal(text: str) -> bool:
    unprintable = _UNPRINTABLE.search(text.replace("\t", " "))
    return text.endswith(" ") or unprintable is not None or any(f" {c}" in text for c in _BREAKS)


def _literal(text: str, indent: int) -> list[str]:
    hint = "2" if text[0] == " " or text[0] in _BREAKS else ""
    if text[-1] not in _BREAKS:
        chomp = "-"
    elif len(text) == 1 or text[-2] in _BREAKS:
        chomp = "+"
    else:
        chomp = ""
    # The library writes no line of its own before breaks that begin the text.
    body = _indented(text, " " * indent, start=True)
    return ("|" + hint + chomp + body.removesuffix("\n")).split("\n")


def _indented(text: str, pad: str, *, start: bool) -> str:
    """``text`` with every line indented that is not empty."""
    out: list[str] = []
    after_break, fresh = start, False
    for c in text:
        if c in _BREAKS:
            out.append(c)
            after_break = fresh = True
        else:
            if after_break:
                out.append(pad if fresh else "\n" + pad)
            out.append(c)
            after_break = fresh = False
    return "".join(out)


def _scalar(text: str, *, simple_key: bool = False, indent: int = 0) -> str:
    """A string in the plainest style that reads as the same string."""
    if not text:
        return '""'
    if text == _MERGE:
        return text
    if "\n" in text or not _reads_as_string(text):
        return _double(text)
    breaks = any(c in text for c in _BREAKS)
    space_break = any(f" {c}" in text for c in _BREAKS)
    break_space = any(f"{c} " in text for c in _BREAKS)
    special = _UNPRINTABLE.search(text) is not None
    if special or space_break or break_space or (breaks and simple_key):
        return _double(text)
    if breaks or text[0] == " " or text[-1] == " " or _has_indicators(text):
        return "'" + _indented(text.replace("'", "''"), " " * indent, start=False) + "'"
    return text


def _reads_as_string(text: str) -> bool:
    if text in _OLD_BOOLEANS or (text[0] in "+-0123456789" and _SEXAGESIMAL.fullmatch(text)):
        return False
    return scalars.resolve("", text, plain=True)[0] == scalars.STR


def _has_indicators(text: str) -> bool:
    """Whether a plain scalar would be read as something else."""
    if text.startswith(("---", "...")) or text[0] in "#,[]{}&*!|>'\"%@`":
        return True
    if text[0] in "?:-" and (len(text) == 1 or text[1] in " \t"):
        return True
    if re.search(r":(?:[ \t]|\Z)", text[1:]):
        return True
    return re.search("[ \t\r\n\x85\u2028\u2029\0]#", text) is not None


def _double(text: str) -> str:
    if text.startswith(_BYTE_ORDER_MARK):  # the library then escapes all that follows as well
        return '"' + "".join(c if c == " " else _escape(c) for c in text) + '"'
    return '"' + _ESCAPED.sub(lambda match: _escape(match[0]), text) + '"'


def _escape(c: str) -> str:
    if short := _SHORT.get(c):
        return "\\" + short
    code = ord(c)
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


# -- keys --------------------------------------------------------------------------------------------------------------


def _natural(a: str, b: str) -> int:
    """Letters before each other by code, runs of digits by their value."""
    digits = False
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x == y:
            digits = x.isdecimal()
            continue
        letters = x.isalpha(), y.isalpha()
        if all(letters):
            return -1 if x < y else 1
        if any(letters):
            return -1 if letters[0 if digits else 1] else 1
        return _compare_numbers(a, b, i)
    return len(a) - len(b)


def _compare_numbers(a: str, b: str, at: int) -> int:
    first = 0
    if "0" in (a[at], b[at]):
        before = at - 1
        while before >= 0 and a[before].isdecimal():
            if a[before] != "0":
                first = 1
                break
            before -= 1
    (x, x_end), (y, y_end) = _number_at(a, at, first), _number_at(b, at, first)
    left, right = (x, x_end, a[at]), (y, y_end, b[at])
    return -1 if left < right else 1


def _number_at(text: str, at: int, value: int) -> tuple[int, int]:
    while at < len(text) and text[at].isdecimal():
        value = value * 10 + ord(text[at]) - ord("0")
        at += 1
    return value, at


_BY_NATURE = cmp_to_key(_natural)
