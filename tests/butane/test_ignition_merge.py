"""Merging: tables of the rules, and generated pairs against Ignition's own merge."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from firestorm_butane import IgnitionError, Location, merge, merge_sourced, translate
from firestorm_butane.schema import EXPERIMENTAL_SPEC
from tests.butane.ignition_generator import valid
from tests.butane.references import Reference


def config(minor: int = 4, **sections: Any) -> dict[str, Any]:
    return {"ignition": {"version": f"3.{minor}.0"}, **sections}


def files(*entries: dict[str, Any]) -> dict[str, Any]:
    return config(storage={"files": list(entries)})


A = {"source": "data:,a"}
B = {"source": "data:,b"}

RULES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "a child's file completes its parent's": (
        files({"path": "/a", "mode": 0o600, "contents": A}),
        files({"path": "/a", "contents": B}),
        files({"path": "/a", "contents": B, "mode": 0o600}),
    ),
    "new files follow": (
        files({"path": "/a"}),
        files({"path": "/b"}),
        files({"path": "/a"}, {"path": "/b"}),
    ),
    "appended contents add up": (
        files({"path": "/a", "append": [A]}),
        files({"path": "/a", "append": [A, B]}),
        files({"path": "/a", "append": [A, A, B]}),
    ),
    "a link takes the place of a file of its path": (
        files({"path": "/a", "contents": A}, {"path": "/b"}),
        config(storage={"links": [{"path": "/a", "target": "/x"}]}),
        config(storage={"files": [{"path": "/b"}], "links": [{"path": "/a", "target": "/x"}]}),
    ),
    "drop-ins merge by name within a unit": (
        config(
            systemd={
                "units": [{"name": "a.service", "enabled": True, "dropins": [{"name": "1.conf", "contents": "x"}]}]
            }
        ),
        config(
            systemd={
                "units": [{"name": "a.service", "dropins": [{"name": "2.conf"}, {"name": "1.conf", "contents": "y"}]}]
            }
        ),
        config(
            systemd={
                "units": [
                    {
                        "dropins": [{"contents": "y", "name": "1.conf"}, {"name": "2.conf"}],
                        "enabled": True,
                        "name": "a.service",
                    }
                ]
            }
        ),
    ),
    "a kernel argument moves between the two lists": (
        config(kernelArguments={"shouldExist": ["a", "b"]}),
        config(kernelArguments={"shouldNotExist": ["a"]}),
        config(kernelArguments={"shouldExist": ["b"], "shouldNotExist": ["a"]}),
    ),
    "a header without a value removes the parent's": (
        files({"path": "/a", "contents": {"source": "http://x", "httpHeaders": [{"name": "A", "value": "1"}]}}),
        files({"path": "/a", "contents": {"httpHeaders": [{"name": "A"}, {"name": "B", "value": "2"}]}}),
        files({"path": "/a", "contents": {"httpHeaders": [{"name": "B", "value": "2"}], "source": "http://x"}}),
    ),
    "partitions are known by number, or else by label": (
        config(storage={"disks": [{"device": "/d", "partitions": [{"number": 1, "label": "x"}, {"label": "y"}]}]}),
        config(
            storage={
                "disks": [{"device": "/d", "partitions": [{"number": 1, "sizeMiB": 5}, {"label": "y", "sizeMiB": 6}]}]
            }
        ),
        config(
            storage={
                "disks": [
                    {
                        "device": "/d",
                        "partitions": [{"label": "x", "number": 1, "sizeMiB": 5}, {"label": "y", "sizeMiB": 6}],
                    }
                ]
            }
        ),
    ),
    "an older spec is brought up, without its special mode bits": (
        config(3, storage={"files": [{"path": "/a", "mode": 0o1777}]}),
        config(6, storage={"files": [{"path": "/b", "mode": 0o1777}]}),
        config(6, storage={"files": [{"path": "/a", "mode": 0o777}, {"path": "/b", "mode": 0o1777}]}),
    ),
}


@pytest.mark.parametrize(("parent", "child", "expected"), RULES.values(), ids=RULES)
def test_rules(parent: dict[str, Any], child: dict[str, Any], expected: dict[str, Any]) -> None:
    before = copy.deepcopy((parent, child))
    assert merge(parent, child) == expected
    assert (parent, child) == before, "the arguments were changed"


def test_an_empty_child_changes_nothing() -> None:
    parent = files({"path": "/a", "contents": A, "mode": 0o600})
    assert merge(parent, config()) == parent
    assert merge(config(), parent) == parent


@pytest.mark.parametrize(
    "bad", [{}, {"ignition": {"version": "2.3.0"}}, {"ignition": {"version": "3.4.0"}, "storage": 3}]
)
def test_what_is_not_a_config_is_refused_with_a_report(bad: dict[str, Any]) -> None:
    with pytest.raises(IgnitionError) as caught:
        merge(bad, config())
    assert [message.location.file for message in caught.value.report] == ["<parent>"]


def test_fields_keep_their_sources() -> None:
    parent = translate(
        "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n    - path: /a\n      mode: 0600\n", name="role.bu"
    )
    snippet = translate(
        "variant: flatcar\nversion: 1.0.0\nstorage:\n  files:\n    - path: /a\n      contents: {inline: x}\n",
        name="snippet.bu",
    )
    merged = merge_sourced(parent.sourced, snippet.sourced)
    assert merged.ignition == files({"path": "/a", "contents": {"compression": "", "source": "data:,x"}, "mode": 0o600})
    at = ("storage", "files", 0)
    assert merged.sources[*at, "mode"] == Location("role.bu", 6, 13)
    assert merged.sources[*at, "contents", "source"] == Location("snippet.bu", 6, 26)
    assert merged.sources[*at, "path"].file == "snippet.bu"


# -- generated pairs ---------------------------------------------------------------------------------------------------


def differences(reference: Reference, minor: int, seeds: range) -> list[str]:
    pairs = []
    for seed in seeds:
        rng = random.Random(f"pair {minor} {seed}")
        other = rng.choice((minor, minor, rng.randint(0, minor)))
        pair = valid(minor, 2 * seed), valid(other, 2 * seed + 1)
        pairs.append(pair if rng.random() < 0.5 else pair[::-1])
    asked = ({"do": "merge", "parent": json.dumps(parent), "child": json.dumps(child)} for parent, child in pairs)
    found = []
    for (parent, child), answer in zip(pairs, reference.ask(asked), strict=True):
        if answer.error or merge(parent, child) != json.loads(answer.output):
            found.append(f"parent {json.dumps(parent)}\nchild {json.dumps(child)}\n{answer.error or answer.output}")
    return found


@pytest.mark.parametrize("minor", range(EXPERIMENTAL_SPEC + 1))
def test_generated_pairs_merge_as_by_ignition(minor: int, reference: Reference) -> None:
    found = differences(reference, minor, range(20))
    assert not found, f"{len(found)} differ; the first:\n{found[0]}"


@pytest.mark.slow
@pytest.mark.parametrize("minor", range(EXPERIMENTAL_SPEC + 1))
def test_five_thousand_pairs_merge_as_by_ignition(minor: int, reference: Reference) -> None:
    found = differences(reference, minor, range(20, 20 + 5000 // (EXPERIMENTAL_SPEC + 1)))
    assert not found, f"{len(found)} differ; the first:\n{found[0]}"
