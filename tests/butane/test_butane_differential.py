"""The compiler against the reference: generated configs of every variant and version, valid and invalid.

Compared are the output to the byte, the verdict, and of each message the severity, path, line and column. The only
differences allowed are those of the table in docs/butane.md (agreement.py). What both accept, the JSON Schema accepts,
unless it holds unknown keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from firestorm_butane import Result, messages, translate
from firestorm_butane.schema import Shape, view
from firestorm_butane.variants import VERSIONS, Version
from tests.butane.agreement import difference
from tests.butane.butane_generator import Generator
from tests.butane.references import Reference
from tests.butane.test_butane_rules import CASES
from tests.butane.test_butane_schemas import schema_errors, validator

LONG = 20_000 // len(VERSIONS) + 1
SHORT = 20

Fields = set[tuple[str, str]]
"""By struct and key."""

every_version = pytest.mark.parametrize("version", VERSIONS.values(), ids=lambda v: f"{v.variant}-{v.version}")


@dataclass(slots=True)
class Seen:
    """What the configs of one version held, and what was said about them."""

    accepted: Fields = field(default_factory=set)
    rejected: Fields = field(default_factory=set)
    codes: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    text: str
    files_dir: Path | None = None
    raw: bool = False
    pretty: bool = False

    def request(self) -> dict[str, Any]:
        directory = str(self.files_dir) if self.files_dir else ""
        return {
            "do": "translate",
            "source": self.text,
            "files_dir": directory,
            "raw": self.raw,
            "pretty": self.pretty,
        }


def compare(reference: Reference, cases: list[Case]) -> Iterator[tuple[Case, Result]]:
    """Each case and its result, in order; fails at the end with the first difference."""
    found: list[str] = []
    for case, answer in zip(cases, reference.ask([case.request() for case in cases]), strict=True):
        result = translate(case.text, files_dir=case.files_dir, raw=case.raw)
        if differs := difference(result, answer, pretty=case.pretty):
            found.append(f"{case.name}: {differs}\n--- config:\n{case.text}")
        yield case, result
    assert not found, f"{len(found)} of {len(cases)} differ; the first:\n{found[0]}"


def compare_generated(reference: Reference, version: Version, seeds: range, files_dir: Path) -> Seen:
    generators = {f"seed {seed}": Generator(version, seed) for seed in seeds}
    cases = [
        Case(
            name,
            generator.text(),
            files_dir=None if seed % 16 == 15 else files_dir,
            raw=version.variant == "openshift" and seed % 3 == 0,
            pretty=seed % 5 == 0,
        )
        for seed, (name, generator) in zip(seeds, generators.items(), strict=True)
    ]
    seen = Seen()
    schema = validator(version)
    for case, result in compare(reference, cases):
        codes = {message.code for message in result.report}
        if result.ignition is not None:
            against = schema_errors(schema, case.text)
            assert bool(against) == ("unused-key" in codes), (
                f"{case.name}: the schema has {against} against\n{case.text}"
            )
        held = seen.rejected if result.ignition is None else seen.accepted
        held |= generators[case.name].fields
        seen.codes |= codes
    return seen


@every_version
def test_generated_configs_compile_as_by_the_reference(version: Version, reference: Reference, files_dir: Path) -> None:
    compare_generated(reference, version, range(SHORT), files_dir)


@every_version
def test_every_field_of_the_wrong_shape_is_rejected_as_by_the_reference(version: Version, reference: Reference) -> None:
    cases = [
        Case(f"{'.'.join(path)}: {wrong}", nested(version, path, wrong))
        for path, shape in reachable(version, "Config", ())
        for wrong in (("[[]]", "{a: b}") if shape is Shape.SCALAR else ("word", "3", "[[word]]"))
    ]
    schema = validator(version)
    for case, result in compare(reference, cases):
        assert "wrong-type" in {message.code for message in result.report.errors}, case.name
        assert schema_errors(schema, case.text), f"the schema accepts {case.name}"


@every_version
def test_every_field_without_a_value_is_absent_as_for_the_reference(version: Version, reference: Reference) -> None:
    paths = [path for path, _ in reachable(version, "Config", ())]
    for _ in compare(reference, [Case(".".join(path), nested(version, path, "~")) for path in paths]):
        pass


@pytest.fixture(scope="module")
def seen_by_version() -> dict[str, Seen]:
    return {}


@pytest.mark.slow
@every_version
def test_twenty_thousand_configs_compile_as_by_the_reference(
    version: Version, reference: Reference, files_dir: Path, seen_by_version: dict[str, Seen]
) -> None:
    seen = compare_generated(reference, version, range(SHORT, SHORT + LONG), files_dir)
    seen_by_version[f"{version.variant} {version.version}"] = seen
    fields = set(fields_of(version, "Config", ()))
    assert fields - seen.accepted == set(), "no accepted config had these fields"
    assert fields - seen.rejected == set(), "no rejected config had these fields"


@pytest.mark.slow
def test_between_them_they_provoke_every_message(seen_by_version: dict[str, Seen]) -> None:
    """Every message that a Butane config can provoke, if not by the generator then by a case of its own."""
    if len(seen_by_version) < len(VERSIONS):
        pytest.skip("only some of the versions were compared in this run")
    known = {problem.code for problem in vars(messages).values() if isinstance(problem, messages.Problem)}
    provoked = set().union(*(seen.codes for seen in seen_by_version.values()), CASES)
    assert known - provoked == ELSEWHERE


# What YAML itself may have wrong (test_butane_yaml.py, test_butane_hostile.py), and Ignition configs by themselves
# (test_ignition_validate.py).
ELSEWHERE = {
    *("alias-bomb", "alias-loop", "merge-depth", "merge-value", "yaml-tag", "key-type"),
    *("json-syntax", "not-a-config", "config-version", "config-version-unknown"),
}


# -- the fields of a version -------------------------------------------------------------------------------------------

Keys = tuple[str, ...]

# Before 4.23 OpenShift knows them and always rejects what they stand for.
NEVER = {"openshift": {("Config", "grub")}}


def fields_of(version: Version, of: str, at: Keys) -> Iterator[tuple[str, str]]:
    """Every field that a config of this version may hold, by struct and key."""
    for known in view(version.level).butane[of].values():
        place = (*at, known.name or known.key)
        if place in version.forbidden or (of, known.key) in NEVER.get(version.variant, ()):
            continue
        if place not in (("version",), ("variant",)):
            yield of, known.key
        if isinstance(known.of, str):
            yield from fields_of(version, known.of, place)


def reachable(version: Version, of: str, at: Keys) -> Iterator[tuple[Keys, Shape]]:
    """The path of every field of this version, forbidden ones too; a list's entries have the key ``-``."""
    for known in view(version.level).butane[of].values():
        path = (*at, known.key)
        if path not in (("version",), ("variant",)):
            yield path, known.shape
        if isinstance(known.of, str):
            yield from reachable(version, known.of, (*path, "-") if known.shape is Shape.LIST else path)


def nested(version: Version, path: Keys, value: str) -> str:
    """A config with this one field, a line for each step to it."""
    lines = [f"variant: {version.variant}", f"version: {version.version}"]
    pad = ""
    for i, key in enumerate(path):
        if key == "-":
            continue
        lead = pad[:-2] + "- " if i and path[i - 1] == "-" else pad
        lines.append(f"{lead}{key}:" + (f" {value}" if i == len(path) - 1 else ""))
        pad += "  " + ("  " if path[i + 1 : i + 2] == ("-",) else "")
    return "\n".join(lines) + "\n"
