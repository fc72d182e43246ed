"""Checks of Butane snippets: readable, for the pool's system, and of a version that its Ignition knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from firestorm.releases import tables
from firestorm.releases.tables import OsLine, numbers
from firestorm.spec.model import Snippet
from firestorm.spec.problems import shown
from firestorm.spec.section import Section
from firestorm.spec.systems import System

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_BYTES = 1 << 20


def check_snippets(pool: Section, system: System, directory: Path) -> tuple[Snippet, ...]:
    """The pool's snippets with their contents, in order."""
    snippets: list[Snippet] = []
    for section, (_, raw) in zip(pool.sections("snippets"), pool.items("snippets"), strict=True):
        snippet = _read(section, raw if isinstance(raw, str) else section.optional_text("path"), directory)
        if snippet is not None:
            snippets.append(snippet)
            _check_header(section, snippet, system)
    return tuple(snippets)


def _read(section: Section, path: str | None, directory: Path) -> Snippet | None:
    content = section.optional_text("content")
    if path is not None and content is not None:
        section.problem(None, "has both path and content", "give one of them")
        return None
    if content is not None:
        return Snippet(source=section.text("name") or "inline snippet", content=content)
    if path is None:
        section.problem(None, "has neither path nor content", "give one of them")
        return None
    return _read_file(section, path, directory)


def _read_file(section: Section, path: str, directory: Path) -> Snippet | None:
    try:
        file = directory / Path(path).expanduser()
        if file.stat().st_size > _MAX_BYTES:
            section.problem(None, f"{shown(path)} is larger than 1 MiB", "a snippet is a Butane config")
            return None
        content = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        section.problem(None, f"{shown(path)} does not exist", f"paths start at {directory}")
    except UnicodeDecodeError:
        section.problem(None, f"{shown(path)} is not UTF-8 text", "a snippet is a Butane config")
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        section.problem(None, f"{shown(path)} cannot be read: {reason}", "give a readable file")
    else:
        return Snippet(source=path, content=content, files_dir=str(file.absolute().parent))
    return None


def _check_header(section: Section, snippet: Snippet, system: System) -> None:
    try:
        document: object = yaml.load(snippet.content, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        section.problem(None, f"{snippet.source}{where} is not YAML: {error.problem}", "correct the snippet")
        return
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        section.problem(None, f"{snippet.source} is not YAML: {error}", "correct the snippet")
        return
    line = system.line
    if line is None:
        return
    variant, version = (
        (document.get("variant"), document.get("version")) if isinstance(document, dict) else (None, None)
    )
    header = f"variant: {line.butane_variant} and version: {line.butane_version}"
    if not isinstance(variant, str) or not isinstance(version, str):
        section.problem(None, f"{snippet.source} does not name its Butane variant and version", f"add {header}")
        return
    _check_version(section, snippet.source, variant, version, line)


def _check_version(section: Section, source: str, variant: str, version: str, line: OsLine) -> None:
    title = tables.os_families()[line.name].title
    newest = line.butane.get(variant)
    if newest is None:
        section.problem(
            None,
            f"{source} is written for {shown(variant)}, but the pool runs {title}",
            f"use variant: {' or '.join(line.butane)}",
        )
        return
    spec = tables.ignition_specs()[variant].get(version)
    if spec is None:
        what = "an experimental version" if "experimental" in version else "unknown"
        section.problem(
            None, f"{source} has the version {shown(version)} of {variant}, which is {what}", f"use {newest}"
        )
    elif numbers(version) > numbers(newest):
        section.problem(
            None,
            f"{source} has version {version} of {variant}, which becomes Ignition spec {spec}, "
            f"but {title} {line.line} reads specs up to {line.ignition_spec}",
            f"use version {newest} or older",
        )
