"""A local release server laid out like Flatcar's and Fedora CoreOS's, with faults on demand, and what it serves."""

from __future__ import annotations

import bz2
import hashlib
import http.server
import json
import lzma
import os
import random
import re
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firestorm.images import Servers
from firestorm.spec.model import Mirror, OsImage

FLATCAR_DIR = "/flatcar/stable/amd64-usr"
FLATCAR_FILE = "flatcar_production_qemu_image.img"
FLATCAR_VERSION = "4230.2.1"
FLATCAR_IMAGE = f"{FLATCAR_DIR}/{FLATCAR_VERSION}/{FLATCAR_FILE}"
FLATCAR_KEY = "/keys/Flatcar_Image_Signing_Key.asc"
FCOS_VERSION = "44.20260707.3.1"
FCOS_DIR = f"/fcos/prod/streams/stable/builds/{FCOS_VERSION}"
FCOS_IMAGE = f"{FCOS_DIR}/x86_64/fedora-coreos-{FCOS_VERSION}-qemu.x86_64.qcow2.xz"
FCOS_KEY = "/keys/fedora.gpg"

FLATCAR = OsImage(name="flatcar", channel="stable")
FCOS = OsImage(name="fcos", channel="stable")


def qcow2(size: int, seed: int, *, backing: int = 0, virtual: int = 10 << 30) -> bytes:
    """`size` bytes that begin like a qcow2 file of the given virtual size; the rest is noise."""
    header = b"QFI\xfb" + (3).to_bytes(4, "big") + backing.to_bytes(8, "big") + bytes(8) + virtual.to_bytes(8, "big")
    return header + random.Random(seed).randbytes(size - len(header))


PAYLOAD = qcow2(3 << 20, 1)
FCOS_PAYLOAD = qcow2(3 << 20, 2)


def sha(algorithm: str, data: bytes) -> str:
    return hashlib.new(algorithm, data).hexdigest()


def digests(name: str, data: bytes) -> bytes:
    """Flatcar's DIGESTS file, as its ci-automation/ci_automation_common.sh writes it."""
    lines = [f"# {kind.upper()} HASH\n{sha(kind, data)}  {name}\n" for kind in ("md5", "sha1", "sha512")]
    return "".join(lines).encode()


@dataclass(frozen=True)
class GpgKey:
    """A key in a keyring of its own."""

    home: Path

    def gpg(self, *arguments: str, data: bytes = b"") -> bytes:
        command = ["gpg", "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""]
        environment = {**os.environ, "GNUPGHOME": str(self.home)}
        done = subprocess.run([*command, *arguments], input=data, capture_output=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    @classmethod
    def generate(cls, home: Path, name: str) -> GpgKey:
        home.mkdir(mode=0o700)
        key = cls(home)
        key.gpg("--quick-gen-key", f"{name} <{name}@example.org>", "ed25519", "cert", "never")
        key.gpg("--quick-add-key", key.fingerprint, "ed25519", "sign", "never")
        return key

    @property
    def fingerprints(self) -> list[str]:
        """The primary key's, then the subkeys'."""
        listing = self.gpg("--list-keys", "--with-colons").decode()
        return re.findall(r"^fpr:+([0-9A-F]{40}):$", listing, re.MULTILINE)

    @property
    def fingerprint(self) -> str:
        return self.fingerprints[0]

    def sign(self, data: bytes, *options: str) -> bytes:
        return self.gpg(*options, "--output", "-", "--detach-sign", data=data)

    def export(self, *options: str) -> bytes:
        return self.gpg(*options, "--export", self.fingerprint)

    def stop(self) -> None:
        environment = {**os.environ, "GNUPGHOME": str(self.home)}
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False)


@dataclass
class Fault:
    """What one GET of a path meets: an answer of `status`, or a connection closed after `after` bytes of the body.

    With `stall`, the server waits for it before it closes, having set `reached`.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    after: int = -1
    stall: threading.Event | None = None
    reached: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Request:
    path: str
    range: str | None
    if_range: str | None


class Site:
    """The server. `files` is what it serves; `faults` is used up request by request."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = dict(files)
        self.faults: dict[str, list[Fault]] = {}
        self.log: list[Request] = []
        self.ranges = True
        self.etags = True
        self.chunked = False
        site = self

        class Handler(_Handler):
            owner = site

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def mirrors(self) -> tuple[Mirror, ...]:
        return tuple(
            Mirror(prefix=prefix, url=self.url + path)
            for prefix, path in {
                "https://stable.release.flatcar-linux.net": "/flatcar/stable",
                "https://www.flatcar.org/security/image-signing-key": "/keys",
                "https://builds.coreos.fedoraproject.org": "/fcos",
                "https://fedoraproject.org": "/keys",
            }.items()
        )

    def servers(self, fingerprint: str) -> Servers:
        return Servers(mirrors=self.mirrors(), flatcar_key=fingerprint, fcos_keys={44: fingerprint})

    def requests(self, path: str) -> list[Request]:
        return [request for request in self.log if request.path == path]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Site

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        site = self.owner
        site.log.append(Request(self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        waiting = site.faults.get(self.path, [])
        fault = waiting.pop(0) if waiting else Fault()
        if fault.status:
            self._answer(fault.status, b"", fault.headers)
        elif self.path not in site.files:
            self._answer(404, b"no such file\n", {})
        else:
            self._file(site.files[self.path], fault)

    def _file(self, data: bytes, fault: Fault) -> None:
        site, headers = self.owner, {}
        etag = f'"{sha("md5", data)}"'
        if site.etags:
            headers["ETag"] = etag
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, etag)
        if asked is None or not same or not site.ranges:
            self._answer(200, data, headers, fault)
        elif int(asked[1]) >= len(data):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        else:
            start = int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._answer(206, data[start:], headers, fault)

    def _answer(self, status: int, body: bytes, headers: dict[str, str], fault: Fault | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        chunked = self.owner.chunked and status in (200, 206)
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))))
        self.end_headers()
        after = -1 if fault is None else fault.after
        part = body if after < 0 else body[:after]
        try:
            for at in range(0, len(part), 65536):
                piece = part[at : at + 65536]
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if chunked else piece)
            if fault is not None and after >= 0:
                self.close_connection = True
                self.wfile.flush()
                fault.reached.set()
                if fault.stall is not None:
                    fault.stall.wait(60)
            elif chunked:
                self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


