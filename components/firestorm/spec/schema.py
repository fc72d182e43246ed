"""The JSON Schema (2020-12) of a cluster document, made from the table in `document`.

`python -m firestorm.spec.schema` writes it to `cluster.schema.json`, which ships with the package for editors.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from firestorm.spec.document import DOCUMENT, Choice, Field, ListOf, MapOf, Quantity, Record, Text, Type, Whole

SCHEMA_FILE = Path(__file__).with_name("cluster.schema.json")


@cache
def cluster_schema() -> dict[str, Any]:
    """The schema as plain data. Callers must not change it."""
    definitions: dict[str, Any] = {}
    body = _record(DOCUMENT, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Firestorm cluster",
        **body,
        "$defs": definitions,
    }


def schema_text() -> str:
    """The schema file's content."""
    return json.dumps(cluster_schema(), indent=2) + "\n"


def _record(record: Record, definitions: dict[str, Any]) -> dict[str, Any]:
    required = [field.name for field in record.fields if field.required]
    body: dict[str, Any] = {
        "description": record.description,
        "type": ["string", "object"] if record.text else "object",
        "properties": {field.name: _field(field, definitions) for field in record.fields},
        "additionalProperties": False,
    }
    if record.text and record.text.examples:
        body["examples"] = list(record.text.examples)
    if required:
        body["required"] = required
    return body


def _field(field: Field, definitions: dict[str, Any]) -> dict[str, Any]:
    body = {**_type(field.type, definitions), "description": field.description}
    if field.default is not None:
        body["default"] = field.default
    if not field.required:
        body = _nullable(body)
    return body


def _nullable(body: dict[str, Any]) -> dict[str, Any]:
    """An optional field may be null, which means its default."""
    if "$ref" in body:
        return {"anyOf": [{"$ref": body.pop("$ref")}, {"type": "null"}], **body}
    if "enum" in body:
        body["enum"] = [*body["enum"], None]
    kinds = body["type"] if isinstance(body["type"], list) else [body["type"]]
    return {**body, "type": [*kinds, "null"]}


def _type(kind: Type, definitions: dict[str, Any]) -> dict[str, Any]:
    match kind:
        case Text(pattern=pattern, examples=examples):
            return {
                "type": "string",
                **({"pattern": pattern} if pattern else {}),
                **({"examples": list(examples)} if examples else {}),
            }
        case Whole(minimum=minimum, maximum=maximum):
            return {
                "type": "integer",
                "minimum": minimum,
                **({"maximum": maximum} if maximum is not None else {}),
            }
        case Choice(values=values):
            return {"type": "string", "enum": list(values)}
        case Quantity():
            return {"type": ["integer", "string"], "pattern": kind.pattern, "minimum": 1}
        case ListOf(item=item):
            return {"type": "array", "items": _type(item, definitions)}
        case MapOf(examples=examples):
            return {
                "type": "object",
                "additionalProperties": {"type": "string"},
                **({"examples": list(examples)} if examples else {}),
            }
        case Record(name=name):
            if name not in definitions:
                definitions[name] = {}
                definitions[name] = _record(kind, definitions)
            return {"$ref": f"#/$defs/{name}"}


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
