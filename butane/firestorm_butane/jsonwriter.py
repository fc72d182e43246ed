"""Ignition configs as JSON text, spelled as the reference spells them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# Go's encoder escapes these for the sake of HTML and JSONP.
_GO_ESCAPES = re.compile("[<>&\x7f\u2028\u2029]|\\\\[bf]")
_GO_ESCAPED = {c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"} | {"\\b": "\\u0008", "\\f": "\\u000c", "\x7f": "\x7f"}


def dump(config: Mapping[str, Any], *, pretty: bool = False) -> str:
    """``config`` in one line, or indented by two spaces."""
    text = json.dumps(
        config, ensure_ascii=False, indent=2 if pretty else None, separators=(",", ": ") if pretty else (",", ":")
    )
    return _GO_ESCAPES.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return _GO_ESCAPED[match[0]]
