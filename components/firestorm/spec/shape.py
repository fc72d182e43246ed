"""The shape of a document: is each field there, known, of its type? Judged by the JSON Schema, said in our words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from firestorm.spec.document import DOCUMENT, ListOf, Record, Type
from firestorm.spec.problems import Problems, nearest, shown
from firestorm.spec.source import FieldPath

_NAMES = {
    "string": "text",
    "integer": "a whole number",
    "object": "a map",
    "array": "a list",
}
#: Judged again, and more helpfully, by the checks on values; reported from here only where those said nothing.
_VALUE_KEYWORDS = frozenset({"pattern", "enum", "minimum", "maximum"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One objection of the JSON Schema: which keyword, with which value, to what."""

    path: FieldPath
    keyword: str
    value: Any
    instance: Any


@cache
def _validator() -> Draft202012Validator:
    from firestorm.spec.schema import cluster_schema  # not earlier: `python -m firestorm.spec.schema` is run, too

    return Draft202012Validator(cluster_schema())


def findings(data: object) -> tuple[Finding, ...]:
    """What the JSON Schema objects to, with the alternatives of a nullable reference resolved."""
    return tuple(
        Finding(
            path=tuple(error.absolute_path),
            keyword=str(error.validator),
            value=error.validator_value,
            instance=error.instance,
        )
        for error in _leaves(_validator().iter_errors(data))
    )


def _leaves(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    for error in errors:
        if error.validator != "anyOf":
            yield error
            continue
        # The one alternative beside null; null itself never comes here, since `Plain` drops it.
        yield from _leaves(part for part in error.context or () if part.relative_schema_path[0] == 0)


def report_structure(found: Sequence[Finding], problems: Problems) -> None:
    """Reports types, unknown fields and missing fields, and marks what cannot be read."""
    for finding in found:
        match finding.keyword:
            case "type":
                _wrong_type(finding, problems)
            case "additionalProperties":
                _unknown_fields(finding, problems)
            case "required":
                _missing_fields(finding, problems)


def report_values(found: Sequence[Finding], problems: Problems) -> None:
    """Reports what the schema alone objects to, after the checks on values have spoken."""
    for finding in found:
        if finding.keyword in _VALUE_KEYWORDS and not problems.about(finding.path):
            problems.add(
                finding.path, f"is {shown(finding.instance)}, which the schema refuses", _schema_remedy(finding)
            )


def _schema_remedy(finding: Finding) -> str:
    match finding.keyword:
        case "enum":
            return f"choose one of {', '.join(str(item) for item in finding.value if item is not None)}"
        case "minimum":
            return f"give at least {finding.value}"
        case "maximum":
            return f"give at most {finding.value}"
        case _:
            return f"it must match {finding.value}"


def _wrong_type(finding: Finding, problems: Problems) -> None:
    wanted = [finding.value] if isinstance(finding.value, str) else list(finding.value)
    value = finding.instance
    remedy = ""
    if "string" in wanted and isinstance(value, (bool, int, float)):
        remedy = "write it in quotes"  # the value itself may have been 010, 1.30 or off
    elif isinstance(value, str) and "integer" in wanted and value.strip().isdecimal():
        remedy = f"write {value.strip()}, without quotes"
    names = " or ".join(_NAMES[name] for name in wanted if name != "null")
    problems.add_broken(finding.path, f"must be {names}, not {_described(value)}", remedy)


def _described(value: object) -> str:
    match value:
        case dict():
            return "a map"
        case list():
            return "a list"
        case str():
            return f"the text {shown(value)}"
        case _:
            return shown(value)


def _unknown_fields(finding: Finding, problems: Problems) -> None:
    record = _record_at(finding.path)
    known = [field.name for field in record.fields]
    for key in finding.instance:
        path = (*finding.path, key)
        if key in record.planned:
            problems.add(path, record.planned[key], f"available here: {', '.join(known)}")
        elif key not in known:
            problems.add(path, "is not a field of the document", nearest(key, known))


def _missing_fields(finding: Finding, problems: Problems) -> None:
    record = _record_at(finding.path)
    for name in finding.value:
        if name not in finding.instance:
            about = record.field(name).description.rstrip(".")
            problems.add_broken((*finding.path, name), "is missing", f"give {about[:1].lower()}{about[1:]}")


def _record_at(path: FieldPath) -> Record:
    """The record that the table has at `path`; only records know fields."""
    kind: Type = DOCUMENT
    for part in path:
        if isinstance(kind, ListOf):
            kind = kind.item
        elif isinstance(kind, Record):
            kind = kind.field(str(part)).type
    if not isinstance(kind, Record):
        raise TypeError(f"the table has no record at {path}")
    return kind
