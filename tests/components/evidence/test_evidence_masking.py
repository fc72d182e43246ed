"""No secret in any form survives the masker, however the text is cut, and no other text is touched."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firestorm.evidence.masking import HIDDEN, LONG, Masker

ENCODERS: dict[str, Callable[[str], str]] = {
    "plain": lambda s: s,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 behind a byte": lambda s: base64.b64encode(b"x" + s.encode() + b"yz").decode(),
    "base64 behind two": lambda s: base64.b64encode(b"xy" + s.encode() + b"z").decode(),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "URL": lambda s: quote(s, safe=""),
    "query": quote_plus,
    "JSON": lambda s: json.dumps(s)[1:-1],
}
# No two characters of the text around stand in a secret, so that what is left of one can be told.
AROUND = st.text("abc .:[]", max_size=80)
SECRET = st.text(string.ascii_uppercase + string.digits + '+/="\\%&', min_size=8, max_size=90).filter(
    lambda s: s.strip() == s and len(set(s)) > 4
)


def wrapped(text: str, width: int) -> str:
    return "\r\n".join(text[i : i + width] for i in range(0, len(text), width))


def in_pieces(masker: Masker, text: str, sizes: list[int]) -> str:
    stream, at, parts = masker.stream(), 0, []
    for size in sizes:
        parts.append(stream.feed(text[at : at + size]))
        at += size
    return "".join([*parts, stream.feed(text[at:]), stream.end()])


@settings(max_examples=300, deadline=None)
@given(
    secret=SECRET,
    before=AROUND,
    after=AROUND,
    form=st.sampled_from(sorted(ENCODERS)),
    width=st.sampled_from([0, 7, 23, 80]),
    sizes=st.lists(st.integers(0, 60), max_size=12),
)
def test_no_form_survives(secret: str, before: str, after: str, form: str, width: int, sizes: list[int]) -> None:
    encoded = ENCODERS[form](secret)
    text = f"{before}{encoded}{after}"
    masked = in_pieces(Masker([secret]), wrapped(text, width) if width else text, sizes)
    plain = masked.replace("\r\n", "")
    assert encoded not in plain
    assert HIDDEN in plain
    assert plain.startswith(before)
    assert plain.endswith(after)
    # At the ends of a base64 text a bit or two may tell something: never more than an edge is left.
    assert len(plain) <= len(before) + len(HIDDEN) * (1 + len(encoded) // LONG) + len(after) + 8


@settings(max_examples=200, deadline=None)
@given(text=st.text("abcdefgh \r\n", max_size=400), sizes=st.lists(st.integers(0, 50), max_size=12))
def test_other_text_is_left_as_it_is(text: str, sizes: list[int]) -> None:
    masker = Masker(["a-secret-token-of-some-length-0123456789", "SHORT-1"])
    assert in_pieces(masker, text, sizes) == text


@settings(max_examples=100, deadline=None)
@given(secret=st.text(string.ascii_letters + string.digits, min_size=60, max_size=200), data=st.data())
def test_parts_of_a_secret_are_hidden_too(secret: str, data: st.DataObject) -> None:
    length = data.draw(st.integers(LONG, len(secret)))
    begin = data.draw(st.integers(0, len(secret) - length))
    part = secret[begin : begin + length]
    assert Masker([secret]).mask(f"--- {part} ---") == f"--- {HIDDEN} ---"


def test_a_key_is_hidden_line_by_line_and_as_kubeconfigs_hold_it() -> None:
    body = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgk3vJ8T1a7u2b9Q0x\nfhRANCAAQ5\n"
    key = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
    masker = Masker([json.dumps({"key": key, "certificate": certificate})])
    text = masker.mask(f"[   12.3] app: {key} {base64.b64encode(key.encode()).decode()} {json.dumps(key)}")
    assert "MIGH" not in text
    assert "fhRAN" not in text
    assert "LS0t" not in text
    assert "[   12.3] app: -----BEGIN PRIVATE KEY-----\n(hidden)\n(hidden)\n-----END" in text


def test_a_secret_across_wrapped_lines() -> None:
    masker = Masker(["correct-horse-battery-staple"])
    assert masker.mask("password correct-hor\r\nse-battery-staple, then\r\nmore") == f"password {HIDDEN}, then\r\nmore"


@pytest.mark.parametrize("values", [[], [""], ["abc"], ["true"], ["\n\n"]])
def test_what_is_no_secret_hides_nothing(values: list[str]) -> None:
    text = "abc true\n\nand more"
    assert Masker(values).mask(text) == text


def test_long_texts_stream_in_bounded_memory() -> None:
    stream, out = Masker(["S" + "3cr3t" * 20]).stream(), 0
    for _ in range(200):
        out += len(stream.feed("plain words, " * 1000))
    assert 200 * 13_000 - out < 1000
