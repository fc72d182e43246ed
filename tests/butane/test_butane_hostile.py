"""Hostile texts: each ends in an error, soon and in little memory, and never in an exception of another kind.

What fuzzing found is kept here as well.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

import firestorm_butane
from firestorm_butane import IgnitionError, Severity, diff, merge, show, translate, validate

HEAD = "variant: fcos\nversion: 1.5.0\n"
MEMORY = 200 << 20
SECONDS = 8  # of processor time, with the interpreter's start: two would do on a machine that has nothing else to do


def bomb(width: int, depth: int) -> str:
    """Anchors of lists of aliases: ``width ** depth`` nodes once expanded."""
    lines = ["a0: &a0 {mode: 0644}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * width)}]}}" for i in range(1, depth)]
    return HEAD + "\n".join(lines) + f"\nstorage:\n  files:\n    - path: /a\n      <<: *a{depth - 1}\n"


HOSTILE: dict[str, tuple[str, str]] = {
    "alias bomb": (bomb(10, 12), "alias-bomb"),
    "one file by 250,000 aliases": (
        HEAD + "a: &a {path: /x}\nstorage: {files: [" + "*a," * 250_000 + "]}\n",
        "alias-bomb",
    ),
    "a path of 400,000 parts, and a link": (
        HEAD + "storage: {links: [{path: /l, target: /t}], files: [{path: a" + "/a" * 400_000 + "}]}\n",
        "relative-path",
    ),
    "long chain of merges": (
        HEAD + "a0: &a0 {}\n" + "".join(f"a{i}: &a{i} {{<<: *a{i - 1}}}\n" for i in range(1, 5000)) + "<<: *a4999\n",
        "merge-depth",
    ),
    "100,000 nested lists": (HEAD + "x: " + "[" * 100_000, "yaml-syntax"),
    "nested block lists": (HEAD + "x:\n" + "- " * 100_000 + "a\n", "yaml-syntax"),
    "nested mappings": (HEAD + "".join(" " * i + "a:\n" for i in range(500)), "yaml-syntax"),
    "a mapping as a key of a mapping, many times": (HEAD + "? " * 50_000, "yaml-syntax"),
    "100,000 unknown keys": (HEAD + "storage: 3\n" + "".join(f"k{i}: v\n" for i in range(100_000)), "wrong-type"),
    "one key 100,000 times": (HEAD + "a: b\n" * 100_000, "duplicate-key"),
    "a config that contains itself": (HEAD + "storage: &s\n  files:\n    - *s\n", "alias-loop"),
    "lone surrogate": (HEAD + 'x: "\ud800"\n', "yaml-syntax"),
    "control character": (HEAD + 'x: "\x01"\n', "yaml-syntax"),
    "tab as indentation": (HEAD + "storage:\n\tfiles: []\n", "yaml-syntax"),
    "deep JSON in a config": (
        HEAD + "ignition:\n  config:\n    merge:\n      - inline: '" + "[" * 200_000 + "'\n",
        "embedded-config",
    ),
}


@pytest.mark.parametrize(("text", "code"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_end_in_an_error(text: str, code: str) -> None:
    result = translate(text)
    assert result.ignition is None
    assert code in {message.code for message in result.report if message.severity is Severity.ERROR}
    assert all(message.location.line >= 1 for message in result.report)
    assert str(result.report)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2]) + 1))
sys.path.insert(0, sys.argv[1])
import firestorm_butane
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = firestorm_butane.translate(sys.stdin.buffer.read().decode("utf-8", "surrogatepass"))
assert result.ignition is None
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.parametrize("text", [text for text, _ in HOSTILE.values()], ids=HOSTILE)
def test_hostile_texts_take_little_time_and_memory(text: str) -> None:
    root = Path(firestorm_butane.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(root), str(SECONDS)],
        input=text.encode("utf-8", "surrogatepass"),
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, f"ended with {run.returncode}: {run.stderr.decode()}"
    assert int(run.stdout) < MEMORY


def packed(size: int) -> str:
    import base64
    import gzip

    return "data:;base64," + base64.b64encode(gzip.compress(bytes(size), 9)).decode()


def test_a_compression_bomb_is_not_unpacked() -> None:
    file = {"path": "/a", "contents": {"compression": "gzip", "source": packed(65 << 20)}}
    config = {"ignition": {"version": "3.4.0"}, "storage": {"files": [file]}}
    assert "more than" in show(config)
    assert not diff(config, config)


NOT_CONFIGS = [
    "",
    "[]",
    "3",
    "{",
    '{"ignition": {"version": "3.4.0"}, "storage": {"files": 3}}',
    "[" * 100_000,
    "NaN",
    "1" * 5000,
]


@pytest.mark.parametrize("text", NOT_CONFIGS)
def test_what_is_no_ignition_config_is_refused(text: str) -> None:
    assert not validate(text).ok
    for function in (show, lambda config: merge(config, config), lambda config: diff(config, config)):
        with pytest.raises(IgnitionError) as caught:
            function(text)
        assert caught.value.report.errors


def test_backslashes_are_not_taken_for_escapes() -> None:
    unit = "[Service]\nExecStart=/bin/grep \\bfoo\\b\\\\f /dev/null\n#\b\f"
    config = {"ignition": {"version": "3.4.0"}, "systemd": {"units": [{"name": "a.service", "contents": unit}]}}
    source = json.dumps({"variant": "flatcar", "version": "1.1.0", "systemd": config["systemd"]})
    result = translate(source)
    assert result.ignition == config
    assert json.loads(result.json) == json.loads(result.pretty_json) == config


def test_half_characters_are_replaced() -> None:
    file = '{"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "/a\\ud800"}]}, "\\udfff": 1}'
    report = validate(file)
    assert report.ok
    str(report).encode()
    show(file).encode()
    assert merge(file, file)["storage"]["files"][0]["path"] == "/a\ufffd"


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_of_cycles_is_left_as_it_was(enabled: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        translate(HEAD)
        translate(HEAD + "[")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
