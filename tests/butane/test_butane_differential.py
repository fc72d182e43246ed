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

UNMARSHAL = re.compile(r"^  line (\d+): ", re.MULTILINE)
# It takes a link without a path for an ancestor of every other path: an error that follows from another.
FOLLOWS_FROM_EMPTY_LINK = "includes link in config"
# A path that does not exist.
WRONG_PATHS = {"$.boot_device.luks.luks": "$.boot_device.luks"}
INVALID_EMBEDDED = "config is not valid"
EMPTY_LINK = re.compile(r"\$\.storage\.links\.\d+\.path")


def paths(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if at:
        yield at
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(item, (*at, key))


def messages_differ(result: Result, answer: Answer) -> bool:
    if not answer.messages and not answer.accepted:
        return lines_differ(result, answer.error)
    said = without_consequences(answer.messages)
    ours = Counter((m.severity.value, m.path, m.location.line, m.location.column) for m in result.report)
    places = Counter(place(one) for one in said if not one.guessed)
    texts = Counter(place for place, _ in {(place(one), one.text) for one in said if not one.guessed})
    # What is wrong is said once for each thing that is wrong: theirs may say the same words twice at one place.
    if any(not texts[at] <= ours[at] <= places[at] for at in places):
        return True
    # Where it guesses the place of a field that sugar moved, or that an embedded config holds, we know it.
    rest = Counter(kind for kind, *_ in (at for at in ours.elements() if at not in places))
    most = Counter(one.kind for one in said if one.guessed)
    least = Counter(kind for kind, *_ in {(one.kind, one.path, one.text) for one in said if one.guessed})
    return any(not least[kind] <= rest[kind] <= most[kind] for kind in rest | most)


def place(one: Said) -> tuple[str, str, int, int]:
    return one.kind, WRONG_PATHS.get(one.path, one.path), one.line, one.column


def without_consequences(messages: tuple[Said, ...]) -> list[Said]:
    """Messages that only follow from another one, which we do not repeat."""
    said = list(messages)
    if any(EMPTY_LINK.fullmatch(one.path) and "path not specified" in one.text for one in said):
        said = [one for one in said if FOLLOWS_FROM_EMPTY_LINK not in one.text]
    if any(one.text == INVALID_EMBEDDED for one in said):
        # What is wrong with it is in our message's text.
        said = [one for one in said if not (one.guessed and one.path == "$")]
    twice = {(one.path.removesuffix(".source"), one.text) for one in said if one.path.endswith(".source")}
    return [one for one in said if (one.path, one.text) not in twice]


def lines_differ(result: Result, error: str) -> bool:
    """What is of the wrong type has a line alone; what is missing altogether has none.

    For what is not YAML at all the reference's library names the line before, or where the outer part began.
    """
    ours = {m.location.line for m in result.report.errors}
    wanted = {int(line) for line in UNMARSHAL.findall(error)}
    return bool(wanted) and ours != wanted


def difference(text: str, result: Result, answer: Answer) -> str | None:
    """What differs, if anything does."""
    said = "\n".join([*map(str, answer.messages), answer.error])
    if answer.accepted != (result.ignition is not None):
        verdict = "accepts" if answer.accepted else "rejects"
        return f"the reference {verdict}:\n{said}\nours:\n{result.report}"
    if messages_differ(result, answer):
        return f"messages differ:\n{said}\nours:\n{result.report}"
    if not answer.accepted:
        return None
    # Bytes that are not UTF-8 are the same character in another spelling.
    if result.output != answer.output.replace("\\ufffd", "\ufffd"):
        return f"outputs differ:\n{answer.output}\n{result.output}"
    document, sources = result.ignition, result.sources
    if result.machine_config is not None:
        document, sources = result.machine_config, result.machine_config_sources
    missing = [p for p in paths(document) if p not in sources or not sources[p].line]
    return f"no source for {missing}" if missing else None


Fields = set[tuple[str, str]]
"""By struct and key."""


def compare(reference: Reference, version: Version, seeds: range, files_dir: Path) -> tuple[Fields, Fields]:
    """The fields that accepted configs held, and rejected ones; fails with the first difference."""
    generators = [Generator(version, seed) for seed in seeds]
    texts = [generator.text() for generator in generators]
    raw = [version.variant == "openshift" and seed % 3 == 0 for seed in seeds]
    asked = (
        {"do": "translate", "source": text, "files_dir": str(files_dir), "raw": is_raw}
        for text, is_raw in zip(texts, raw, strict=True)
    )
    found: list[str] = []
    accepted: Fields = set()
    rejected: Fields = set()
    for text, is_raw, generator, seed, answer in zip(texts, raw, generators, seeds, reference.ask(asked), strict=True):
        result = translate(text, files_dir=files_dir, raw=is_raw)
        differs = difference(text, result, answer)
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
