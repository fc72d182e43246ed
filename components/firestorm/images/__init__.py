"""Base images: found in the official release metadata, downloaded, verified, unpacked and kept under a name that
carries their hash.

`fetch` is the whole way from an `OsImage` to a file that a hypervisor can use; `resolve` is its first step, the look at
the release server. Only verified files ever get their final name. See docs/images.md.
"""

from __future__ import annotations

from firestorm.images.cache import cached, default_cache, fetch, is_cached, prune
from firestorm.images.model import Checksum, ImageEvent, LocalImage, Progress, Resolved, SigningKey
from firestorm.images.releases import resolve
from firestorm.images.servers import FCOS_KEYS, FLATCAR_KEY, Servers
from firestorm.images.transport import Retry, UnreachableError, http_client

__all__ = [
    "FCOS_KEYS",
    "FLATCAR_KEY",
    "Checksum",
    "ImageEvent",
    "LocalImage",
    "Progress",
    "Resolved",
    "Retry",
    "Servers",
    "SigningKey",
    "UnreachableError",
    "cached",
    "default_cache",
    "fetch",
    "http_client",
    "is_cached",
    "prune",
    "resolve",
]
