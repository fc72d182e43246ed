"""What `import firestorm` gives, and what it takes."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import Any

import pytest

import firestorm

NAMES = ["Cluster", "ClusterArgs", "ClusterSpec", "FirestormError", "args_from_config"]
HEAVY = ("pulumi", "pulumi_libvirt", "lightkube", "cryptography", "httpx", "jsonschema", "yaml", "rich", "grpc")


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    report = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


def test_the_door_holds_what_it_says() -> None:
    assert firestorm.__all__ == NAMES
    assert set(firestorm._HOMES) == set(NAMES)
    for name in NAMES:
        home: Any = importlib.import_module(firestorm._HOMES[name])
        assert getattr(firestorm, name) is getattr(home, name)
    with pytest.raises(AttributeError, match="no attribute 'Clutser'"):
        firestorm.Clutser  # noqa: B018


def test_everything_comes_with_a_star() -> None:
    scope: dict[str, Any] = {}
    exec("from firestorm import *", scope)
    assert set(NAMES) == scope.keys() - {"__builtins__"}


def test_dir_shows_what_is_not_loaded_yet() -> None:
    code = f"import firestorm; assert {{*{NAMES}, '__doc__', '__name__'}} <= set(dir(firestorm))"
    assert "pulumi" not in modules_after(code)


def test_importing_it_loads_nothing_heavy() -> None:
    assert modules_after("import firestorm") & set(HEAVY) == set()
    assert "pulumi" in modules_after("from firestorm import Cluster")


def test_reading_a_cluster_file_needs_no_pulumi() -> None:
    code = "import firestorm.spec; firestorm.spec.loads('name: demo', name='cluster.yaml')"
    assert modules_after(code) & {"pulumi", "pulumi_libvirt", "lightkube", "grpc", "cryptography"} == set()


def test_compiling_butane_needs_no_firestorm() -> None:
    assert modules_after("import firestorm_butane") & {"firestorm", *HEAVY} <= {"yaml"}
