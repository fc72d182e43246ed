"""The compiler against the reference: generated configs of every variant and version, valid and invalid.

Compared are the output to the byte, the verdict, and of each message the severity, path, line and column. The only
differences allowed are those of the table in docs/butane.md; each has a name here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firestorm_butane import Result, translate
from firestorm_butane.schema import view
from firestorm_butane.variants import VERSIONS, Version
from tests.butane.butane_generator import Generator
from tests.butane.references import Answer, Reference, Said

LONG = 20_000 // len(VERSIONS) + 1
SHORT = 20

Fields = set[tuple[str, str]]
"""By struct and key."""


def compare(reference: Reference, version: Version, seeds: range, files_dir: Path) -> tuple[Fields, Fields]:
    """The fields that accepted configs held, and rejected ones; fails with the first difference."""
    generators = [Generator(version, seed) for seed in seeds]
    texts = [generator.text() for generator in generators]
    asked = [
        {
            "do": "translate",
            "source": text,
            "files_dir": "" if seed % 16 == 15 else str(files_dir),
            "raw": version.variant == "openshift" and seed % 3 == 0,
            "pretty": seed % 5 == 0,
        }
        for text, seed in zip(texts, seeds, strict=True)
    ]
    found: list[str] = []
    accepted: Fields = set()
    rejected: Fields = set()
    for text, options, generator, seed, answer in zip(
        texts, asked, generators, seeds, reference.ask(asked), strict=True
    ):
        given = options["files_dir"]
        result = translate(text, files_dir=Path(given) if given else None, raw=options["raw"])
        differs = difference(result, answer, pretty=options["pretty"])
        if differs:
            found.append(f"seed {seed}: {differs}\n--- config:\n{text}")
        held = accepted if answer.accepted else rejected
        held |= generator.fields
    assert not found, f"{len(found)} of {len(seeds)} differ; the first:\n{found[0]}"
    return accepted, rejected


@pytest.mark.parametrize("version", VERSIONS.values(), ids=lambda v: f"{v.variant}-{v.version}")
def test_generated_configs_compile_as_by_the_reference(version: Version, reference: Reference, files_dir: Path) -> None:
    compare(reference, version, range(SHORT), files_dir)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS.values(), ids=lambda v: f"{v.variant}-{v.version}")
def test_twenty_thousand_configs_compile_as_by_the_reference(
    version: Version, reference: Reference, files_dir: Path
) -> None:
    accepted, rejected = compare(reference, version, range(SHORT, SHORT + LONG), files_dir)
    fields = set(reachable(version, "Config", ()))
    assert fields - accepted == set(), "no accepted config had these fields"
    assert fields - rejected == set(), "no rejected config had these fields"


def reachable(version: Version, of: str, at: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Every field that a config of this version may hold, by struct and key."""
    for field in view(version.level).butane[of].values():
        place = (*at, field.name or field.key)
        if place in version.forbidden or (of, field.key) in NEVER.get(version.variant, ()):
            continue
        if place != ("version",) and place != ("variant",):
            yield of, field.key
        if isinstance(field.of, str):
            yield from reachable(version, field.of, place)


# Before 4.23 OpenShift knows them and always rejects what they stand for.
NEVER = {"openshift": {("Config", "grub")}}
