"""Properties that hold for any input, by Hypothesis: no foreign exception, and laws of merge, diff and encoding."""

from __future__ import annotations

import contextlib
import gzip
import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from firestorm_butane import ButaneError, diff, merge, show, translate, validate
from firestorm_butane.contents import ContentsError, contents, decode_url
from firestorm_butane.deflate import gzip_best
from firestorm_butane.encoding import data_url
from firestorm_butane.schema import EXPERIMENTAL_SPEC
from firestorm_butane.variants import VERSIONS
from tests.butane.butane_generator import Generator
from tests.butane.ignition_generator import ConfigGenerator

BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

versions = st.sampled_from(list(VERSIONS.values()))
seeds = st.integers(0, 1 << 30)
butane = st.builds(lambda version, seed: Generator(version, seed).text(), versions, seeds)
ignition = st.builds(lambda minor, seed: ConfigGenerator(minor, seed).make(), st.integers(0, EXPERIMENTAL_SPEC), seeds)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@st.composite
def mutilated(draw: st.DrawFn) -> str:
    """A config with a piece cut out, doubled, or replaced by any text."""
    text = draw(butane)
    start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    middle = draw(st.sampled_from(["", text[start:end] * 2]) | st.text(max_size=20))
    return text[:start] + middle + text[end:]


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """A config with any value anywhere."""
    config = draw(ignition)
    node: Any = config
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        if not isinstance(node[key], (dict, list)) or not node[key] or draw(st.booleans()):
            node[key] = draw(json_values)
            return config
        node = node[key]


@BUSY
@given(mutilated() | st.text())
def test_any_text_is_compiled_or_told_why_not(text: str) -> None:
    result = translate(text, files={"motd": b"x"})
    assert (result.ignition is None) is bool(result.report.errors)
    str(result.report).encode()
    if result.ignition is not None:
        assert json.loads(result.json) == result.ignition
        assert validate(result.json).ok


@BUSY
@given(broken() | json_values)
def test_any_json_is_read_or_refused(config: Any) -> None:
    text = json.dumps(config)
    str(validate(text)).encode()
    for use in (show, lambda one: diff(one, one).json(), lambda one: json.dumps(merge(one, one), ensure_ascii=False)):
        with contextlib.suppress(ButaneError):
            use(text).encode()


def without_removals(value: Any) -> Any:
    """A config without headers that have no value: they remove others, and what is removed before it is there stays."""
    if isinstance(value, dict):
        return {
            key: [header for header in item if "value" in header] if key == "httpHeaders" else without_removals(item)
            for key, item in value.items()
        }
    return [without_removals(item) for item in value] if isinstance(value, list) else value


def unordered(value: Any) -> Any:
    """A config regardless of the order in its lists: an entry that is replaced and brought back moves to the end."""
    if isinstance(value, dict):
        return {key: unordered(item) for key, item in value.items()}
    return sorted(map(json.dumps, map(unordered, value))) if isinstance(value, list) else value


NODES = ("files", "directories", "links")


def kinds(config: dict[str, Any]) -> dict[str, str]:
    """{path: files, directories or links}."""
    return {entry["path"]: kind for kind in NODES for entry in config.get("storage", {}).get(kind, [])}


def without(config: dict[str, Any], paths: set[str]) -> dict[str, Any]:
    storage = config.get("storage", {})
    kept = {kind: [entry for entry in storage[kind] if entry["path"] not in paths] for kind in NODES if kind in storage}
    return {**config, "storage": {**storage, **kept}}


@BUSY
@given(ignition, ignition, ignition)
@example(*(ConfigGenerator(4, seed).make() for seed in (948757036, 4943193, 948757036)))
@example(*(ConfigGenerator(4, 72680).make() for _ in range(3)))
@example(*(ConfigGenerator(minor, seed).make() for minor, seed in ((3, 9999999), (7, 5), (7, 5))))
@example(*(ConfigGenerator(minor, seed).make() for minor, seed in ((2, 100), (0, 113546), (2, 100))))
def test_merging_is_associative_but_for_order_and_keeps_its_arguments(
    a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]
) -> None:
    a, b, c = map(without_removals, (a, b, c))
    for config in (a, b, c):
        config["ignition"]["version"] = "3.4.0"
    before = json.dumps([a, b, c])
    try:
        left, right = merge(merge(a, b), c), merge(a, merge(b, c))
    except ButaneError:
        return
    assert json.dumps([a, b, c]) == before
    # A file that a directory replaces, and that comes back, is a new one, unless the directory was replaced before.
    back = {path for path, kind in kinds(b).items() if kinds(a).get(path, kind) == kinds(c).get(path, kind) != kind}
    if all(validate(config).ok for config in (a, b, c)):
        assert unordered(without(left, back)) == unordered(without(right, back))


@BUSY
@given(ignition, ignition)
def test_a_diff_is_empty_only_for_the_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert not diff(a, json.dumps(a))
    forth, back = diff(a, b, show_secrets=True), diff(b, a, show_secrets=True)
    assert bool(forth) == bool(back)
    assert {change.name for change in forth} == {change.name for change in back}
    assert len(json.loads(forth.json())) == len(forth.changes)


@BUSY
@given(st.binary(max_size=3000))
def test_data_urls_hold_their_data(data: bytes) -> None:
    url, packed = data_url(data, may_compress=True)
    assert contents({"source": url, "compression": "gzip" if packed else ""}) == data
    written = gzip_best(data * 3, below=1 << 30)
    assert written is not None
    assert gzip.decompress(written) == data * 3


@BUSY
@given(st.text())
def test_any_url_is_decoded_or_refused(url: str) -> None:
    with contextlib.suppress(ContentsError):
        decode_url("data:" + url)
