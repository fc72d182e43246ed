"""`make fuzz`: look for what makes the compiler raise, or eat memory; half of the time each for two ways of looking.

    python -m firestorm_lab.fuzz MINUTES

The first is guided by coverage (atheris, installed from lab/fuzz.lock), the second draws from the properties of
tests/butane/test_butane_properties.py. What the first finds interesting stays in the cache, so that the next run goes
on from it. Each process may take 200 MB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from firestorm_lab.cache import Cache, Item, Workspace, file_digest
from firestorm_lab.development import TREE
from firestorm_lab.errors import LabError
from firestorm_lab.progress import say

MEMORY_MB = 200
_LOCK = TREE / "lab/fuzz.lock"
_STUCK = 300  # seconds on one input, of a machine that others use too


def run(minutes: float) -> None:
    """Both ways, one after the other. Raises LabError with the first thing found."""
    seconds = int(minutes * 30)
    _by_coverage(seconds)
    _by_properties(seconds)


def _by_coverage(seconds: int) -> None:
    cache = Cache.default()
    atheris = cache.ensure(
        Item(name="atheris", inputs={"lock": file_digest(_LOCK), "python": sys.version}), _install, "installing"
    )
    folder = cache.root / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-rss_limit_mb={MEMORY_MB}", f"-timeout={_STUCK}"]
    say(f"==> guided by coverage, {seconds} s")
    command: list[str | Path] = [
        "tests/butane/fuzz_butane.py",
        folder / "corpus",
        *options,
        f"-artifact_prefix={folder}/",
    ]
    status, peak = _python(command, {"PYTHONPATH": str(atheris / "packages")})
    say(f"the fuzzer took {peak} MB")
    if status != 0:
        raise LabError(f"the input that it ended with is in {folder}: tests/butane/fuzz_butane.py runs it again")


def _install(workspace: Workspace) -> None:
    packages = workspace.out / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    workspace.runner.run([*pip, "--target", str(packages), "--requirement", str(_LOCK)])


def _by_properties(seconds: int) -> None:
    say(f"==> by properties, {seconds} s")
    # In a directory that it does not know, Hypothesis begins with tables of all characters, in 250 MB of its own.
    _python(["-c", "from hypothesis import strategies; strategies.text().validate()"])
    end = time.monotonic() + seconds
    command = ["-m", "pytest", "-q", "--hypothesis-profile=long", "tests/butane/test_butane_properties.py"]
    peaks: list[int] = []
    while not peaks or time.monotonic() < end:
        status, peak = _python(command)
        if status != 0:
            raise LabError("a property does not hold: the input is above")
        peaks.append(peak)
    say(f"of {len(peaks)} runs of the properties, the largest took {max(peaks)} MB")
    if max(peaks) > MEMORY_MB:
        raise LabError(f"the compiler took {max(peaks)} MB, and may take {MEMORY_MB}")


def _python(arguments: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> tuple[int, int]:
    """Run Python in the tree: its exit status, and the most memory that it had, in MB."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=TREE, env={**os.environ, **(environment or {})})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss // 1024


if __name__ == "__main__":
    try:
        run(float(sys.argv[1]))
    except LabError as error:
        say(f"error: {error}")
        sys.exit(1)
