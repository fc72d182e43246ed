"""A mirror of release files: an HTTP server over a directory that is laid out by host.

`https://dl.k8s.io/release/...` lies at `/dl.k8s.io/release/...`, so a mirror of a prefix is that prefix's path here.
"""

from __future__ import annotations

import gzip
import http.server
import os
import socketserver
import tarfile
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from firestorm_lab.cache import Cache, Item, Workspace, file_digest
from firestorm_lab.components import CNI_MODULE, CNI_PLUGINS, KUBERNETES, KUBERNETES_MODULE

ARCH = "amd64"
KUBELET_URL = f"https://dl.k8s.io/release/v{KUBERNETES}/bin/linux/{ARCH}/kubelet"
KUBECTL_URL = f"https://dl.k8s.io/release/v{KUBERNETES}/bin/linux/{ARCH}/kubectl"
CNI_URL = (
    "https://github.com/containernetworking/plugins/releases/download/"
    f"v{CNI_PLUGINS}/cni-plugins-linux-{ARCH}-v{CNI_PLUGINS}.tgz"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """A file of the mirror: its short name, the official URL whose place it takes, its hash."""

    name: str
    url: str
    path: Path
    sha256: str


def ensure(store: Cache) -> tuple[Path, tuple[ReleaseFile, ...]]:
    """The mirror's directory and what lies in it, made if need be."""
    item = Item(
        name="mirror",
        inputs={"kubernetes": KUBERNETES_MODULE.item().key, "cni": CNI_MODULE.item().key, "recipe": "1"},
    )
    found = store.find(item)
    if found is None:
        kubernetes, plugins = KUBERNETES_MODULE.ensure(store), CNI_MODULE.ensure(store)

        def build(workspace: Workspace) -> None:
            _build(workspace.out / "files", kubernetes / "bin", plugins / "bin")

        found = store.ensure(item, build, "laying out release files")
    root = found / "files"
    names = {"kubelet": KUBELET_URL, "kubectl": KUBECTL_URL, "cni-plugins": CNI_URL}
    files = [(name, url, _place(root, url)) for name, url in names.items()]
    return root, tuple(
        ReleaseFile(name=name, url=url, path=path, sha256=path.with_name(f"{path.name}.sha256").read_text().split()[0])
        for name, url, path in files
    )


def _place(root: Path, url: str) -> Path:
    return root / url.removeprefix("https://")


def _build(root: Path, kubernetes: Path, plugins: Path) -> None:
    for url in (KUBELET_URL, KUBECTL_URL):
        target = _place(root, url)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(kubernetes / target.name, target)
    archive = _place(root, CNI_URL)
    archive.parent.mkdir(parents=True)
    write_plugins(archive, plugins)
    for url in (KUBELET_URL, KUBECTL_URL, CNI_URL):
        path = _place(root, url)
        path.with_name(f"{path.name}.sha256").write_text(f"{file_digest(path)}\n")


def write_plugins(target: Path, plugins: Path) -> None:
    """The plugins' archive, reproducible, with the members named as in the official one (`./bridge`).

    It is compressed lightly: both its hash and its decompression are work for an emulated processor.
    """
    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in sorted(plugins.iterdir()):
            member = tarfile.TarInfo(f"./{path.name}")
            member.mode = 0o755
            member.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(member, content)


class _Handler(http.server.BaseHTTPRequestHandler):
    """GET and HEAD of regular files below the server's root; nothing else exists."""

    protocol_version = "HTTP/1.1"
    server: MirrorServer

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = self._file()
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as file:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            if body:
                self.wfile.flush()
                self.connection.sendfile(file)

    def _file(self) -> Path | None:
        """The file that the request names, None when it does not exist or would lie outside the root."""
        wanted = unquote(urlsplit(self.path).path).lstrip("/")
        if "\0" in wanted:
            return None
        path = (self.server.root / wanted).resolve()
        return path if path.is_relative_to(self.server.root) and path.is_file() else None

    def log_message(self, format: str, *args: object) -> None:
        self.server.report(f"{self.address_string()} {format % args}")


class MirrorServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """The server, bound to one address; `serve_forever` runs it. Port 0 takes a free one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, root: Path, address: str, port: int) -> None:
        self.root = root.resolve()
        self.requests: list[str] = []
        super().__init__((address, port), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Bind without asking DNS for the host's name, which HTTPServer would do."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def report(self, line: str) -> None:
        """One answered request; kept for tests and printed by the command."""
        self.requests.append(line)
