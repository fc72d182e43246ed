"""Ignition configs as documents of their own: validation, bringing an older spec up, and merging."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import messages as m
from .checks import Checker
from .document import Config, Document, JsonError, load
from .merging import Side, merge_trees
from .messages import Problem
from .model import ShapeError, emit, normalize
from .report import Location, Message, Report, Severity, arrange, path_text
from .schema import EXPERIMENTAL_SPEC, Level, Path, Tree, View, spec_version, view
from .unused import unused_json

_SPECS = {spec_version(minor): minor for minor in range(EXPERIMENTAL_SPEC + 1)}
_SEMVER = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:[-+].*)?")


class ButaneError(Exception):
    """Root of what this package raises."""


class IgnitionError(ButaneError, ValueError):
    """A document is not an Ignition config. ``report`` says why."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced:
    """A config with the places that its fields came from, by path, as ``("storage", "files", 0, "path")``."""

    ignition: Config
    sources: Mapping[Path, Location] = field(default_factory=dict)


class _Collector:
    def __init__(self, document: Document) -> None:
        self._document = document
        self.messages: list[Message] = []

    def __call__(self, path: Path, problem: Problem, severity: Severity = Severity.ERROR) -> None:
        self.messages.append(
            Message(
                severity=severity,
                code=problem.code,
                path=path_text(path),
                location=self._document.locate(path),
                text=problem.text,
                remedy=problem.remedy,
            )
        )

    def report(self) -> Report:
        text = self._document.text
        return Report(arrange(self.messages), {self._document.name: text.split("\n")} if text else {})


def _load(config: Config, name: str) -> Document:
    try:
        return load(config, name)
    except JsonError as exc:
        message = Message(
            severity=Severity.ERROR,
            code=exc.problem.code,
            path="$",
            location=exc.location,
            text=exc.problem.text,
            remedy=exc.problem.remedy,
        )
        lines = config.split("\n") if isinstance(config, str) else []
        raise IgnitionError(Report((message,), {name: lines})) from exc


def spec_of(config: Mapping[str, Any]) -> int | Problem:
    """The minor version of a config's spec, or what is wrong with it."""
    section = config.get("ignition") if isinstance(config, Mapping) else None
    version = section.get("version") if isinstance(section, Mapping) else None
    if not isinstance(version, str):
        return m.NOT_A_CONFIG
    if version in _SPECS:
        return _SPECS[version]
    problem = m.CONFIG_VERSION_UNKNOWN if _SEMVER.fullmatch(version) else m.CONFIG_VERSION
    return problem.fill(version=version)


def validate(config: Config, *, name: str = "<ignition>") -> Report:
    """Validates an Ignition config, specs 3.0.0 to 3.7.0-experimental, as Ignition 2.27 does.

    Unknown keys are warnings. The messages about a text have its lines and columns.
    """
    try:
        document = _load(config, name)
    except IgnitionError as exc:
        return exc.report
    collect = _Collector(document)
    spec = spec_of(document.raw)
    if isinstance(spec, Problem):
        collect(("ignition", "version"), spec)
        return collect.report()
    scope = view(Level(spec))
    try:
        tree = normalize(document.raw, scope)
    except ShapeError as exc:
        collect(exc.path, m.WRONG_TYPE.fill(expected=exc.expected, found="something else"))
        return collect.report()
    unused_json(document.raw, scope, lambda path, problem: collect(path, problem, Severity.WARNING))
    Checker(scope, collect).run(tree)
    return collect.report()


def read(config: Config, name: str) -> tuple[int, Tree]:
    """The minor version of a config's spec, and the config in normal form.

    Raises:
        IgnitionError: it is not an Ignition config.
    """
    document = _load(config, name)
    collect = _Collector(document)
    spec = spec_of(document.raw)
    if isinstance(spec, int):
        try:
            return spec, normalize(document.raw, view(Level(spec)))
        except ShapeError as exc:
            collect(exc.path, m.WRONG_TYPE.fill(expected=exc.expected, found="something else"))
    else:
        collect(("ignition", "version"), spec)
    raise IgnitionError(collect.report())


