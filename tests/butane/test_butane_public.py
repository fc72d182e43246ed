"""The door of the package: what it exports, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import firestorm_butane

PACKAGE = Path(firestorm_butane.__file__).parent
LATE = [name for names in firestorm_butane._HOMES.values() for name in names]
COMPILER = "from firestorm_butane import translate"


def test_the_door_holds_exactly_what_it_lists() -> None:
    exported = {name: getattr(firestorm_butane, name) for name in firestorm_butane.__all__}
    assert all(value.__module__.startswith("firestorm_butane.") for value in exported.values())
    assert sorted(LATE) == sorted(exported)
    assert list(firestorm_butane.__all__) == sorted(firestorm_butane.__all__)
    assert {*firestorm_butane.__all__, "__name__"} <= set(dir(firestorm_butane))


def test_no_submodule_hides_what_is_imported_late() -> None:
    """Importing a submodule sets the package's attribute of its name."""
    assert {path.stem for path in PACKAGE.glob("*.py")} & set(LATE) == set()
    with pytest.raises(AttributeError, match="no attribute 'translat'"):
        firestorm_butane.translat  # noqa: B018


def loaded_by(code: str) -> set[str]:
    """The modules that an interpreter has loaded after this code, without what starting it loads."""
    run = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)",
        ],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(run.stdout.split())


# What takes long to load and a compilation may do without. How long the import takes, `make bench` says.
SLOW = {"pulumi", "socket", "ssl", "http", "httpx", "urllib", "yaml", "jsonschema", "argparse", "pathlib", "difflib"}


def test_the_package_alone_loads_nothing() -> None:
    assert {name for name in loaded_by("import firestorm_butane") if "." in name} == set()


def test_the_compiler_loads_neither_pulumi_nor_the_network_nor_what_takes_long() -> None:
    loaded = loaded_by(COMPILER)
    assert "firestorm_butane.compiler" in loaded
    assert {name.partition(".")[0] for name in loaded} & SLOW == set()


def test_outside_of_the_standard_library_it_imports_nothing() -> None:
    roots = {name.partition(".")[0] for name in loaded_by(COMPILER)}
    assert roots - sys.stdlib_module_names == {"firestorm_butane"}


def test_what_is_not_for_every_compilation_is_not_imported_for_it() -> None:
    loaded = {name.removeprefix("firestorm_butane.") for name in loaded_by(COMPILER)}
    late = {"cli", "cli_ignition", "compare", "contents", "descriptions", "display", "schemas", "secrecy"}
    assert loaded & (late | {"yamlevents", "yamlwriter"}) == set()
