"""Validation of Ignition configs: the same verdict as Ignition's own, over mutations of valid and invalid documents."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from firestorm_butane import Severity, validate
from firestorm_butane.schema import EXPERIMENTAL_SPEC, spec_version
from tests.butane.references import Answer, Reference, Said


def config(minor: int = 4, **sections: Any) -> dict[str, Any]:
    return {"ignition": {"version": f"3.{minor}.0"}, **sections}


PROBLEMS: dict[str, tuple[dict[str, Any], list[tuple[Severity, str, str]]]] = {
    "nothing wrong": (config(storage={"files": [{"path": "/a", "mode": 420}]}), []),
    "no version": ({}, [(Severity.ERROR, "not-a-config", "$.ignition.version")]),
    "unknown version": (
        {"ignition": {"version": "3.9.0"}},
        [(Severity.ERROR, "config-version-unknown", "$.ignition.version")],
    ),
    "no such version": (
        {"ignition": {"version": "three"}},
        [(Severity.ERROR, "config-version", "$.ignition.version")],
    ),
    "wrong type": (
        config(storage={"files": [{"path": 3}]}),
        [(Severity.ERROR, "wrong-type", "$.storage.files.0.path")],
    ),
    "unknown key": (config(storage={"flies": []}), [(Severity.WARNING, "unused-key", "$.storage.flies")]),
    "everything at once": (
        config(
            storage={"files": [{"path": "a", "mode": 9999, "contents": {"source": "ftp://x"}}]},
            systemd={"units": [{"name": "x"}]},
        ),
        [
            (Severity.ERROR, "relative-path", "$.storage.files.0.path"),
            (Severity.ERROR, "bad-mode", "$.storage.files.0.mode"),
            (Severity.WARNING, "special-mode", "$.storage.files.0.mode"),
            (Severity.ERROR, "bad-scheme", "$.storage.files.0.contents.source"),
            (Severity.ERROR, "unit-extension", "$.systemd.units.0.name"),
        ],
    ),
}


@pytest.mark.parametrize(("document", "expected"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(document: dict[str, Any], expected: list[tuple[Severity, str, str]]) -> None:
    assert [(m.severity, m.code, m.path) for m in validate(document)] == expected


# -- against Ignition -----------------------------------------------------------------------------------------

SEED: dict[str, Any] = {
    "ignition": {
        "version": "3.6.0",
        "config": {"merge": [{"source": "https://example.com/x"}], "replace": {}},
        "proxy": {"httpProxy": "http://proxy", "httpsProxy": "https://proxy", "noProxy": ["a"]},
        "security": {"tls": {"certificateAuthorities": [{"source": "data:,x"}]}},
        "timeouts": {"httpTotal": 3},
    },
    "kernelArguments": {"shouldExist": ["a"], "shouldNotExist": ["b"]},
    "passwd": {"users": [{"name": "core", "groups": ["x"], "uid": 3}], "groups": [{"name": "x", "gid": 4}]},
    "storage": {
        "directories": [{"path": "/d", "mode": 493, "user": {"id": 3}, "group": {"name": "x"}}],
        "disks": [
            {
                "device": "/dev/a",
                "wipeTable": True,
                "partitions": [
                    {"label": "one", "number": 1, "startMiB": 1, "sizeMiB": 10},
                    {"label": "two", "number": 2, "startMiB": 11, "sizeMiB": 10, "typeGuid": ""},
                ],
            }
        ],
        "files": [
            {
                "path": "/d/f",
                "mode": 420,
                "overwrite": True,
                "contents": {
                    "source": "https://example.com/f",
                    "compression": "gzip",
                    "httpHeaders": [{"name": "A", "value": "b"}],
                    "verification": {"hash": "sha256-" + "0" * 64},
                },
                "append": [{"source": "data:,x"}],
            }
        ],
        "filesystems": [{"device": "/dev/b", "format": "ext4", "label": "l", "path": "/m", "options": ["x"]}],
        "links": [{"path": "/l", "target": "/d/f", "hard": False, "user": {"name": "core"}}],
        "luks": [
            {
                "name": "root",
                "device": "/dev/c",
                "clevis": {"tang": [{"url": "https://tang", "thumbprint": "x", "advertisement": "{}"}], "threshold": 1},
            },
            {"name": "data", "device": "/dev/d", "keyFile": {"source": "data:,key"}},
        ],
        "raid": [{"name": "md", "level": "raid1", "devices": ["/dev/e", "/dev/f"], "spares": 0}],
    },
    "systemd": {
        "units": [
            {
                "name": "a.service",
                "enabled": True,
                "contents": "[Install]\nWantedBy=x\n",
                "dropins": [{"name": "1.conf", "contents": "[Unit]\nA=b\n"}],
            }
        ]
    },
}
SCALARS: tuple[Any, ...] = (
    "", "/", "a", "/a/../b", "a.service", "a.conf", "3.6.0", "x@.service", "/d/f", "/l/x", "/d", "/dev/a",
    "gzip", "raid0", "ext4", "swap", "none", "http://[::1", "https://e%zz", "http://a:99x/", "s3://b/k",
    "gs://b/k", "data:,%", "data:,ok", "data:;base64,AA==", "data:;base64,AAA", "data:text/plain,x",
    "data:nope,x", "arn:aws:s3:::b/k", "arn:aws:s3:::b", "sha512-" + "f" * 128, "sha256-0", "x" * 40,
    "[A]\nb\n", "[A\n", "{", "/etc/systemd/system/a.service", "é" * 20, -1, 0, 1, 2, 5, 511, 512, 4095, 4096,
    True, False,
)  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*at, key)
        yield from places(item, (*at, key))


def mutate(document: dict[str, Any], rng: random.Random) -> None:
    """Changes one place: another scalar, gone, doubled, or swapped with one of its kind."""
    spots = [place for place in places(document) if place != ("ignition", "version")]
    spot = rng.choice(spots)
    parent: Any = document
    for key in spot[:-1]:
        parent = parent[key]
    old, roll = parent[spot[-1]], rng.random()
    if roll < 0.15:
        del parent[spot[-1]]
    elif roll < 0.3 and isinstance(parent, list):
        parent.append(copy.deepcopy(old))
    elif not isinstance(old, (dict, list)):
        kind = [s for s in SCALARS if type(s) is type(old)]
        parent[spot[-1]] = rng.choice(kind if rng.random() < 0.95 else SCALARS)


def mutations(minor: int, seeds: range) -> Iterator[str]:
    for seed in seeds:
        rng = random.Random(f"{minor} {seed}")
        document = copy.deepcopy(SEED)
        document["ignition"]["version"] = spec_version(minor)
        if minor < 1:
            document["storage"]["files"][0]["contents"]["verification"]["hash"] = "sha512-" + "0" * 128
        if minor < 2:
            del document["storage"]["luks"]
        for _ in range(rng.randint(0, 4)):
            mutate(document, rng)
        yield json.dumps(document, indent=1)


# For an invalid key file it names a field that does not exist.
KEY_FILE = re.compile(r"\$\.storage\.luks\.\d+\.(keys|keyFile)")


def follows(said: Said, answer: Answer) -> bool:
    """Whether a message of the reference's only follows from another, or names a field that does not exist."""
    same = {one.path for one in answer.messages if one.text == said.text}
    if KEY_FILE.fullmatch(said.path) or f"{said.path}.source" in same:
        return True
    no_path = any(re.fullmatch(r"\$\.storage\.links\.\d+\.path", one.path) for one in answer.messages)
    return no_path and "includes link in config" in said.text


