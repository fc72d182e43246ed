"""The official way, where it is reachable: small, quick to give up, checked."""

from __future__ import annotations

import hashlib
import shutil
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from firestorm_lab.errors import LabError

CONNECT_TIMEOUT = 5.0


def reachable(url: str, timeout: float = CONNECT_TIMEOUT) -> bool:
    """Whether the URL's host (or the proxy that the environment names for it) accepts a connection in time."""
    target = urlsplit(url)
    proxy = urllib.request.getproxies().get(target.scheme)
    if proxy and not urllib.request.proxy_bypass(target.netloc):
        target = urlsplit(proxy)
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        with socket.create_connection((target.hostname or "", port), timeout):
            return True
    except OSError:
        return False


def text(url: str, timeout: float = 30.0) -> str:
    """The body of a small file; LabError when it cannot be had."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            return str(response.read(1 << 20).decode())
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise LabError(f"cannot download {url}: {error}") from error


def fetch(url: str, target: Path, sha256: str, timeout: float = 60.0) -> None:
    """Download a file and check it; on any failure no file is left, and LabError says why."""
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response, target.open("wb") as file:
            while chunk := response.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
    except (OSError, urllib.error.URLError, ValueError) as error:
        target.unlink(missing_ok=True)
        raise LabError(f"cannot download {url}: {error}") from error
    if digest.hexdigest() != sha256:
        target.unlink(missing_ok=True)
        raise LabError(f"{url} has SHA-256 {digest.hexdigest()}, but {sha256} was published; it was thrown away")


def checksum_of(listing: str, name: str) -> str:
    """A file's SHA-256 from a published `sha256sum` list; LabError when the list does not name it."""
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == name:
            return words[0]
    raise LabError(f"the published list of checksums does not name {name}")


def unpack(archive: Path, target: Path) -> None:
    """Unpack a tar archive, refusing members that would leave `target`."""
    shutil.unpack_archive(archive, target, filter="data")
