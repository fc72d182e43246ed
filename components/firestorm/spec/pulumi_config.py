"""From a Pulumi configuration, whose values are strings, to a document."""

from __future__ import annotations

import json
from collections.abc import Mapping

from firestorm.errors import Problem, SpecError
from firestorm.spec.document import DOCUMENT, ListOf, MapOf, Record, Type, Whole
from firestorm.spec.host import HostFacts
from firestorm.spec.model import ClusterSpec
from firestorm.spec.parse import parse
from firestorm.spec.source import Source

CONFIG = "Pulumi config"


def from_config(
    config: Mapping[str, object], *, source: Source | str | None = CONFIG, host: HostFacts | None = None
) -> ClusterSpec:
    """The specification in a Pulumi configuration's keys, their namespace stripped.

    A field that is a map, a list or a number may be its JSON text, as `pulumi config set` and `Config.get` have it.

    Raises:
        SpecError: with every problem, also where a value is not JSON.
    """
    origin = source if isinstance(source, Source) else Source(name=source)
    document, problems = _document(config, origin)
    try:
        spec = parse(document, source=origin, host=host)
    except SpecError as error:
        raise SpecError((*problems, *error.problems)) from None
    if problems:
        raise SpecError(problems)
    return spec


def document_from_config(config: Mapping[str, object]) -> dict[str, object]:
    """The document in a Pulumi configuration's keys: what `cluster.yaml` would hold, not yet checked.

    Raises:
        SpecError: where a value is not JSON.
    """
    document, problems = _document(config, Source(name=CONFIG))
    if problems:
        raise SpecError(problems)
    return document


def _document(config: Mapping[str, object], origin: Source) -> tuple[dict[str, object], list[Problem]]:
    document: dict[str, object] = {}
    problems: list[Problem] = []
    kinds = {field.name: field.type for field in DOCUMENT.fields}
    for name, value in config.items():
        key = name.rpartition(":")[2] if isinstance(name, str) else name
        try:
            document[key] = _decoded(value, kinds.get(key))
        except ValueError as error:
            remedy = "set it as an object with pulumi config set --path, or as JSON"
            problems.append(
                Problem(path=str(key), text=f"is not JSON: {error}", remedy=remedy, location=origin.locate(()))
            )
    return document, problems


def _decoded(value: object, kind: Type | None) -> object:
    structured = isinstance(kind, (ListOf, MapOf, Record))
    if not isinstance(value, str) or not (structured or isinstance(kind, Whole)):
        return value
    if not structured and not value.strip().lstrip("-").isdecimal():
        return value
    try:
        return json.loads(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
