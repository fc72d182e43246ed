"""Ignition configs as JSON text, spelled as the reference spells them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# Go's encoder escapes these for the sake of HTML and JSONP, and has no short form of backspace and form feed.
_GO_ESCAPED = {c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"} | {"\\b": "\\u0008", "\\f": "\\u000c"}
# A whole escape at once: in the one of a backslash, what follows is a letter of its own.
_ESCAPE = re.compile(r"[<>&\u2028\u2029]|\\.")


def dump(config: Mapping[str, Any], *, pretty: bool = False) -> str:
    """``config`` in one line, or indented by two spaces."""
    text = json.dumps(
        config, ensure_ascii=False, indent=2 if pretty else None, separators=(",", ": ") if pretty else (",", ":")
    )
    return _ESCAPE.sub(_as_go_does, text)


def _as_go_does(match: re.Match[str]) -> str:
    return _GO_ESCAPED.get(match[0], match[0])
