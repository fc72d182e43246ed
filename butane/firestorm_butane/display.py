"""An Ignition config as a tree for people: its files and units decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .compare import printable
from .contents import ContentsError, as_text, contents
from .document import Config
from .ignition import read
from .model import emit
from .schema import Level, Tree, view
from .secrecy import is_secret_file, masked

_BAR = "  │ "


def show(config: Config, *, show_secrets: bool = False) -> str:
    """The tree: sections, entries below them, texts behind a bar.

    Raises:
        IgnitionError: it is not an Ignition config.
    """
    spec, tree = read(config, "<ignition>")
    document = emit(tree, view(Level(spec)))
    lines = [f"Ignition {document['ignition']['version']}"]
    rest = {key: value for key, value in document["ignition"].items() if key != "version"}
    lines += _plain("ignition", rest, show_secrets)
    lines += _plain("kernelArguments", document.get("kernelArguments"), show_secrets)
    for kind, entries in document.get("passwd", {}).items():
        lines += _plain(kind, entries, show_secrets)
    storage = document.get("storage", {})
    for kind in ("disks", "raid", "luks", "filesystems"):
        lines += _plain(kind, storage.get(kind), show_secrets)
    lines += _nodes(storage, show_secrets)
    lines += _units(document.get("systemd", {}).get("units") or [])
    return "\n".join(lines)


def _plain(title: str, value: Any, show_secrets: bool) -> Iterator[str]:
    if value:
        yield title
        for entry in value if isinstance(value, list) else [value]:
            shown = entry if show_secrets else masked(entry)
            for line in json.dumps(shown, indent=2, ensure_ascii=False).split("\n"):
                yield "  " + line


def _nodes(storage: Tree, show_secrets: bool) -> Iterator[str]:
    for kind in ("directories", "files", "links"):
        entries = sorted(storage.get(kind) or [], key=lambda node: str(node.get("path")))
        if entries:
            yield kind
        for node in entries:
            yield "  " + "  ".join([printable(node["path"]), *_properties(node)])
            for resource in [*(node.get("append") or []), node.get("contents", {})] if kind == "files" else ():
                yield from _contents(node, resource, show_secrets)


def _properties(node: Mapping[str, Any]) -> Iterator[str]:
    if "mode" in node:
        yield f"{node['mode']:04o}"
    owner = [str(node.get(key, {}).get("name", node.get(key, {}).get("id", ""))) for key in ("user", "group")]
    if any(owner):
        yield ":".join(owner)
    if "target" in node:
        yield f"→ {printable(node['target'] or '')}{' (hard)' if node.get('hard') else ''}"
    if node.get("overwrite"):
        yield "overwrite"


def _contents(file: Tree, resource: Tree, show_secrets: bool) -> Iterator[str]:
    try:
        data = contents(resource)
    except ContentsError as exc:
        yield f"  {_BAR}(unreadable: {exc})"
        return
    if data is None:
        if resource.get("source"):
            yield f"  {_BAR}(from {printable(resource['source'])})"
        return
    text = as_text(data)
    if is_secret_file(file, data) and not show_secrets:
        yield f"  {_BAR}(secret)"
    elif text is None:
        yield f"  {_BAR}({len(data)} bytes that are not text)"
    else:
        for line in text.removesuffix("\n").split("\n") if text else ():
            yield f"  {_BAR}{printable(line)}"


def _units(units: list[Tree]) -> Iterator[str]:
    if units:
        yield "units"
    for unit in sorted(units, key=lambda u: str(u.get("name"))):
        state = [] if "enabled" not in unit else ["enabled" if unit["enabled"] else "disabled"]
        yield "  " + "  ".join([printable(unit["name"]), *state, *(["masked"] if unit.get("mask") else [])])
        yield from _text(unit.get("contents"))
        for dropin in unit.get("dropins") or ():
            yield f"    {printable(dropin['name'])}"
            yield from _text(dropin.get("contents"))


def _text(text: str | None) -> Iterator[str]:
    for line in text.removesuffix("\n").split("\n") if text else ():
        yield f"  {_BAR}{printable(line)}"
