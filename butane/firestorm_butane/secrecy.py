"""Which parts of an Ignition config are secret, for whoever shows one to a person or writes it to a log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEY = b"PRIVATE KEY-----"
_READABLE = 0o044
_HIDDEN = "(secret)"

FIELDS = frozenset({"passwordHash", "keyFile", "httpHeaders"})
"""Names of fields that are secret wherever they stand; headers often hold tokens."""


def is_secret_file(file: Mapping[str, Any], data: bytes | None) -> bool:
    """Whether a file's contents must not be shown: others may not read it, or it holds a private key."""
    mode = file.get("mode")
    hidden = mode is not None and not mode & _READABLE
    return hidden or (data is not None and _KEY in data)


def masked(value: Any) -> Any:
    """A part of a config without what is secret in it; configs that it embeds may hold secrets as well."""
    if isinstance(value, Mapping):
        return {key: _HIDDEN if _hides(key, item) else masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def _hides(key: str, value: Any) -> bool:
    return key in FIELDS or (key == "source" and isinstance(value, str) and value.startswith("data:"))
