"""What of a console may be shown: no terminal control, no noise, no secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firestorm.readiness.lines import clean, mask, matters, relevant_lines

CLEANED = [
    ("plain", "plain"),
    ("\x1b[0;32m  OK  \x1b[0m done", "  OK   done"),
    ("\x1b]0;title\x07text", "text"),
    ("\x1bc\x1b[?7l\x1b[2Jtext", "text"),
    ("\x1b(Btext", "text"),
    ("a\tb\x00\x07\x08c  ", "a    bc"),
    ("right-to-left \u202etxt\u202c", "right-to-left txt"),
]


@pytest.mark.parametrize(("raw", "text"), CLEANED)
def test_clean(raw: str, text: str) -> None:
    assert clean(raw) == text


MASKED = [
    ('"source": "data:;base64,SGVsbG8="', '"source": "data:(hidden)"'),
    ("data:,top%20secret", "data:(hidden)"),
    ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer (hidden)"),
    ("using token eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJr.c2lnbmF0dXJl now", "using token (hidden) now"),
    ("bootstrap 07401b.f395accd246ae52d rejected", "bootstrap 07401b.(hidden) rejected"),
    ("GET https://user:pa55@mirror.example/x", "GET https://(hidden)@mirror.example/x"),
    ("GET https://s3.example/x?X-Amz-Signature=abc&y=1 failed", "GET https://s3.example/x?(hidden) failed"),
    ('password="hunter2!" refused', 'password="(hidden)" refused'),
    ("CLIENT_SECRET=abcdefgh", "CLIENT_SECRET=(hidden)"),
    ("key MHcCAQEEIFaB0bCcDdEeFfGgHhIiJjKkLlMmNnOoPpQqRrSsTt+/= end", "key (hidden) end"),
    ("-----BEGIN EC PRIVATE KEY-----abc-----END EC PRIVATE KEY----- x", "(hidden PEM block) x"),
]
HASH = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
SHOWN = [
    f"hash verification failed (calculated {HASH} but expected 00)",
    "http://192.0.2.1:8080/dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet answered 404",
    "/sysroot/etc/kubernetes/kube-controller-manager/service-account-signing-key.pem is missing",
    f"failed to pull registry.k8s.io/kube-apiserver@sha256:{HASH}",
    "the token is not valid",
]


@pytest.mark.parametrize(("line", "masked"), MASKED)
def test_mask(line: str, masked: str) -> None:
    assert mask(line) == masked


@pytest.mark.parametrize("line", SHOWN)
def test_what_tells_the_cause_is_not_masked(line: str) -> None:
    assert mask(line) == line


MATTERS = [
    ("ignition[5]: GET result: Not Found", True),
    ("ignition[5]: GET result: OK", False),
    ("ignition[5]: op(1): [finished] writing file x-failed", False),
    ("ignition[5]: failed to fetch config: resource requires networking", False),
    ("containerd: failed to load plugin", True),
    ("[    0.611221] ACPI Error: No handler for Region [ECRM]", False),
    ("[    3.130033] Kernel panic - not syncing: VFS", True),
    ("[    3.1] systemd[1]: x.service: Failed with result 'exit-code'.", True),
    ("all is well", False),
]


@pytest.mark.parametrize(("line", "expected"), MATTERS)
def test_matters(line: str, expected: bool) -> None:
    assert matters(line) is expected


def test_private_key_of_many_lines_is_dropped_whole() -> None:
    text = """before failed
kubelet[1]: -----BEGIN EC PRIVATE KEY-----
kubelet[1]: MHcCAQEE
kubelet[1]: abcd==
kubelet[1]: -----END EC PRIVATE KEY-----
after failed"""
    assert relevant_lines(text) == ("before failed", "after failed")


def test_key_that_never_ends_does_not_hide_what_follows() -> None:
    lines = relevant_lines("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\nIgnition failed: no space left on device\n")
    assert lines == ("Ignition failed: no space left on device",)


def test_status_noise_is_dropped_and_equal_lines_are_folded() -> None:
    text = """[  OK  ] Started a.service - failed tries of A.
         Starting b.service - error counter...
[ ***  ] (2 of 3) A start job is running for Failing (2s / no limit)
[    9.1] systemd[1]: Reached target errors.target.
audit[1]: failed=1
Nov 23 18:00:11 containerd[7]: dial refused
Nov 23 18:00:12 containerd[8]: dial refused
[FAILED] Failed to start c.service - C.
"""
    assert relevant_lines(text) == (
        "Nov 23 18:00:12 containerd[8]: dial refused (x2)",
        "[FAILED] Failed to start c.service - C.",
    )


def test_the_newest_are_kept() -> None:
    text = "\n".join(f"error number {chr(97 + n)}" for n in range(20))
    assert relevant_lines(text, 3) == ("error number r", "error number s", "error number t")


def test_without_a_failure_the_newest_lines_are_shown() -> None:
    assert relevant_lines("one\ntwo\nthree\nfour\nfive\n") == ("two", "three", "four", "five")


@given(st.text())
def test_any_text_becomes_printable_lines(text: str) -> None:
    for line in relevant_lines(text):
        assert line.strip()
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in line)
