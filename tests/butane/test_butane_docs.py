"""docs/butane.md: every command and example is run; every documented config is compiled by both compilers."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm_butane import translate
from firestorm_butane.variants import VERSIONS
from tests.butane.agreement import difference
from tests.butane.references import Reference

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/butane.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def blocks(kind: str) -> list[tuple[str, str]]:
    return [(match[2] or "", match[3]) for match in BLOCK.finditer(PAGE.read_text()) if match[1] == kind]


FILES = {name: text for kind in ("yaml", "json") for name, text in blocks(kind) if name}
COMMANDS = [(match[1], match[2]) for _, text in blocks("console") for match in COMMAND.finditer(text)]


@pytest.mark.parametrize(("command", "expected"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_commands(command: str, expected: str, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    program = tmp_path / "bin/firestorm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m firestorm.cli "$@"\n')
    program.chmod(0o755)
    run = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT / 'components'}:{ROOT / 'butane'}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    shown = run.stdout + (f"[exit code {run.returncode}]\n" if run.returncode else "")
    assert shown == expected


def test_python_examples() -> None:
    text = "\n".join(code for _, code in blocks("pycon"))
    test = doctest.DocTestParser().get_doctest(text, {}, "docs/butane.md", str(PAGE), 0)
    assert test.examples
    failed: list[str] = []
    doctest.DocTestRunner().run(test, out=failed.append)
    assert not failed, "".join(failed)


def test_the_schemas_are_where_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    ((_, code),) = blocks("python")
    exec(compile(code, str(PAGE), "exec"), {})
    assert (Path(capsys.readouterr().out.strip()) / "butane.json").is_file()


def documented() -> Iterator[tuple[str, str, Path]]:
    """Every Butane config in the documentation and the examples: where it is, its text, and its files directory."""
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")]):
        for match in BLOCK.finditer(page.read_text()):
            if re.search("^variant: ", match[3], re.MULTILINE):
                line = page.read_text().count("\n", 0, match.start()) + 1
                yield f"{page.relative_to(ROOT)}:{line}", match[3], page.parent
    for path in sorted(ROOT.glob("examples/**/*.bu")):
        yield str(path.relative_to(ROOT)), path.read_text(), path.parent


DOCUMENTED = {name: (text, files_dir) for name, text, files_dir in documented()}


@pytest.mark.parametrize(("text", "files_dir"), DOCUMENTED.values(), ids=DOCUMENTED)
def test_configs_compile_the_same_in_both_compilers(text: str, files_dir: Path, reference: Reference) -> None:
    differs = difference(translate(text, files_dir=files_dir), reference.translate(text, files_dir=str(files_dir)))
    assert not differs, differs


def test_every_place_with_configs_is_looked_at() -> None:
    places = {name.partition(":")[0] for name in DOCUMENTED}
    assert {"README.md", "docs/butane.md", "docs/nodes.md", "examples/butane/host.bu"} <= places


def test_the_table_of_variants_is_complete() -> None:
    for variant in dict.fromkeys(variant for variant, _ in VERSIONS):
        stable = [v.version for v in VERSIONS.values() if v.variant == variant and not v.experimental]
        (new,) = [v.version for v in VERSIONS.values() if v.variant == variant and v.experimental]
        listed = ", ".join(stable) if len(stable) < 3 else f"{stable[0]} to {stable[-1]}"
        assert f"| `{variant}` | {listed} | {new} |\n" in PAGE.read_text()
