"""``systemd.quadlets``: Podman's unit files, written where its generator looks (podman-systemd.unit(5))."""

from __future__ import annotations

import posixpath
from typing import Any

from . import messages as m
from .files import FilesError
from .report import Severity
from .schema import Path, Tree
from .sugar import Base, Draft

EXTENSIONS = (".container", ".volume", ".network", ".kube", ".image", ".build", ".pod", ".artifact")

_LISTS = ("files", "directories", "links")


def template_of(name: str) -> str | None:
    """``web@.container`` for the instance ``web@1.container``; ``None`` for what is no instance."""
    at, dot = name.find("@"), name.rfind(".")
    if at < 0 or dot < 0 or at + 1 == dot:
        return None
    return f"{name[:at]}@.{name[dot + 1 :]}"


def _folder(quadlet: Tree) -> str:
    """Where the quadlets of root, or of every user, lie."""
    return "/etc/containers/systemd" + ("" if quadlet.get("rootful") else "/users")


def add_quadlets(base: Base, document: Tree, draft: Draft) -> None:
    """Adds a file or link per quadlet, and a file per drop-in, to ``draft``."""
    quadlets = document.get("systemd", {}).get("quadlets") or []
    if not quadlets:
        return
    storage = draft.tree.get("storage", {})
    writer = _Writer(base, draft, {node.get("path", "") for kind in _LISTS for node in storage.get(kind) or ()})
    for i, quadlet in enumerate(quadlets):
        at: Path = ("systemd", "quadlets", i)
        name = quadlet.get("name", "")
        path = posixpath.normpath(posixpath.join(_folder(quadlet), name))
        if template := template_of(name):
            writer.node("links", path, at, target=template)
        else:
            writer.file(path, quadlet, at)
        for k, dropin in enumerate(quadlet.get("dropins") or ()):
            writer.file(f"{path}.d/{dropin.get('name', '')}", dropin, (*at, "dropins", k))


class _Writer:
    def __init__(self, base: Base, draft: Draft, known: set[str]) -> None:
        self._base, self._draft, self._known = base, draft, known

    def node(self, kind: str, path: str, at: Path, **fields: Any) -> Path | None:
        """The place of a new node; ``None`` after a complaint that its path is taken."""
        if path in self._known:
            self._base.complain(at, m.NODE_EXISTS.fill(path=path), Severity.ERROR)
            return None
        self._known.add(path)
        place: Path = ("storage", kind, len(self._draft.tree.get("storage", {}).get(kind) or ()))
        self._draft.put(place, {"path": path, **fields}, at)
        self._draft.origin[(*place, "path")] = (*at, "name")
        return place

    def file(self, path: str, value: Tree, at: Path) -> None:
        place = self.node("files", path, at)
        if place is None:
            return
        key = "contents" if value.get("contents") else "contents_local"
        data = (value.get("contents") or "").encode()
        if key == "contents_local" and (local := value.get(key)):
            try:
                data = self._base.files.read(local)
            except FilesError as exc:
                self._base.complain((*at, key), exc.problem, Severity.ERROR)
                return
        url, packed = self._base.data_url(data, False)
        self._draft.put((*place, "contents", "source"), url, (*at, key))
        self._draft.put((*place, "contents", "compression"), "gzip" if packed else "", at)
        self._draft.put((*place, "mode"), 0o644, at)
