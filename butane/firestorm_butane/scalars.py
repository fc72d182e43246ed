"""The meaning of YAML scalars, by the rules of the YAML library that the reference uses (yaml.v3).

That is YAML 1.2's core schema with two old habits kept: ``0644`` is octal, and ``yes`` or ``off`` is a boolean where a
boolean is wanted.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

NULL: Final = "!!null"
BOOL: Final = "!!bool"
INT: Final = "!!int"
FLOAT: Final = "!!float"
STR: Final = "!!str"
TIMESTAMP: Final = "!!timestamp"
BINARY: Final = "!!binary"
MERGE: Final = "!!merge"

_PREFIX = "tag:yaml.org,2002:"
_RESOLVABLE = frozenset({"", STR, BOOL, INT, FLOAT, NULL, TIMESTAMP})
_WORDS: dict[str, tuple[str, bool | float | str | None]] = {
    **dict.fromkeys(("true", "True", "TRUE"), (BOOL, True)),
    **dict.fromkeys(("false", "False", "FALSE"), (BOOL, False)),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), (NULL, None)),
    **{w: (FLOAT, float("nan")) for w in (".nan", ".NaN", ".NAN")},
    **{w: (FLOAT, float("inf")) for w in (".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF")},
    **{w: (FLOAT, float("-inf")) for w in ("-.inf", "-.Inf", "-.INF")},
    "<<": (MERGE, "<<"),
}
_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_FRACTION = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_DATE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:(?:[Tt]\d{1,2}:\d{1,2}:\d{1,2}(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d))|(?: +\d{1,2}:\d{1,2}:\d{1,2}(?:[.,]\d+)?))?"
)
_MAX = 2**63 - 1
_MIN = -(2**63)

Value = bool | int | float | str | None


class ScalarError(ValueError):
    """A tag and its value contradict each other."""


def short_tag(tag: str) -> str:
    return "!!" + tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else tag


def resolve(tag: str, text: str, *, plain: bool) -> tuple[str, Value]:
    """The type and value of a scalar.

    Raises:
        ScalarError: an explicit tag that the text contradicts.
    """
    tag = short_tag(tag)
    if tag == "!":
        tag = ""
    if tag == STR or (not tag and not plain):
        return STR, text
    if not tag and text == "<<":
        return MERGE, text
    if tag == BINARY:
        try:
            raw = binascii.a2b_base64(text.replace("\n", "").replace("\r", ""), strict_mode=True)
        except binascii.Error as exc:
            raise ScalarError("!!binary value is not valid base64") from exc
        return BINARY, raw.decode("utf-8", "replace")
    if tag not in _RESOLVABLE:
        return tag, text
    kind, value = _guess(tag, text)
    if tag in ("", kind):
        return kind, value
    if tag == FLOAT and kind == INT and isinstance(value, int):
        return FLOAT, float(value)
    raise ScalarError(f"the value is of type {kind[2:]} and its tag says {tag[2:]}")


def _guess(tag: str, text: str) -> tuple[str, Value]:
    if (word := _WORDS.get(text)) is not None:
        return word
    first = text[:1]
    if first == "." and _FRACTION.fullmatch(text):
        return FLOAT, float(text)
    if first and first in "+-0123456789":
        if tag in ("", TIMESTAMP) and _is_date(text):
            return TIMESTAMP, text
        bare = text.replace("_", "")
        if (number := _integer(bare)) is not None:
            return INT, number
        if _DECIMAL.fullmatch(bare):
            return FLOAT, float(bare)
    return STR, text


def _integer(text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    if match is None:
        return None
    sign, hexa, binary, octal, decimal = match.groups()
    if hexa:
        number = int(hexa, 16)
    elif binary:
        number = int(binary, 2)
    elif octal:
        number = int(octal, 8)
    elif len(decimal) > 20:
        return None
    else:
        number = int(decimal)
    if sign == "-":
        number = -number
    # Above the signed range only the unsigned spelling (no sign) is an integer.
    return number if _MIN <= number <= _MAX or (not sign and number < 2**64) else None


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    month, day = int(match[2]), int(match[3])
    return 1 <= month <= 12 and 1 <= day <= 31


def to_int(value: Value) -> int | None:
    """``value`` as a 64-bit integer, a fraction cut off; ``None`` if it is not a number or out of range."""
    if isinstance(value, (bool, str)) or value is None:
        return None
    if isinstance(value, int):
        return value if _MIN <= value <= _MAX else None
    if not float(_MIN) <= value < float(_MAX):  # also not a number
        return None
    return int(value)


def to_bool(value: Value) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return True if value in _TRUE else False if value in _FALSE else None
    return None
