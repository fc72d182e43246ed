"""The wheel: two packages, typed, with their data."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
DATA = {
    "firestorm": [
        "clusters/program/Pulumi.yaml",
        "clusters/units/*",
        "node/files/*",
        "node/os/*.bu",
        "node/roles/*.bu",
        "node/units/*",
        "platforms/libvirt/*.xsl",
        "releases/data/*.yaml",
        "spec/cluster.schema.json",
        "py.typed",
    ],
    "firestorm_butane": ["py.typed", "schemas/*.json"],
}
HOMES = {"firestorm": TREE / "components/firestorm", "firestorm_butane": TREE / "butane/firestorm_butane"}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the wheel, built without network by the build backend that is installed."""
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)],
        cwd=TREE,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_holds_the_two_packages_and_nothing_else(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"firestorm", "firestorm_butane"}
    parts = {part for name in names for part in name.split("/")}
    assert [part for part in parts if part in ("__pycache__", "tests") or part.startswith("test_")] == []


@pytest.mark.parametrize("package", ["firestorm", "firestorm_butane"])
def test_it_holds_every_module_and_all_data(names: set[str], package: str) -> None:
    home = HOMES[package]
    wanted = {path for pattern in ("**/*.py", *DATA[package]) for path in home.glob(pattern) if path.is_file()}
    for pattern in DATA[package]:
        assert list(home.glob(pattern)), f"{package}/{pattern} is gone"
    assert {f"{package}/{path.relative_to(home)}" for path in wanted} - names == set()


def test_no_file_of_a_package_is_of_a_kind_that_nobody_thought_of() -> None:
    """A new kind of data file has to be named above, so that the wheel is looked at for it."""
    for package, home in HOMES.items():
        known = {path for pattern in ("**/*.py", *DATA[package]) for path in home.glob(pattern)}
        found = {path for path in home.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        assert {str(path.relative_to(home)) for path in found - known} == set()
