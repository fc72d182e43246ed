"""Whether a compilation agrees with the reference's: its output, its verdict, and what it says and where.

The only differences allowed are those of the table in docs/butane.md; each has a name here, and
test_butane_differences.py shows each by itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from firestorm_butane import Message, Result
from tests.butane.references import Answer, Said

Place = tuple[str, str, int, int]
"""Severity, path, line and column."""

UNMARSHAL = re.compile(r"^  line (\d+): ", re.MULTILINE)
# What keeps a text from being read at all; the reference's library names no line for these, or another one.
UNREADABLE = {"yaml-syntax", "yaml-tag", "alias-bomb", "alias-loop", "merge-depth", "merge-value", "duplicate-key"}
UNKNOWN = {"no-variant", "bad-version", "unknown-version", "rhcos-removed"}
# Paths that do not exist.
WRONG_PATHS = {"$.boot_device.luks.luks": "$.boot_device.luks"}
WRONG_KEY_FILE = re.compile(r"(.*\.luks\.\d+\.)keys")
# What is wrong with a config that another embeds is in our message's text.
INVALID_EMBEDDED = "config is not valid"
EMBEDDED = re.compile(r"\$\.ignition\.config\.(?:merge\.\d+|replace)\.inline")
SKIPPED_EMBEDDED = "skipping validation for the merge/replace ignition config"
# It takes a link without a path for an ancestor of every other path: errors that follow from another.
EMPTY_LINK = re.compile(r"\$\.(?:spec\.config\.)?storage\.links\.\d+\.path")
THROUGH_LINK = "path includes link in config"
NODE = re.compile(r"\$\.(?:spec\.config\.)?storage\.(?:files|directories|links)\.\d+")
# Where sugar stands; the reference does not know where what it makes came from.
SUGAR = re.compile(
    r"\$\.(?:(?:boot_device|grub|metadata|openshift|storage\.trees|systemd\.quadlets)\b.*"
    r"|storage\.filesystems\.\d+\.with_mount_unit)"
)
INDEX = re.compile(r"\.\d+")


def difference(result: Result, answer: Answer, *, pretty: bool = False) -> str | None:
    """What differs, if anything does."""
    said = "\n".join([*map(str, answer.messages), answer.error])
    if answer.accepted != (result.ignition is not None):
        verdict = "accepts" if answer.accepted else "rejects"
        return f"the reference {verdict}:\n{said}\nours:\n{result.report}"
    if messages_differ(result, answer):
        return f"messages differ:\n{said}\nours:\n{result.report}"
    if not answer.accepted:
        return None
    output = result.pretty_json if pretty and result.machine_config is None else result.output
    # A byte that is not UTF-8 is the same character in another spelling.
    if output != answer.output.replace("\\ufffd", "\ufffd"):
        return f"outputs differ:\n{answer.output}\n{output}"
    document, sources = result.ignition, result.sources
    if result.machine_config is not None:
        document, sources = result.machine_config, result.machine_config_sources
    # What has no source of its own is found at the document's beginning, where no value stands.
    missing = [p for p in paths(document) if (sources[p].line, sources[p].column) == (1, 1)]
    return f"no source for {missing}" if missing else None


def paths(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if at:
        yield at
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(item, (*at, key))


# -- messages ----------------------------------------------------------------------------------------------------------


def messages_differ(result: Result, answer: Answer) -> bool:
    if not answer.messages and not answer.accepted:
        return lines_differ(result, answer.error)
    said = without_consequences(answer.messages)
    ours = Counter(map(our_place, result.report))
    known = [one for one in said if place(one) in ours or not displaced(one)]
    most = Counter(map(place, known))
    # What is wrong is said once for each thing that is wrong: theirs may say the same words twice at one place.
    least = Counter(at for at, _ in {(place(one), one.text) for one in known})
    if any(not least[at] <= ours[at] <= most[at] for at in most):
        return True
    lost = [one for one in said if place(one) not in ours and displaced(one)]
    found = [message for message in result.report if our_place(message) not in most]
    return not (
        all(any(explains(message, one) for one in lost) for message in found)
        and all(any(explains(message, one) for message in found) for one in lost)
    )


def our_place(message: Message) -> Place:
    return message.severity.value, message.path, message.location.line, message.location.column


def place(one: Said) -> Place:
    path = WRONG_PATHS.get(one.path, WRONG_KEY_FILE.sub(r"\1key_file", one.path))
    return one.kind, path, one.line, one.column


def displaced(one: Said) -> bool:
    """Whether the reference may have lost the place: of what sugar made or moved, and of embedded configs."""
    return one.guessed or one.text.startswith(SKIPPED_EMBEDDED)


def explains(message: Message, one: Said) -> bool:
    """Whether our message is a displaced one of theirs, at the right place."""
    if message.severity.value != one.kind:
        return False
    if EMBEDDED.fullmatch(message.path):
        version = message.path.removesuffix("inline") + "version"
        return f" {one.path}: " in message.text or (one.text.startswith(SKIPPED_EMBEDDED) and one.path == version)
    path = place(one)[1].replace("$.spec.config.", "$.")
    return bool(SUGAR.fullmatch(message.path)) or INDEX.sub("", message.path) == INDEX.sub("", path)


def lines_differ(result: Result, error: str) -> bool:
    """What is of the wrong type has a line alone; what is no YAML, or of no known version, has none that is right."""
    ours = {m.location.line for m in result.report.errors}
    if wanted := {int(line) for line in UNMARSHAL.findall(error)}:
        return ours != wanted
    codes = {m.code for m in result.report.errors}
    return not (codes <= (UNREADABLE if "yaml" in error else UNKNOWN))


def without_consequences(messages: tuple[Said, ...]) -> list[Said]:
    """Messages that only follow from another one, which we do not repeat."""
    said = list(messages)
    empty_links = {one.path for one in said if EMPTY_LINK.fullmatch(one.path) and "path not specified" in one.text}
    if empty_links:
        # One for each such link and each node; where sugar's nodes have one place together, any number.
        through = Counter(one for one in said if THROUGH_LINK in one.text)
        said = [one for one in said if one not in through]
        for one, count in through.items():
            said += [one] * (count - len(empty_links) if NODE.fullmatch(one.path) else 0)
    if any(one.text == INVALID_EMBEDDED for one in said):
        said = [one for one in said if not (one.guessed and one.path == "$")]
    twice = {(one.path.removesuffix(".source"), one.text) for one in said if one.path.endswith(".source")}
    return [one for one in said if (one.path, one.text) not in twice]
