"""JSON Schemas (draft 2020-12) of every variant and version, from the field table.

They describe the shape of a config, for editors and other tools; what a shape cannot say, the compiler checks. They
ship as files below ``schemas/``; ``python -m firestorm_butane.schemas`` writes them anew.

YAML reads ``12`` as a number and ``yes`` as a string where the compiler wants a string and a boolean: the schemas allow
what the compiler does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .descriptions import describe
from .schema import Field, Scalar, Shape, View, view
from .variants import VERSIONS, Version

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path(__file__).parent / "schemas"
INDEX = "butane.json"
"""The schema for all variants and versions, which chooses by what the config says."""

_DEFINITIONS: dict[str, dict[str, Any]] = {
    "string": {"type": ["string", "number", "boolean", "null"]},
    "integer": {"type": ["number", "null"]},
    "boolean": {
        "type": ["boolean", "string", "null"],
        "pattern": "^([yY]|yes|Yes|YES|on|On|ON|[nN]|no|No|NO|off|Off|OFF)$",
    },
    "Labels": {"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/string"}},
}


def json_schema(variant: str, version: str) -> dict[str, Any]:
    """The schema of one version.

    Raises:
        KeyError: there is no such version.
    """
    found = VERSIONS[variant, version]
    scope = view(found.level)
    definitions = {name: value for name, value in _DEFINITIONS.items() if name != "Labels"}
    root = _struct("Config", scope, found, definitions)
    root["properties"] |= {"variant": {"const": variant}, "version": {"const": version}}
    root["type"] = "object"
    root["required"] = ["variant", "version", *(["metadata"] if variant == "openshift" else [])]
    marked = " (experimental: its format may still change)" if found.experimental else ""
    return {
        "$schema": DIALECT,
        "title": f"Butane, {variant} {version}{marked}",
        "description": f"Compiles to Ignition {found.ignition}.",
        **root,
        "$defs": definitions,
    }


def _struct(of: str, scope: View, version: Version, definitions: dict[str, Any]) -> dict[str, Any]:
    properties = {key: _field(of, field, scope, version, definitions) for key, field in scope.butane[of].items()}
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _field(of: str, field: Field, scope: View, version: Version, definitions: dict[str, Any]) -> dict[str, Any]:
    value = _reference(field.of, scope, version, definitions)
    if field.shape is Shape.LIST:
        value = {"type": ["array", "null"], "items": value}
    text, default = describe(of, field.key)
    return {"description": text, **({"default": default[0]} if default else {}), **value}


def _reference(of: Scalar | str, scope: View, version: Version, definitions: dict[str, Any]) -> dict[str, Any]:
    if isinstance(of, Scalar):
        return {"$ref": f"#/$defs/{of.value}"}
    if of in _DEFINITIONS:
        definitions[of] = _DEFINITIONS[of]
    elif of not in definitions:
        definitions[of] = {}  # structs do not contain themselves, but this is what would stop the recursion
        definitions[of] = _struct(of, scope, version, definitions)
    return {"$ref": f"#/$defs/{of}"}


def index() -> dict[str, Any]:
    """The schema that refers to all others, by file name."""
    variants = list(dict.fromkeys(variant for variant, _ in VERSIONS))
    return {
        "$schema": DIALECT,
        "title": "Butane",
        "type": "object",
        "required": ["variant", "version"],
        "properties": {"variant": {"enum": variants}},
        "allOf": [_of_variant(variant) for variant in variants],
    }


def _of_variant(variant: str) -> dict[str, Any]:
    versions = [version for of, version in VERSIONS if of == variant]
    return {
        "if": {"properties": {"variant": {"const": variant}}},
        "then": {
            "properties": {"version": {"enum": versions}},
            "allOf": [
                {
                    "if": {"properties": {"version": {"const": version}}},
                    "then": {"$ref": file_name(variant, version)},
                }
                for version in versions
            ],
        },
    }


def file_name(variant: str, version: str) -> str:
    """Of a version's schema, below :data:`FOLDER`."""
    return f"{variant}-{version}.json"


def files() -> dict[str, str]:
    """Every schema's text by its file name."""
    made = {file_name(*key): json_schema(*key) for key in VERSIONS} | {INDEX: index()}
    return {name: json.dumps(schema, separators=(",", ":"), ensure_ascii=False) + "\n" for name, schema in made.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
