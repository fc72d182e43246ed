"""Which names clusters may have: short enough for what is derived from them, and safe as a file's name."""

from __future__ import annotations

import re
import secrets

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")


def fresh() -> str:
    """A name for a cluster that is to have none in particular; chance alone makes it one that nobody has."""
    return f"ci-{secrets.token_hex(4)}"


def problem(name: str) -> str:
    """What is wrong with a name, empty if nothing is."""
    if _NAME.fullmatch(name):
        return ""
    return f"{name!r}: use up to 20 lower case letters, digits and hyphens, a letter first and no hyphen last"
