"""Which names clusters may have: short enough for what is derived from them, and safe as a file's name."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")


def problem(name: str) -> str:
    """What is wrong with a name, empty if nothing is."""
    if _NAME.fullmatch(name):
        return ""
    return f"{name!r}: use up to 20 lower case letters, digits and hyphens, a letter first and no hyphen last"
