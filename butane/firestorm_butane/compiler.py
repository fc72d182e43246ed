"""The way from a Butane text to an Ignition config."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import messages as m
from . import openshift
from .boot_device import add_boot_device, add_grub, check_partitions
from .checks import Checker
from .decode import Decoder, UnsafeError
from .files import Files
from .ignition import embedded_problems
from .messages import Problem
from .model import emit, is_empty
from .mounts import mount_units
from .quadlets import add_quadlets
from .report import Location, Message, Report, Severity, arrange, path_text
from .result import Result, locate, trace
from .rules import Rules
from .schema import Level, Path, Shape, Tree, View, view
from .sugar import Base, Draft, merged
from .trees import add_trees
from .unused import check_unused
from .variants import COMPRESSION, VERSIONS, Version, canonical, known_versions
from .yamltree import Node, YamlError, parse

if TYPE_CHECKING:
    from pathlib import Path as OsPath  # who has none to give need not wait for it to load


class _StopError(Exception):
    """Errors so far make the next step meaningless."""


class _Compilation:
    def __init__(self, name: str, files: Files, *, raw: bool, compress: bool) -> None:
        self.name = name
        self.files = files
        self.raw = raw
        self.compress = compress
        self.machine_config: dict[str, Any] | None = None
        self.version = Version("", "", Level(0))
        self.messages: list[Message] = []
        self.root: Node | None = None
        self.origin: Mapping[Path, Path] = {}

    # -- messages ----------------------------------------------------------------------------------------------------

    def say(self, path: Path, location: Location, problem: Problem, severity: Severity) -> None:
        self.messages.append(
            Message(
                severity=severity,
                code=problem.code,
                path=path_text(path),
                location=location,
                text=problem.text,
                remedy=problem.remedy,
            )
        )

    def error(self, path: Path, problem: Problem) -> None:
        self.at_source(path, problem, Severity.ERROR)

    def at_source(self, path: Path, problem: Problem, severity: Severity) -> None:
        self.say(path, locate(self.root, path, self.name), problem, severity)

    def at_node(self, path: Path, node: Node, problem: Problem) -> None:
        self.say(path, Location(self.name, node.line, node.column), problem, Severity.ERROR)

    def warn_node(self, path: Path, node: Node, problem: Problem) -> None:
        self.say(path, Location(self.name, node.line, node.column), problem, Severity.WARNING)

    def at_output(self, path: Path, problem: Problem, severity: Severity) -> None:
        self.at_source(trace(path, self.origin), problem, severity)

    def stop_on_error(self) -> None:
        if any(message.severity is Severity.ERROR for message in self.messages):
            raise _StopError

    # -- steps -------------------------------------------------------------------------------------------------------

    def run(self, source: str) -> dict[str, Any]:
        """The compiled config.

        Raises:
            _StopError: after at least one error.
        """
        self.parse(source)
        self.version = self.choose_version()
        scope = view(self.version.level)
        document = self.decode(scope)
        Rules(scope, self.at_source, lambda text, path: self.embedded(text, path, scope)).run(document)
        self.stop_on_error()
        draft = self.desugar(document, scope)
        self.origin = draft.origin
        wrap = self.version.variant == "openshift" and not self.raw
        if wrap or self.version.variant != "openshift":
            self.filter(draft.tree, scope)
        if wrap:
            openshift.check_machine_config(document, self.at_source)
        Checker(scope, self.at_output).run(draft.tree)
        self.stop_on_error()
        config = emit(draft.tree, scope)
        if wrap:
            self.machine_config = openshift.machine_config(document, config)
        return config

    def parse(self, source: str) -> None:
        try:
            self.root = parse(source)
        except YamlError as exc:
            place = Location(self.name, exc.line, exc.column)
            self.say((), place, m.YAML_SYNTAX.fill(detail=exc.text), Severity.ERROR)
            raise _StopError from exc

    def choose_version(self) -> Version:
        decoder = Decoder(view(Level(0)), self.at_node)
        try:
            common = decoder.common(self.root)
        except UnsafeError as exc:
            self.at_node((), exc.node, exc.problem)
            raise _StopError from exc
        self.stop_on_error()
        variant, version = common.get("variant", ""), canonical(common.get("version", ""))
        if not variant:
            self.error(("variant",), m.NO_VARIANT)
        elif version is None:
            self.error(("version",), m.BAD_VERSION)
        elif (variant, version) == ("rhcos", "0.1.0"):
            self.error(("variant",), m.RHCOS_REMOVED)
        elif found := VERSIONS.get((variant, version)):
            return found
        else:
            problem = m.UNKNOWN_VERSION.fill(variant=variant, version=version, known=known_versions(variant))
            self.error(("version",), problem)
        raise _StopError

    def decode(self, scope: View) -> Tree:
        try:
            document = Decoder(scope, self.at_node).document(self.root)
        except UnsafeError as exc:
            self.at_node((), exc.node, exc.problem)
            raise _StopError from exc
        check_unused(self.root, document, scope, self.warn_node)
        self.stop_on_error()
        return document

    def embedded(self, text: str, path: Path, scope: View) -> None:
        for problem, severity in embedded_problems(text, scope):
            self.at_source(path, problem, severity)

    def desugar(self, document: Tree, scope: View) -> Draft:
        base = Base(scope, self.files, self.at_source, compress=self.compress and self.version.compresses)
        draft = base.translate(document)
        units = mount_units(document, spec=scope.level.spec)
        if units.tree:
            draft = merged(units, draft, scope)
        add_trees(base, document, draft)
        add_quadlets(base, document, draft)
        self.stop_on_error()
        if scope.level.fcos >= 0:
            draft = add_boot_device(base, document, draft)
            self.origin = draft.origin
            check_partitions(draft.tree, scope.level, self.at_output)
            draft = add_grub(base, document, draft)
        if scope.level.openshift >= 0:
            self.adapt_to_openshift(document, draft, scope)
        return draft

    def adapt_to_openshift(self, document: Tree, draft: Draft, scope: View) -> None:
        self.origin = draft.origin
        openshift.adapt(document, draft, scope)
        openshift.check_config(draft.tree, scope, self.at_output)
        if self.raw:
            openshift.warn_elided(document, self.at_source)
        self.stop_on_error()

    def filter(self, tree: Tree, scope: View) -> None:
        """What the variant forbids must be empty."""
        if self.version.forbidden:
            self._filter(tree, "Config", (), (), scope)
            self.stop_on_error()

    def _filter(self, value: Tree, of: str, path: Path, pattern: Path, scope: View) -> None:
        fields = scope.ignition[of]
        for name, item in value.items():
            at, shape = (*path, name), (*pattern, name)
            field_ = fields[name]
            if problem := self.version.forbidden.get(shape):
                # Sugar writes the empty word for "not compressed".
                if not is_empty(item, field_, scope) and (item != "" or shape != COMPRESSION):
                    self.at_output(at, problem, Severity.ERROR)
            elif isinstance(field_.of, str):
                if field_.shape is Shape.STRUCT:
                    self._filter(item, field_.of, at, shape, scope)
                else:
                    for i, entry in enumerate(item):
                        self._filter(entry, field_.of, (*at, i), shape, scope)


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Looking for cycles among a large text's nodes and messages, which have none, takes a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def translate(
    source: str,
    *,
    name: str = "<stdin>",
    files: Mapping[str, bytes | str] | None = None,
    files_dir: OsPath | None = None,
    strict: bool = False,
    raw: bool = False,
    compress: bool = True,
) -> Result:
    """Compiles a Butane config to an Ignition config.

    Args:
        source: The Butane text.
        name: What messages and sources call it.
        files: Contents of local files by path relative to the files directory; they take precedence over ``files_dir``.
        files_dir: The directory that ``local``, ``contents_local`` and trees are relative to.
        strict: Treat warnings as errors.
        raw: Never wrap the config in a MachineConfig (variant ``openshift``).
        compress: Compress contents where that makes their data URL shorter, as the reference does. Without it
            compilation is several times as fast where contents are new, and its output can be read.

    Never raises for what the user wrote: every problem is a message of the result's report.
    """
    compilation = _Compilation(name, Files(files, files_dir), raw=raw, compress=compress)
    config: dict[str, Any] | None = None
    with _collector_at_rest():
        with contextlib.suppress(_StopError):
            config = compilation.run(source)
        messages = arrange(compilation.messages)
    if strict and messages:
        config = compilation.machine_config = None
        messages = tuple(replace(message, severity=Severity.ERROR) for message in messages)
    report = Report(messages, {name: source.split("\n")})
    return Result(
        ignition=config,
        report=report,
        machine_config=compilation.machine_config,
        experimental=compilation.version.experimental,
        _root=compilation.root,
        _origin=compilation.origin,
        _name=name,
    )
