"""``storage.trees``: directories of local files that become files, links and, with owner or mode, directories."""

from __future__ import annotations

import posixpath
from typing import Any

from . import messages as m
from .files import Entry, FilesError
from .report import Severity
from .schema import Path, Tree
from .sugar import Base, Draft

_LISTS = ("files", "directories", "links")


def add_trees(base: Base, document: Tree, draft: Draft) -> None:
    """Adds the contents of every tree to ``draft``; a node that exists without contents is completed."""
    trees = document.get("storage", {}).get("trees") or []
    if not trees:
        return
    storage = draft.tree.get("storage", {})
    known = {kind: {n.get("path", ""): i for i, n in enumerate(storage.get(kind) or ())} for kind in _LISTS}
    for i, tree in enumerate(trees):
        at: Path = ("storage", "trees", i)
        if not base.files.given:
            base.complain(at, m.NO_FILES_DIR, Severity.ERROR)
            return
        planter = _Planter(base, draft, tree, at, known)
        try:
            for entry in base.files.walk(tree.get("local", "")):
                if isinstance(entry, FilesError):
                    base.complain(at, entry.problem, Severity.ERROR)
                else:
                    planter.plant(entry)
        except FilesError as exc:
            base.complain(at, exc.problem, Severity.ERROR)


class _Planter:
    def __init__(self, base: Base, draft: Draft, tree: Tree, at: Path, known: dict[str, dict[str, int]]) -> None:
        self._base, self._draft, self._tree, self._at, self._known = base, draft, tree, at, known
        self._owner = {key: dict(tree[key]) for key in ("group", "user") if tree.get(key)}

    def plant(self, entry: Entry) -> None:
        path = posixpath.normpath(posixpath.join(self._tree.get("path") or "/", entry.path))
        if path.startswith("//"):
            path = path[1:]
        if entry.kind == "directory":
            self._directory(path)
        elif entry.kind == "file":
            self._file(path, entry)
        elif entry.kind == "link":
            self._link(path, entry)
        else:
            self._complain(m.TREE_FILE_TYPE.fill(path=entry.path))

    def _complain(self, problem: m.Problem) -> None:
        self._base.complain(self._at, problem, Severity.ERROR)

    def _node(self, kind: str, path: str, content: str) -> tuple[Path, dict[str, Any]] | None:
        """The node of this kind at ``path``, made if there is none; ``None`` after a complaint that it is taken."""
        index = self._known[kind].get(path)
        if index is not None and content:
            node = self._draft.tree["storage"][kind][index]
            taken = node.get("contents", {}).get("source") if kind == "files" else node.get("target")
            if not taken:
                return ("storage", kind, index), node
        if any(path in self._known[k] for k in _LISTS):
            self._complain(m.NODE_EXISTS.fill(path=path))
            return None
        index = len(self._draft.tree.get("storage", {}).get(kind) or ())
        node = {"path": path, **{k: dict(v) for k, v in self._owner.items()}}
        place: Path = ("storage", kind, index)
        self._draft.put(place, node, self._at)
        self._known[kind][path] = index
        return place, node

    def _directory(self, path: str) -> None:
        mode = self._tree.get("dir_mode")
        if mode is None and not self._owner:
            return
        if found := self._node("directories", path, ""):
            self._draft.put((*found[0], "mode"), 0o755 if mode is None else mode, self._at)

    def _file(self, path: str, entry: Entry) -> None:
        found = self._node("files", path, "contents")
        if found is None:
            return
        place, node = found
        local = posixpath.join(self._tree.get("local", ""), entry.path)
        data = self._base.read(local, self._at)
        if data is None:
            return
        contents = node.get("contents", {})
        by_user = bool(contents.get("compression"))
        url, packed = self._base.data_url(data, by_user)
        self._draft.put((*place, "contents", "source"), url, self._at)
        if not by_user:
            self._draft.put((*place, "contents", "compression"), "gzip" if packed else "", self._at)
        if "mode" not in node:
            mode = self._tree.get("file_mode")
            if mode is None:
                mode = 0o755 if entry.executable else 0o644
            self._draft.put((*place, "mode"), mode, self._at)

    def _link(self, path: str, entry: Entry) -> None:
        if found := self._node("links", path, "target"):
            self._draft.put((*found[0], "target"), entry.target, self._at)
