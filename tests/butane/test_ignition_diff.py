"""The difference of two configs by meaning, its three forms, and what it keeps to itself."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from firestorm_butane import IgnitionError, diff, show

SECRET = "correct horse battery staple"


def config(minor: int = 4, **sections: Any) -> dict[str, Any]:
    return {"ignition": {"version": f"3.{minor}.0"}, **sections}


def file(contents: str, **rest: Any) -> dict[str, Any]:
    return config(storage={"files": [{"path": "/a", "contents": {"source": contents}, **rest}]})


def units(*entries: dict[str, Any]) -> dict[str, Any]:
    return config(systemd={"units": list(entries)})


def users(**fields: Any) -> dict[str, Any]:
    return config(passwd={"users": [{"name": "core", **fields}]})


PACKED = "data:;base64," + base64.b64encode(gzip.compress(b"one\ntwo\n", mtime=0)).decode()

TEXTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "nothing": (file("data:,x"), file("data:,x"), ""),
    "another encoding": (
        file("data:,one%0Atwo%0A"),
        config(
            storage={"files": [{"path": "/a", "contents": {"source": PACKED, "compression": "gzip"}}]},
        ),
        "",
    ),
    "another order": (
        config(storage={"files": [{"path": "/a"}, {"path": "/b"}]}),
        config(storage={"files": [{"path": "/b"}, {"path": "/a"}]}),
        "",
    ),
    "contents of several lines": (
        file("data:,one%0Atwo%0Athree%0A"),
        file("data:,one%0A2%0Athree%0A"),
        "~ file /a\n    contents:\n      @@ -1,3 +1,3 @@\n       one\n      -two\n      +2\n       three",
    ),
    "contents that are fetched": (
        file("https://example.com/1"),
        file("https://example.com/2"),
        "~ file /a\n    contents.source: https://example.com/1 → https://example.com/2",
    ),
    "contents that are not text": (
        file("data:;base64,AAEC"),
        file("data:,text"),
        "~ file /a\n    contents: (3 bytes that are not text) → text",
    ),
    "mode and owner": (
        file("data:,x", mode=0o600, user={"id": 1}),
        file("data:,x", mode=0o644, user={"id": 2}, group={"name": "g"}),
        "~ file /a\n    group.name: g (new)\n    user.id: 1 → 2\n    mode: 0600 → 0644",
    ),
    "a file that became a directory": (
        file("data:,x"),
        config(storage={"directories": [{"path": "/a", "mode": 0o755}]}),
        "+ directory /a\n    mode: 0755\n- file /a\n    contents: x",
    ),
    "units and drop-ins": (
        units({"name": "a.service", "enabled": True, "dropins": [{"name": "1.conf", "contents": "[A]\nb=1\n"}]}),
        units({"name": "a.service", "mask": True, "dropins": [{"name": "2.conf"}]}, {"name": "b.service"}),
        "~ unit a.service\n    enabled: true (no longer set)\n    mask: true (new)\n"
        "- drop-in a.service 1.conf\n    contents:\n      @@ -1,2 +0,0 @@\n      -[A]\n      -b=1\n"
        "+ drop-in a.service 2.conf\n"
        "+ unit b.service",
    ),
    "partitions by number or label": (
        config(storage={"disks": [{"device": "/dev/a", "partitions": [{"number": 1}, {"label": "x"}]}]}),
        config(storage={"disks": [{"device": "/dev/a", "partitions": [{"number": 1, "sizeMiB": 5}]}]}),
        "~ partition /dev/a number 1\n    sizeMiB: 5 (new)\n- partition /dev/a label x\n    label: x",
    ),
    "another spec": (config(3), config(4), "~ section ignition\n    version: 3.3.0 → 3.4.0"),
    "kernel arguments": (
        config(kernelArguments={"shouldExist": ["a"]}),
        config(kernelArguments={"shouldExist": ["a", "b"]}),
        '~ section kernelArguments\n    shouldExist: ["a"] → ["a", "b"]',
    ),
    "a terminal is not fooled": (
        units({"name": "a.service", "contents": "x\n"}),
        units({"name": "a.service", "contents": "\x1b[2J\n"}),
        "~ unit a.service\n    contents:\n      @@ -1 +1 @@\n      -x\n      +\\x1b[2J",
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), TEXTS.values(), ids=TEXTS)
def test_text(old: dict[str, Any], new: dict[str, Any], expected: str) -> None:
    found = diff(old, new, show_secrets=True)
    assert str(found) == expected
    assert bool(found) is bool(expected)
    assert not diff(new, new)


SECRETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a file of its owner's alone": (file("data:,x", mode=0o600), file(f"data:,{SECRET}", mode=0o600)),
    "a file that becomes its owner's alone": (file(f"data:,{SECRET}", mode=0o644), file("data:,x", mode=0o600)),
    "a private key": (
        file(f"data:,-----BEGIN%20PRIVATE%20KEY-----{SECRET}", mode=0o644),
        file("data:,x", mode=0o644),
    ),
    "a password": (users(passwordHash="x"), users(passwordHash=SECRET)),
    "a key file": (
        config(storage={"luks": [{"name": "a", "keyFile": {"source": "data:,x"}}]}),
        config(storage={"luks": [{"name": "a", "keyFile": {"source": f"data:,{SECRET}"}}]}),
    ),
    "a header": (
        config(storage={"files": [{"path": "/a", "contents": {"source": "http://x"}}]}),
        config(
            storage={
                "files": [
                    {
                        "path": "/a",
                        "contents": {"source": "http://x", "httpHeaders": [{"name": "A", "value": SECRET}]},
                    }
                ]
            }
        ),
    ),
    "appended contents": (
        config(storage={"files": [{"path": "/a", "mode": 0o600, "append": [{"source": "data:,x"}]}]}),
        config(storage={"files": [{"path": "/a", "mode": 0o600, "append": [{"source": f"data:,{SECRET}"}]}]}),
    ),
    "a config within": (
        config(),
        {"ignition": {"version": "3.4.0", "config": {"merge": [{"source": f"data:,{SECRET}"}]}}},
    ),
    "another config in the place of this": (
        config(),
        {"ignition": {"version": "3.4.0", "config": {"replace": {"source": f"data:,{SECRET}"}}}},
    ),
}


@pytest.mark.parametrize(("old", "new"), SECRETS.values(), ids=SECRETS)
def test_secrets_are_left_out_but_their_change_is_told(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = diff(old, new)
    assert found
    assert SECRET in diff(old, new, show_secrets=True).json()
    for form in (found.text(), found.text(colour=True), found.json(), repr(found)):
        assert SECRET not in form


SHOWN = [name for name in SECRETS if name not in ("a file that becomes its owner's alone", "a header")]


@pytest.mark.parametrize("name", SHOWN)
def test_secrets_are_not_shown_unless_asked_for(name: str) -> None:
    old, new = SECRETS[name]
    assert SECRET not in show(old) + show(new)
    assert SECRET in show(old, show_secrets=True) + show(new, show_secrets=True)


def test_json_holds_every_change() -> None:
    assert json.loads(diff(file("data:,x", mode=0o600), file("data:,y", mode=0o600)).json()) == [
        {
            "kind": "changed",
            "what": "file",
            "name": "/a",
            "fields": [{"name": "contents", "old": "(secret)", "new": "(secret)", "lines": [], "secret": True}],
        }
    ]


def test_colours_are_nothing_but_colours() -> None:
    old, new, expected = TEXTS["contents of several lines"]
    coloured = diff(old, new).text(colour=True)
    assert "\033[31m-two\033[0m" in coloured
    assert "\033[32m+2\033[0m" in coloured
    for code in ("\033[31m", "\033[32m", "\033[33m", "\033[36m", "\033[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == expected


def test_what_is_no_config_is_refused() -> None:
    with pytest.raises(IgnitionError) as caught:
        diff(config(), "{")
    assert [(m.code, str(m.location)) for m in caught.value.report] == [("json-syntax", "<new>:1:2")]


def test_show_draws_the_whole_config() -> None:
    whole = config(
        kernelArguments={"shouldExist": ["quiet"]},
        passwd={"users": [{"name": "core", "passwordHash": "x"}]},
        storage={
            "directories": [{"path": "/d", "mode": 0o755, "user": {"name": "u"}, "group": {"id": 5}}],
            "files": [
                {"path": "/b", "contents": {"source": "data:,one%0Atwo"}, "mode": 0o644, "overwrite": True},
                {"path": "/a", "contents": {"source": "https://example.com/a"}},
                {"path": "/c", "contents": {"source": "data:;base64,AA=="}},
                {"path": "/e", "contents": {"source": "data:,x", "compression": "gzip"}},
            ],
            "links": [{"path": "/l", "target": "/t", "hard": True}],
        },
        systemd={"units": [{"name": "a.service", "mask": True, "dropins": [{"name": "1.conf", "contents": "x"}]}]},
    )
    assert show(whole) == (
        "Ignition 3.4.0\n"
        'kernelArguments\n  {\n    "shouldExist": [\n      "quiet"\n    ]\n  }\n'
        'users\n  {\n    "name": "core",\n    "passwordHash": "(secret)"\n  }\n'
        "directories\n  /d  0755  u:5\n"
        "files\n"
        "  /a\n    │ (from https://example.com/a)\n"
        "  /b  0644  overwrite\n    │ one\n    │ two\n"
        "  /c\n    │ (1 bytes that are not text)\n"
        "  /e\n    │ (unreadable: gzip: it ends early)\n"
        "links\n  /l  → /t (hard)\n"
        "units\n  a.service  masked\n    1.conf\n    │ x"
    )
