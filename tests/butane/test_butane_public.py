"""The door of the package: what it exports, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import firestorm_butane

PACKAGE = Path(firestorm_butane.__file__).parent


def test_the_door_holds_exactly_what_it_lists() -> None:
    exported = {name: getattr(firestorm_butane, name) for name in firestorm_butane.__all__}
    assert all(value.__module__.startswith("firestorm_butane.") for value in exported.values())
    public = {
        name
        for name, value in vars(firestorm_butane).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("firestorm_butane")
    }
    lazy = set(firestorm_butane._HOMES)
    assert public | lazy == set(exported)
    assert list(firestorm_butane.__all__) == sorted(firestorm_butane.__all__)
    assert {*firestorm_butane.__all__, "__name__"} <= set(dir(firestorm_butane))


def test_no_submodule_hides_what_is_imported_late() -> None:
    """Importing a submodule sets the package's attribute of its name."""
    assert {path.stem for path in PACKAGE.glob("*.py")} & set(firestorm_butane._HOMES) == set()
    with pytest.raises(AttributeError, match="no attribute 'translat'"):
        firestorm_butane.translat  # noqa: B018


def test_importing_loads_neither_pulumi_nor_the_network_nor_yaml() -> None:
    code = "import sys, firestorm_butane; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert not {"pulumi", "socket", "ssl", "http", "httpx", "yaml", "jsonschema"} & set(run.stdout.split())


def test_importing_takes_little_time() -> None:
    """At most 60 ms beyond the interpreter's own start, on a machine that has nothing else to do: the best of many."""
    code = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_utime)"
    own, whole = (min(seconds(f"{extra}{code}") for _ in range(15)) for extra in ("", "import firestorm_butane; "))
    assert whole - own < 0.06


def seconds(code: str) -> float:
    environment = {"PYTHONPATH": str(PACKAGE.parent)}
    return float(subprocess.check_output([sys.executable, "-c", code], env=environment, text=True, timeout=60))
