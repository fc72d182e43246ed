"""Each line of the table of differences in docs/butane.md by itself: what the reference does, and what is done here."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest

from firestorm_butane import Result, translate
from firestorm_butane.deflate import EXACT
from tests.butane.references import Answer, Reference

PAGE = Path(__file__).parents[2] / "docs/butane.md"
FCOS = "variant: fcos\nversion: 1.7.0\n"
OPENSHIFT = (
    "variant: openshift\nversion: 4.14.0\n"
    "metadata: {name: x, labels: {machineconfiguration.openshift.io/role: worker}}\n"
)
FILES = {
    "latin": b"caf\xe9\n",
    "large": b"".join(b"line %d of a compressible text\n" % (i * i) for i in range(EXACT // 30)),
}

Both = tuple[Result, Answer]


@pytest.fixture
def both(reference: Reference, tmp_path: Path) -> Callable[[str], Both]:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)

    def compile_both(text: str) -> Both:
        return translate(text, files=FILES), reference.translate(text, files_dir=str(tmp_path))

    return compile_both


def theirs(answer: Answer) -> list[tuple[str, int]]:
    return [(one.path, one.line) for one in answer.messages]


def ours(result: Result) -> list[tuple[str, int]]:
    return [(message.path, message.location.line) for message in result.report]


def test_what_sugar_made_keeps_its_place(both: Callable[[str], Both]) -> None:
    result, answer = both(FCOS + "boot_device:\n  luks:\n    tang:\n      - url: http://x\n")
    assert [path for path, _ in theirs(answer)] == ["$.storage.luks.0.clevis.tang.0.thumbprint"]
    assert ours(result) == [("$.boot_device.luks.tang.0.thumbprint", 6)]


def test_so_does_what_a_machine_config_holds(both: Callable[[str], Both]) -> None:
    result, answer = both(OPENSHIFT + "storage:\n  files:\n    - mode: 0644\n")
    assert [path for path, _ in theirs(answer)] == ["$.spec.config.storage.files.0.path"]
    assert ours(result) == [("$.storage.files.0.path", 6)]


EMBEDDED = FCOS + "ignition:\n  config:\n    merge:\n      - inline: '{}'\n"


def test_an_embedded_config_s_messages_are_at_what_holds_it(both: Callable[[str], Both]) -> None:
    inner = {"ignition": {"version": "3.6.0"}, "storage": {"files": [{"path": "a"}]}}
    result, answer = both(EMBEDDED.format(json.dumps(inner)))
    assert theirs(answer) == [("$.storage.files.0.path", 1)]
    assert ours(result) == [("$.ignition.config.merge.0.inline", 6)]
    assert "$.storage.files.0.path" in result.report.messages[0].text


def test_so_are_those_about_its_version(both: Callable[[str], Both]) -> None:
    result, answer = both(EMBEDDED.format('{"ignition": {"version": "3.1.0"}}'))
    assert theirs(answer) == [("$.ignition.config.merge.0.version", 6)]
    assert ours(result) == [("$.ignition.config.merge.0.inline", 6)]


def test_a_wrong_url_is_told_once(both: Callable[[str], Both]) -> None:
    result, answer = both(FCOS + "ignition:\n  config:\n    merge:\n      - source: ftp://x\n")
    assert {path for path, _ in theirs(answer)} == {"$.ignition.config.merge.0", "$.ignition.config.merge.0.source"}
    assert ours(result) == [("$.ignition.config.merge.0.source", 6)]


def test_the_same_words_are_told_once_at_one_place(both: Callable[[str], Both]) -> None:
    result, answer = both(FCOS + "boot_device:\n  layout: x86_64\n  mirror:\n    devices: [/dev/vda]\n")
    assert theirs(answer) == [("$.boot_device.mirror.devices", 6)] * 2
    assert ours(result) == [("$.boot_device.mirror.devices", 6)]


def test_a_link_without_a_path_is_no_ancestor(both: Callable[[str], Both]) -> None:
    result, answer = both(FCOS + "storage:\n  links:\n    - target: /x\n  files:\n    - path: /a\n")
    assert {path for path, _ in theirs(answer)} == {"$.storage.links.0.path", "$.storage.files.0"}
    assert ours(result) == [("$.storage.links.0.path", 5)]


def test_paths_exist(both: Callable[[str], Both]) -> None:
    result, answer = both(FCOS + "boot_device:\n  luks:\n    device: /dev/vda\n")
    assert theirs(answer) == [("$.boot_device.luks.luks", 5)]
    assert ours(result) == [("$.boot_device.luks", 5)]
    key = FCOS + "storage:\n  luks:\n    - name: a\n      device: /dev/a\n      key_file: {source: ftp://x}\n"
    result, answer = both(key)
    assert "$.storage.luks.0.keys" in {path for path, _ in theirs(answer)}
    assert {path for path, _ in ours(result)} == {"$.storage.luks.0.key_file", "$.storage.luks.0.key_file.source"}


def test_a_text_that_is_not_yaml_has_its_place(both: Callable[[str], Both]) -> None:
    result, answer = both(FCOS + "storage:\n  files: [a\n  links: []\n")
    assert re.search(r"yaml: line (\d+)", answer.error)
    assert [(m.code, m.location.line, m.location.column) for m in result.report] == [("yaml-syntax", 5, 8)]


def test_a_value_of_the_wrong_type_has_a_path_and_hides_no_warning(both: Callable[[str], Both]) -> None:
    result, answer = both(FCOS + "storage:\n  files: 3\nbogus: 1\n")
    assert answer.messages == ()
    assert "line 4: cannot unmarshal" in answer.error
    assert ours(result) == [("$.storage.files", 4), ("$.bogus", 5)]


def test_levels_of_nesting_are_limited(both: Callable[[str], Both]) -> None:
    result, answer = both(FCOS + "x: " + "[" * 150 + "]" * 150 + "\n")
    assert answer.accepted
    assert [message.code for message in result.report] == ["yaml-syntax"]


def test_aliases_are_limited(both: Callable[[str], Both]) -> None:
    options = f"a: &a x\nstorage: {{filesystems: [{{device: /dev/a, format: xfs, options: [{'*a,' * 100_001}]}}]}}\n"
    result, answer = both(FCOS + options)
    assert answer.accepted
    assert [message.code for message in result.report.errors] == ["alias-bomb"]


def test_a_byte_that_is_not_utf_8_is_a_character(both: Callable[[str], Both]) -> None:
    result, answer = both(FCOS + "passwd: {users: [{name: core, ssh_authorized_keys_local: [latin]}]}\n")
    assert "caf\\ufffd" in answer.output
    assert "caf\ufffd" in result.output
    assert json.loads(result.output) == json.loads(answer.output)


def test_large_contents_are_compressed_by_another_program(both: Callable[[str], Both]) -> None:
    assert len(FILES["large"]) > EXACT
    result, answer = both(FCOS + "storage: {files: [{path: /a, contents: {local: large}}]}\n")
    packed = [json.loads(output)["storage"]["files"][0]["contents"] for output in (result.output, answer.output)]
    data = [b64decode(contents["source"].partition(",")[2]) for contents in packed]
    assert [contents["compression"] for contents in packed] == ["gzip", "gzip"]
    assert [gzip.decompress(one) for one in data] == [FILES["large"]] * 2
    assert data[0] != data[1]
    assert abs(len(data[0]) - len(data[1])) < len(data[1]) / 10


def test_every_line_of_the_table_has_a_case() -> None:
    table = PAGE.read_text().partition("## Differences from the reference")[2]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    told = [line.split(" | ")[0].removeprefix("| ") for line in lines]
    assert [text.split()[0:2] for text in told] == TOLD


# The lines' first words, in the order of the cases above.
TOLD = [
    ["loses", "where"],
    ["puts", "messages"],
    ["says", "what"],
    ["says", "the"],
    ["takes", "a"],
    ["calls", "LUKS"],
    ["names", "the"],
    ["names", "only"],
    ["accepts", "up"],
    ["accepts", "any"],
    ["writes", "a"],
    ["compresses", "contents"],
]