def check(reference: Reference, minor: int, seeds: range) -> None:
    texts = list(mutations(minor, seeds))
    answers = reference.ask([{"do": "validate", "source": text} for text in texts])
    for text, answer in zip(texts, answers, strict=True):
        ours = validate(text)
        what = f"reference:\n{answer}\nours:\n{ours}\n{text}"
        assert ours.ok == answer.accepted, what
        # It says nothing about an unknown version, and has no path for a value of the wrong type.
        silent = not answer.messages and not answer.accepted
        if not silent and not any("cannot unmarshal" in one.text for one in answer.messages):
            wanted = {(one.kind, one.path, one.line) for one in answer.messages if not follows(one, answer)}
            found = {(m.severity.value, m.path, m.location.line) for m in ours}
            assert {place for place in found if not KEY_FILE.fullmatch(place[1])} == wanted, what


@pytest.mark.parametrize("minor", range(EXPERIMENTAL_SPEC + 1))
def test_mutated_configs_get_the_reference_s_verdict(minor: int, reference: Reference) -> None:
    check(reference, minor, range(40))


@pytest.mark.slow
@pytest.mark.parametrize("minor", range(EXPERIMENTAL_SPEC + 1))
def test_many_more_mutated_configs(minor: int, reference: Reference) -> None:
    check(reference, minor, range(40, 1000))
