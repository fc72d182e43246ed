"""Whatever is parsed, the outcome is a specification or a SpecError."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firestorm.errors import SpecError
from firestorm.spec import HostFacts, from_config, load, loads, parse
from firestorm.spec.document import DOCUMENT, Choice, ListOf, MapOf, Quantity, Record, Type, Whole
from firestorm.spec.host import parse_routes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
TEXTS = st.one_of(
    st.text(max_size=70),
    st.sampled_from(
        ["", "a", "10.0.0.0/8", "::/0", "http://[", "http://a:99999", "a=b:NoSchedule", "/", "~x/y", "\0", "https://é"]
    ),
)


def _shaped(kind: Type) -> st.SearchStrategy[Any]:
    """Mostly what the document's table expects, sometimes anything."""
    match kind:
        case Record(fields=fields):
            shape = st.fixed_dictionaries({}, optional={field.name: _shaped(field.type) for field in fields})
            return shape | TEXTS | JSON if kind.text else shape | JSON
        case ListOf(item=item):
            return st.lists(_shaped(item), max_size=3) | JSON
        case MapOf():
            return st.dictionaries(TEXTS, TEXTS | JSON, max_size=3)
        case Whole():
            return st.integers(min_value=-1, max_value=300) | st.integers() | JSON
        case Choice(values=values):
            return st.sampled_from(values) | TEXTS
        case Quantity():
            return st.integers() | st.from_regex(r"\A[0-9]{1,12} ?[A-Za-z]{0,3}\Z") | JSON
        case _:
            return TEXTS | JSON


def _outcome(document: Mapping[str, object]) -> None:
    try:
        spec = parse(document)
    except SpecError:
        pass
    else:
        assert len({node.address for node in spec.nodes}) == len(spec.nodes)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json(document: Any) -> None:
    _outcome(document)


@settings(max_examples=250, deadline=None)
@given(_shaped(DOCUMENT))
def test_anything_like_a_document(document: Any) -> None:
    _outcome(document)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([field.name for field in DOCUMENT.fields]), TEXTS | JSON))
def test_any_configuration(config: dict[str, object]) -> None:
    with contextlib.suppress(SpecError):
        from_config(config)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        loads(text, name="cluster.yaml")
    assert all(problem.location for problem in caught.value.problems)


def _nested(depth: int) -> dict[str, object]:
    document: dict[str, object] = {}
    for _ in range(depth):
        document = {"os": document}
    return document


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"name": "dev", **_nested(2000)}, "is too large or nested too deeply", id="depth"),
        pytest.param({"name": "dev", "workers": [{}] * 200_000}, "is too large or nested too deeply", id="size"),
        pytest.param({"name": "dev", "pki_generation": 10**5000}, "is a number beyond all bounds", id="huge number"),
        pytest.param({"name": "dev", "mirrors": {b"a": "b"}}, "has the key a Python bytes", id="bytes"),
        pytest.param({"name": "dev", "os": {"name": object()}}, "is a Python object", id="object"),
    ],
)
def test_what_no_file_holds(document: dict[str, object], expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(document)
    assert any(problem.text.startswith(expected) for problem in caught.value.problems), str(caught.value)


def test_aliases_do_not_multiply() -> None:
    rows = ["name: dev", "a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, after in zip("abcdefgh", "bcdefghi", strict=True):
        rows.append(f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]")
    with pytest.raises(SpecError) as caught:
        loads("\n".join(rows), name="cluster.yaml")
    assert str(caught.value) == (
        "cluster.yaml: is too large or nested too deeply; a cluster document is small: look for a YAML alias gone wrong"
    )


def test_merge_keys_work() -> None:
    text = "name: dev\nworkers:\n  - &a {name: a, cpus: 4}\n  - {<<: *a, name: b}\n"
    assert [(pool.name, pool.cpus) for pool in loads(text, name="cluster.yaml").workers] == [("a", 4), ("b", 4)]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(lambda path: None, "cannot be read: No such file or directory", id="missing"),
        pytest.param(lambda path: path.mkdir(), "cannot be read: Is a directory", id="directory"),
        pytest.param(lambda path: path.write_bytes(b"name: \xff"), "is not UTF-8 text", id="encoding"),
    ],
)
def test_a_file_that_cannot_be_read(make: Any, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    make(path)
    with pytest.raises(SpecError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert (problem.location, problem.text) == (str(path), expected)


ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100000A	0003	0	0	0	00000000	0	0	0
eth0	00B2A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
virbr0	0000110A	00000000	0001	0	0	0	00F0FFFF	0	0	0
"""


def test_routes() -> None:
    assert parse_routes(ROUTES) == (("192.168.178.0/24", "eth0"), ("10.17.0.0/20", "virbr0"))


def test_the_hosts_own_routes_can_be_read() -> None:
    for cidr, interface in HostFacts.gather().routes:
        assert ipaddress.IPv4Network(cidr).with_prefixlen == cidr
        assert interface in {"*", *(name for _, name in socket.if_nameindex())}  # "*": what is unreachable