def merge(parent: Config, child: Config) -> dict[str, Any]:
    """``child`` merged over ``parent`` by the rules of ``ignition.config.merge``, in the newer of the two specs.

    The arguments are not changed. As in Ignition, two valid configs may give an invalid one: validate the result.

    Raises:
        IgnitionError: an argument is not an Ignition config.
    """
    merged = merge_sourced(Sourced(ignition=parent), Sourced(ignition=child))
    assert isinstance(merged.ignition, dict)
    return merged.ignition


def merge_sourced(parent: Sourced, child: Sourced) -> Sourced:
    """Like :func:`merge`; each field of the result keeps the place it came from.

    Raises:
        IgnitionError: an argument is not an Ignition config.
    """
    (spec_p, tree_p), (spec_c, tree_c) = read(parent.ignition, "<parent>"), read(child.ignition, "<child>")
    spec = max(spec_p, spec_c)
    scope = view(Level(spec))
    sources: dict[Path, Location] = {}
    given = {"parent": parent.sources, "child": child.sources}
    from_child: set[Path] = set()

    def record(side: Side, at: Path, to: Path) -> None:
        location = given[side].get(at)
        if location is None or (side == "parent" and to in from_child):
            return
        if side == "child":
            from_child.add(to)
        sources[to] = location

    tree = merge_trees(upgrade(tree_p, spec_p, spec), upgrade(tree_c, spec_c, spec), scope, record)
    return Sourced(ignition=emit(tree, scope), sources=sources)


# -- older specs -------------------------------------------------------------------------------------------------------


def upgrade(tree: Tree, spec: int, to: int) -> Tree:
    """A config in normal form brought from one spec to a newer one; ``tree`` may be changed."""
    for step in range(spec, to):
        if convert := _STEPS.get(step):
            convert(tree)
    tree.setdefault("ignition", {})["version"] = spec_version(to)
    return tree


def _from_0(tree: Tree) -> None:
    for reference in tree["ignition"].get("security", {}).get("tls", {}).get("certificateAuthorities") or ():
        reference.setdefault("source", "")


def _from_2(tree: Tree) -> None:
    """Pointers to structs became structs, and required scalars became optional ones."""
    storage = tree.get("storage", {})
    for raid in storage.get("raid") or ():
        raid.setdefault("level", "")
    for link in storage.get("links") or ():
        link.setdefault("target", "")
    for luks in storage.get("luks") or ():
        clevis = luks.get("clevis")
        if clevis and "custom" in clevis:
            clevis["custom"].setdefault("config", "")
            clevis["custom"].setdefault("pin", "")
        elif clevis is not None and not clevis:
            del luks["clevis"]


def _from_5(tree: Tree) -> None:
    """Special mode bits had no effect and must not gain one."""
    for kind in ("files", "directories"):
        for node in tree.get("storage", {}).get(kind) or ():
            if "mode" in node:
                node["mode"] &= ~0o7000


_STEPS = {0: _from_0, 2: _from_2, 5: _from_5}


def embedded_problems(text: str, scope: View) -> list[tuple[Problem, Severity]]:
    """What is wrong with a config that another embeds literally in ``ignition.config``."""
    import json

    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as exc:
        return [(m.EMBEDDED_CONFIG.fill(detail=str(exc)), Severity.ERROR)]
    try:
        tree = normalize(raw, scope)
    except ShapeError as exc:
        return [(m.EMBEDDED_CONFIG.fill(detail=f"{path_text(exc.path)}: {exc.expected} expected"), Severity.ERROR)]
    version = tree.get("ignition", {}).get("version", "")
    if version != spec_version(scope.level.spec) and _SEMVER.fullmatch(version):
        return [(m.EMBEDDED_VERSION, Severity.WARNING)]
    collect = _Collector(Document("", raw))
    if not _SEMVER.fullmatch(version):
        collect(("ignition", "version"), m.CONFIG_VERSION.fill(version=version))
    unused_json(raw, scope, lambda path, problem: collect(path, problem, Severity.WARNING))
    Checker(scope, collect).run(tree)
    return [(m.EMBEDDED_CONFIG.fill(detail=f"{e.path}: {e.text}"), e.severity) for e in collect.report()]
