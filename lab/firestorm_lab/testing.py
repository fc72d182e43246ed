"""`make test`: formatting, lint, types and every test, with the lab's programs where the tests look for them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from firestorm.platforms.libvirt import egress, private
from firestorm_lab import facts, packages
from firestorm_lab.cache import Cache
from firestorm_lab.development import TREE
from firestorm_lab.errors import LabError
from firestorm_lab.progress import say

# Programs that tests call by themselves, and how they find them.
_VARIABLES = {
    "butane": "FIRESTORM_BUTANE",
    "ignition-validate": "FIRESTORM_IGNITION_VALIDATE",
    "ignition-merge": "FIRESTORM_IGNITION_MERGE",
    "firestorm-references": "FIRESTORM_REFERENCES",
    "kube-control-plane": "FIRESTORM_KUBE_CONTROL_PLANE",
    "etcd": "FIRESTORM_ETCD",
    "kubectl": "FIRESTORM_KUBECTL",
    "containerd": "FIRESTORM_CONTAINERD",
}
_PACKAGES = ("curl", "gpg", "gpgv", "gpg-agent", "qemu-utils", "fdisk", "systemd")


def run(pytest_arguments: Sequence[str]) -> None:
    """Everything that CI runs. Raises LabError naming the first check that failed."""
    packages.require((*_PACKAGES, *private.missing(), *egress.missing()))
    found = facts.collect(Cache.default())
    programs = found["programs"]
    environment = {
        **os.environ,
        **{variable: programs[name] for name, variable in _VARIABLES.items() if name in programs},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), found["tools"]["bin"], os.environ["PATH"]]),
        "PULUMI_HOME": found["tools"]["pulumi_home"],
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    for name, command in (
        ("formatting", ["ruff", "format", "--check", "--quiet", "."]),
        ("lint", ["ruff", "check", "--quiet", "."]),
        ("types", ["mypy"]),
        *_tests(pytest_arguments),
    ):
        say(f"==> {name}")
        if subprocess.run(command, cwd=TREE, env=environment, check=False).returncode != 0:
            raise LabError(f"{name} failed: {' '.join(command)}")


def _tests(arguments: Sequence[str]) -> tuple[tuple[str, list[str]], ...]:
    """All tests: those that boot no machine side by side, see tests/conftest.py; then those that do, one by one."""
    if arguments:
        return (("tests", ["pytest", *arguments]),)
    processes = str(len(os.sched_getaffinity(0)) + 1)  # one mostly waits, for what the lab's tests start
    return (
        (
            "tests without machines",
            ["pytest", "-q", "-n", processes, "--dist", "loadfile", "-m", "not machine and not trial"],
        ),
        ("tests on machines", ["pytest", "-m", "machine and not trial", "--durations=10"]),
    )
