"""What every command has in common: help, wrong usage, completion."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm.cli import main
from firestorm.commands.parser import parser
from firestorm.commands.run import function


def commands(whole: argparse.ArgumentParser, *words: str) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command that runs something: its words and its parser."""
    steps = [action for action in whole._actions if isinstance(action, argparse._SubParsersAction)]
    for action in steps:
        for name, command in action.choices.items():
            yield from commands(command, *words, name)
    if not steps and whole.get_default("run"):
        yield words, whole


ALL = dict(commands(parser()))


def test_every_command_is_there() -> None:
    assert {" ".join(words) for words in ALL} == {
        "up", "down", "list", "status", "kubeconfig", "exec", "ci run", "collect", "gc", "extend", "hold", "plan",
        "doctor", "image list", "image fetch", "image prune", "render", "completion",
    }  # fmt: skip


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_command_has_a_function_and_help(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(function(ALL[words].get_default("run")))
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--help"])
    assert f"usage: firestorm {' '.join(words)}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [(), *ALL], ids=" ".join)
def test_help_fits_a_screen(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--help"])
    assert len(capsys.readouterr().out.splitlines()) <= 32


def test_no_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: firestorm")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["up", "--ttl", "soon"], "'soon' is no duration"),
        (["list", "--output", "yaml"], "invalid choice: 'yaml'"),
        (["ci"], "arguments are required"),
        (["down"], "arguments are required: NAME"),
        (["kubeconfig", "--path", "--merge"], "not allowed with argument"),
    ],
)
def test_wrong_usage(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("words", [["ci", "run"], ["ci", "run", "--"]])
def test_a_command_that_is_missing(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "write it after `--`" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("firestorm 0.")


def test_bash_completes_commands_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)
    ask = f"""
        source {script}
        complete -p firestorm
        COMP_WORDS=(firestorm "$@"); COMP_CWORD=$#
        _shtab_firestorm firestorm "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """

    def completed(*words: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", ask, "bash", *words], capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout.splitlines()[1:]

    assert completed("ex") == ["exec", "extend"]
    assert "--keep" in completed("ci", "run", "--k")
    assert completed("list", "--output", "j") == ["json"]


def test_zsh_takes_the_completion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("#compdef firestorm")
    if (zsh := shutil.which("zsh")) is not None:
        subprocess.run([zsh, "-n"], input=text, text=True, check=True, timeout=30)


def test_help_imports_nothing_heavy() -> None:
    """So that it is quick; `make bench` measures how quick."""
    program = """
import sys
from firestorm.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
print(sorted({name.partition(".")[0] for name in sys.modules} & {"pulumi", "yaml", "rich", "httpx", "cryptography",
      "jsonschema", "json", "shtab", "firestorm_butane"}), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(os.environ), capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr == "[]\n"