def flatcar_files(key: GpgKey, payload: bytes = PAYLOAD, version: str = FLATCAR_VERSION) -> dict[str, bytes]:
    image = f"{FLATCAR_DIR}/{version}/{FLATCAR_FILE}"
    build, branch, patch = version.split(".")
    text = (
        f"FLATCAR_BUILD={build}\nFLATCAR_BRANCH={branch}\nFLATCAR_PATCH={patch}\nFLATCAR_VERSION={version}\n"
        f'FLATCAR_VERSION_ID={version}\nFLATCAR_BUILD_ID="2025-07-10-1200"\nFLATCAR_SDK_VERSION={build}.0.0\n'
    )
    return {
        f"{FLATCAR_DIR}/current/version.txt": text.encode(),
        image: payload,
        f"{image}.sig": key.sign(payload),
        f"{image}.DIGESTS": digests(FLATCAR_FILE, payload),
        FLATCAR_KEY: key.export("--armor", "--comment", "Flatcar Buildbot"),
    }


def flatcar_bz2_files(key: GpgKey) -> dict[str, bytes]:
    """A release before 3602.2.0: only the bzip2 file."""
    version, packed = "3510.2.8", bz2.compress(PAYLOAD, 1)
    image = f"{FLATCAR_DIR}/{version}/{FLATCAR_FILE}.bz2"
    return {
        image: packed,
        f"{image}.sig": key.sign(packed),
        f"{image}.DIGESTS": digests(f"{FLATCAR_FILE}.bz2", packed),
        FLATCAR_KEY: key.export("--armor"),
    }


def fcos_files(key: GpgKey, other: GpgKey, payload: bytes = FCOS_PAYLOAD) -> dict[str, bytes]:
    """Stream and release metadata name the official URLs, so that mirrors must apply to what they name as well."""
    packed = lzma.compress(payload, preset=0)
    official = "https://builds.coreos.fedoraproject.org" + FCOS_IMAGE.removeprefix("/fcos")
    disk = {
        "location": official,
        "signature": f"{official}.sig",
        "sha256": sha("sha256", packed),
        "uncompressed-sha256": sha("sha256", payload),
    }
    formats = {"qcow2.xz": {"disk": disk}}
    stream = {
        "stream": "stable",
        "metadata": {"last-modified": "2026-07-21T14:07:12Z"},
        "architectures": {"x86_64": {"artifacts": {"qemu": {"release": FCOS_VERSION, "formats": formats}}}},
    }
    release = {
        "release": FCOS_VERSION,
        "stream": "stable",
        "architectures": {"x86_64": {"media": {"qemu": {"artifacts": formats}}}},
    }
    return {
        "/fcos/streams/stable.json": json.dumps(stream).encode(),
        f"{FCOS_DIR}/release.json": json.dumps(release).encode(),
        FCOS_IMAGE: packed,
        f"{FCOS_IMAGE}.sig": key.sign(packed),
        FCOS_KEY: other.export() + key.export(),
    }


def tree(directory: Path) -> list[str]:
    """Every path below `directory`, hidden ones too."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
