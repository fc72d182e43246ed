"""The reference of a cluster document in Markdown, made from the table in `document`.

`python -m firestorm.spec.reference` prints it; docs/cluster.md holds it, which a test holds true.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from firestorm.spec.document import DOCUMENT, Choice, Field, ListOf, MapOf, Quantity, Record, Text, Type, Whole


def reference() -> str:
    """A section per record, the document itself first, each with a table of its fields."""
    return "\n".join(_section(record) for record in _records(DOCUMENT, []))


def _records(record: Record, seen: list[Record]) -> list[Record]:
    """`record` and all that it refers to, in the order of the document."""
    if record not in seen:
        seen.append(record)
        for field in record.fields:
            for inner in _inner(field.type):
                _records(inner, seen)
    return seen


def _inner(kind: Type) -> Iterator[Record]:
    if isinstance(kind, ListOf):
        yield from _inner(kind.item)
    elif isinstance(kind, Record):
        yield kind


def _section(record: Record) -> str:
    rows = [_row(field) for field in record.fields]
    table = ["| Field | Type | Default | Meaning |", "| --- | --- | --- | --- |", *rows]
    return "\n".join([f"### {record.name}", "", record.description, "", *table, ""])


def _row(field: Field) -> str:
    cells = (f"`{field.name}`", _type(field.type), _default(field), field.description)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "\\<") for cell in cells) + " |"


def _default(field: Field) -> str:
    if field.required:
        return "required"
    if field.default is None or (isinstance(field.type, Record) and field.default == {}):
        return ""
    text = field.default if isinstance(field.default, str) else json.dumps(field.default)
    return f"`{text}`" if text else "empty"


def _type(kind: Type) -> str:
    match kind:
        case Text(examples=examples):
            return "text" + (f", such as {_code(examples, 'or')}" if examples else "")
        case Whole(minimum=minimum, maximum=None):
            return f"whole number, {minimum} or more"
        case Whole(minimum=minimum, maximum=maximum):
            return f"whole number, {minimum} to {maximum}"
        case Choice(values=values):
            return _code(values, "or")
        case Quantity():
            return f"number with {_code(tuple(kind.units), 'or')}"
        case MapOf(key=key):
            return f"map of {key} to text"
        case ListOf(item=item):
            return f"list of {_type(item)}"
        case Record(name=name, text=text):
            link = f"[{name}](#{name.lower()})"
            return f"{link}, or text such as {_code(text.examples, 'or')}" if text else link


def _code(values: tuple[str, ...], conjunction: str) -> str:
    *first, last = [f"`{value}`" for value in values]
    return f"{', '.join(first)} {conjunction} {last}" if first else last


if __name__ == "__main__":
    print(reference(), end="")
