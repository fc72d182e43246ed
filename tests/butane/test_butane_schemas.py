"""The JSON Schemas: valid as schemas, as shipped, and of one mind with the compiler about the shape of configs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from firestorm_butane import scalars, translate
from firestorm_butane.descriptions import DESCRIPTIONS, describe
from firestorm_butane.schemas import FOLDER, INDEX, file_name, files, json_schema
from firestorm_butane.variants import VERSIONS, Version
from firestorm_butane.yamltree import MappingNode, Node, ScalarNode, SequenceNode, parse
from tests.butane.butane_generator import Generator

CONFIGS = 25
SHAPE = {"wrong-type", "unused-key"}
BROKEN = {"yaml-syntax", "duplicate-key", "yaml-tag", "key-type"}


def plain(node: Node | None) -> Any:
    """A document as an editor's YAML support hands it to a schema."""
    if isinstance(node, MappingNode):
        return {key.value if isinstance(key, ScalarNode) else "?": plain(value) for key, value in node.pairs}
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.items]
    assert isinstance(node, ScalarNode)
    kind, value = scalars.resolve(node.tag, node.value, plain=node.plain)
    return node.value if kind == scalars.TIMESTAMP else value


def validator(version: Version) -> Draft202012Validator:
    return Draft202012Validator(json.loads((FOLDER / file_name(version.variant, version.version)).read_text()))


def schema_errors(schema: Draft202012Validator, text: str) -> list[str]:
    """What the schema has against a config's shape; a section that is missing altogether has no place."""
    return [
        f"{error.json_path}: {error.message[:200]}"
        for error in schema.iter_errors(plain(parse(text)))
        if error.absolute_path or error.validator != "required"
    ]


def test_what_ships_is_what_the_table_gives() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == files(), (
        "run python -m firestorm_butane.schemas"
    )


@pytest.mark.parametrize("name", [file_name(*key) for key in VERSIONS] + [INDEX])
def test_each_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(json.loads((FOLDER / name).read_text()))


def test_every_description_is_of_a_field() -> None:
    used = set()
    for version in VERSIONS:
        schema = json_schema(*version)
        for struct, definition in {**schema["$defs"], "Config": schema}.items():
            for key in definition.get("properties", {}):
                describe(struct, key)
                used.add(f"{struct}.{key}" if f"{struct}.{key}" in DESCRIPTIONS else f"*.{key}")
    assert used == set(DESCRIPTIONS)


@pytest.mark.parametrize("version", VERSIONS.values(), ids=lambda v: f"{v.variant}-{v.version}")
def test_generated_configs(version: Version, files_dir: Path) -> None:
    schema = validator(version)
    for seed in range(CONFIGS):
        text = Generator(version, seed).text()
        report = translate(text, files_dir=files_dir, raw=True).report
        codes = {message.code for message in report}
        if codes & BROKEN or (version.variant == "openshift" and "metadata:" not in text):
            continue
        errors = schema_errors(schema, text)
        if codes & SHAPE:
            assert errors, f"seed {seed}: accepted in spite of\n{report}\n{text}"
        else:
            assert not errors, f"seed {seed}: {errors}\n{text}"


def test_the_index_chooses_by_variant_and_version() -> None:
    resources = {name: Resource.from_contents(json.loads(text)) for name, text in files().items()}
    schema = Draft202012Validator(resources[INDEX].contents, registry=Registry().with_resources(resources.items()))
    good = {"variant": "fcos", "version": "1.7.0", "storage": {"trees": [{"local": "a", "file_mode": 384}]}}
    assert schema.is_valid(good)
    assert not schema.is_valid(good | {"version": "1.6.0"})
    assert not schema.is_valid(good | {"version": "1.9.0"})
    assert not schema.is_valid(good | {"variant": "coreos"})
    assert not schema.is_valid({"variant": "fcos"})
