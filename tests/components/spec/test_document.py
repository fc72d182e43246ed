"""One description of the document: the shipped schema and the typed arguments agree with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import yaml
from jsonschema import Draft202012Validator

from firestorm.spec import parse
from firestorm.spec.args import ClusterArgs
from firestorm.spec.document import DOCUMENT, ListOf, MapOf, Record, Type, Whole
from firestorm.spec.schema import SCHEMA_FILE, cluster_schema, schema_text

BAD: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("bad_specs.yaml").read_text(encoding="utf-8"))


def test_the_shipped_schema_is_up_to_date() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run python -m firestorm.spec.schema"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(cluster_schema())


def test_every_field_has_a_description() -> None:
    def described(schema: Any) -> None:
        for name, field in schema.get("properties", {}).items():
            assert field["description"].endswith("."), name

    described(cluster_schema())
    for definition in cluster_schema()["$defs"].values():
        described(definition)


def test_the_defaults_written_out_are_the_defaults() -> None:
    def written(record: Record) -> dict[str, object]:
        document: dict[str, object] = {}
        for field in record.fields:
            if isinstance(field.type, Record) and field.default is not None:
                document[field.name] = written(field.type)
            elif field.default is not None:
                document[field.name] = field.default
        return document

    document = {**written(DOCUMENT), "name": "dev"}
    assert parse(document) == parse({"name": "dev"})
    Draft202012Validator(cluster_schema()).validate(document)


@pytest.mark.parametrize("case", BAD, ids=[case["id"] for case in BAD])
def test_the_checks_have_better_words_than_the_schema(case: dict[str, Any]) -> None:
    assert "which the schema refuses" not in case["expected"]


def _fields(arguments: Any) -> dict[str, Any]:
    return get_type_hints(arguments)


def _agrees(kind: Type, hint: Any, where: str) -> None:
    match kind:
        case Record():
            fields = _fields(hint)
            assert set(fields) == {field.name for field in kind.fields}, where
            assert hint.__required_keys__ == {field.name for field in kind.fields if field.required}, where
            for field in kind.fields:
                _agrees(field.type, fields[field.name], f"{where}.{field.name}")
        case ListOf(item=item):
            assert get_origin(hint) is list, where
            _agrees(item, get_args(hint)[0], f"{where}[]")
        case MapOf():
            assert hint == dict[str, str], where
        case Whole():
            assert hint is int, where
        case _:
            assert hint is str, where


def test_the_typed_arguments_mirror_the_document() -> None:
    _agrees(DOCUMENT, ClusterArgs, "ClusterArgs")
