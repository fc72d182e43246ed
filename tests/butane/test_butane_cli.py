"""The command line beside the reference's: the same exit codes, the same standard output, the same files."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import firestorm_butane
from firestorm_butane import cli
from tests.butane.references import tool

GOOD = "variant: fcos\nversion: 1.5.0\nkernel_arguments: {should_exist: [a]}\n"
WARNS = GOOD + "unknown: 1\n"
WRONG = "variant: fcos\nversion: 1.5.0\nstorage: {files: [{path: a}]}\n"
LOCAL = "variant: fcos\nversion: 1.5.0\nstorage: {files: [{path: /a, contents: {local: motd}}]}\n"
OPENSHIFT = (
    "variant: openshift\nversion: 4.14.0\n"
    "metadata: {name: x, labels: {machineconfiguration.openshift.io/role: worker}}\nopenshift: {fips: true}\n"
)
FILES = {"good.bu": GOOD, "warns.bu": WARNS, "wrong.bu": WRONG, "files/motd": "hello\n", "openshift.bu": OPENSHIFT}


@dataclass(frozen=True)
class Outcome:
    code: int
    output: str
    errors: str
    files: dict[str, str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """Runs our command in a directory with the files above."""

    def go(arguments: list[str], standard_input: str | bytes = "", *, command: str = "butane") -> Outcome:
        prepare(tmp_path)
        monkeypatch.chdir(tmp_path)
        data = standard_input.encode() if isinstance(standard_input, str) else standard_input
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        code = cli.main([command, *arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err, made(tmp_path))

    return go


def prepare(folder: Path) -> None:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def made(folder: Path) -> dict[str, str]:
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - set(FILES)
    return {name: (folder / name).read_text() for name in sorted(names)}


SAME: dict[str, tuple[list[str], str]] = {
    "standard input": ([], GOOD),
    "a file": (["good.bu"], ""),
    "pretty": (["-p", "good.bu"], ""),
    "pretty, long": (["--pretty", "good.bu"], ""),
    "options after the file": (["good.bu", "--pretty"], ""),
    "options in one": (["-ps", "good.bu"], ""),
    "to a file": (["-o", "out.ign", "good.bu"], ""),
    "to a file, long": (["--output=out.ign", "good.bu"], ""),
    "to a file that cannot be": (["-o", "missing/out.ign", "good.bu"], ""),
    "a wrong config leaves no file": (["-o", "out.ign", "wrong.bu"], ""),
    "check": (["--check", "good.bu"], ""),
    "check leaves no file": (["-c", "-o", "out.ign", "good.bu"], ""),
    "check of a wrong config": (["-c", "wrong.bu"], ""),
    "warnings": (["warns.bu"], ""),
    "strict": (["--strict", "warns.bu"], ""),
    "strict without warnings": (["-s", "good.bu"], ""),
    "a wrong config": ([], WRONG),
    "raw errors": (["--raw-errors"], WRONG),
    "not YAML": ([], "a: ["),
    "no variant": ([], "a: 1"),
    "empty": ([], ""),
    "a missing file": (["missing.bu"], ""),
    "a directory": (["files"], ""),
    "local files": (["-d", "files"], LOCAL),
    "local files, long": (["--files-dir", "files"], LOCAL),
    "no files directory": ([], LOCAL),
    "a missing files directory": (["-d", "nowhere"], LOCAL),
    "a MachineConfig": (["openshift.bu"], ""),
    "a pretty MachineConfig": (["-p", "openshift.bu"], ""),
    "a raw MachineConfig": (["--raw", "openshift.bu"], ""),
    "a raw MachineConfig, short": (["-r", "openshift.bu"], ""),
    "two files": (["good.bu", "warns.bu"], ""),
    "an unknown option": (["--bogus"], ""),
    "an option cut short": (["--pret", "good.bu"], ""),
    "colour": (["--color", "good.bu"], ""),
    "colour, never": (["--color=never", "wrong.bu"], ""),
    "colour, British": (["--colour", "wrong.bu"], ""),
}


@pytest.mark.parametrize(("arguments", "standard_input"), SAME.values(), ids=SAME)
def test_as_the_reference(arguments: list[str], standard_input: str, run: object, tmp_path: Path) -> None:
    assert callable(run)
    ours = run(arguments, standard_input)
    folder = tmp_path / "reference"
    prepare(folder)
    theirs = subprocess.run(
        [tool("butane", "FIRESTORM_BUTANE"), *arguments],
        input=standard_input,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ours.code == theirs.returncode
    assert ours.output == theirs.stdout
    assert bool(ours.errors) == bool(theirs.stderr)
    assert ours.files == made(folder)


def test_messages(run: object) -> None:
    assert callable(run)
    place = "<stdin>:3:26: error: path 'a' is not absolute; begin it with '/' ($.storage.files.0.path)"
    assert run(["--raw-errors"], WRONG).errors == place + "\n"
    assert run([], WRONG).errors.startswith(place + "\n    3 | storage: {files: [{path: a}]}\n")
    assert "\033[1;31merror\033[0m" in run(["--color=always"], WRONG).errors
    assert "\033" not in run([], WRONG).errors
    assert run(["missing.bu"]).errors == "cannot read missing.bu: no such file or directory\n"
    assert run(["-s", "warns.bu"]).errors.endswith("the config has warnings, and --strict was given\n")


def test_bytes_that_are_not_text_are_told_with_their_place(run: object) -> None:
    assert callable(run)
    outcome = run([], GOOD.encode() + b"# caf\xe9\n")
    assert outcome.code == 1
    assert outcome.errors.startswith("<stdin>:4:6: error: not valid YAML")


def test_help_and_version(run: object) -> None:
    assert callable(run)
    for arguments in (["--help"], ["-h"], ["--version"], ["-V"]):
        outcome = run(arguments)
        assert outcome.code == 0
        assert outcome.output
        assert not outcome.errors
    assert "Butane 0.29.0" in run(["-V"]).output


# -- ignition ----------------------------------------------------------------------------------------------------------

PARENT = {"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "/a", "mode": 0o600}]}}
CHILD = {"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "/a", "mode": 0o644}]}}


@pytest.mark.parametrize(
    ("arguments", "standard_input", "code", "output", "errors"),
    [
        (["validate", "-"], json.dumps(PARENT), 0, "", ""),
        (["validate", "-"], '{"ignition": {"version": "3.4.0"}, "x": 1}', 0, "<stdin>:1:41: warning: ", ""),
        (["validate", "-s", "-"], '{"ignition": {"version": "3.4.0"}, "x": 1}', 1, "<stdin>:1:41: warning: ", ""),
        (["validate", "-"], "{", 1, "<stdin>:1:2: error: not valid JSON", ""),
        (["validate", "missing"], "", 1, "", "cannot read missing"),
        (["merge", "-"], json.dumps(CHILD), 0, '{"ignition":{"version":"3.4.0"},', ""),
        (["merge", "-p", "-"], json.dumps(CHILD), 0, '{\n  "ignition": {\n', ""),
        (["merge", "-"], "{}", 1, "", "<stdin>:1:1: error: "),
        (["diff", "-", "good.bu"], json.dumps(CHILD), 2, "", "<new>:1:1: error: not valid JSON"),
        (["diff", "missing", "-"], json.dumps(CHILD), 2, "", "cannot read missing"),
        (["show", "-"], json.dumps(CHILD), 0, "Ignition 3.4.0\nfiles\n  /a  0644\n", ""),
        (["show", "-"], "[]", 1, "", "<ignition>:1:1: error: "),
        ([], "", 2, "", "usage: "),
        (["frobnicate"], "", 2, "", "usage: "),
    ],
)
def test_ignition(arguments: list[str], standard_input: str, code: int, output: str, errors: str, run: object) -> None:
    assert callable(run)
    outcome = run(arguments, standard_input, command="ignition")
    assert outcome.code == code
    assert outcome.output.startswith(output)
    assert outcome.errors.startswith(errors)
    assert bool(outcome.output) == bool(output)
    assert bool(outcome.errors) == bool(errors)


def test_two_configs(run: object, tmp_path: Path) -> None:
    assert callable(run)
    paths = [tmp_path / "parent.ign", tmp_path / "child.ign"]
    for path, config in zip(paths, (PARENT, CHILD), strict=True):
        path.write_text(json.dumps(config))
    names = [str(path) for path in paths]
    merged = run(["merge", *names], command="ignition")
    assert json.loads(merged.output) == CHILD
    assert run(["diff", *names], command="ignition").output == "~ file /a\n    mode: 0600 → 0644\n"
    assert json.loads(run(["diff", "--json", *names], command="ignition").output)[0]["name"] == "/a"
    assert "\033[33m" in run(["diff", "--color", *names], command="ignition").output
    same = run(["diff", names[0], names[0]], command="ignition")
    assert (same.code, same.output) == (0, "")
    assert run(["merge", "-o", "out.ign", *names], command="ignition").files["out.ign"] == merged.output


# -- the ways in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--help"], 0), (["frobnicate"], 2)])
def test_usage(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == code
    captured = capsys.readouterr()
    assert "usage: firestorm butane" in (captured.err if code else captured.out)


@pytest.mark.parametrize("module", ["firestorm_butane", "firestorm.cli"])
def test_modules_are_programs(module: str) -> None:
    tree = Path(firestorm_butane.__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-m", module, "butane"],
        input=GOOD,
        env={**os.environ, "PYTHONPATH": f"{tree / 'components'}:{tree / 'butane'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(run.stdout)["kernelArguments"] == {"shouldExist": ["a"]}


def test_a_reader_that_leaves_early_is_no_error() -> None:
    tree = Path(firestorm_butane.__file__).parents[1]
    long = GOOD + "passwd: {users: [{name: " + "x" * 200_000 + "}]}\n"
    run = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m firestorm_butane butane | head -c 1'],
        input=long.encode(),
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert run.stderr == b""
