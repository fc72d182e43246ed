"""`make bench`, its part about clusters that live as long as one command: cold, warm, and from a snapshot.

All three are seconds until the command of `firestorm ci run` begins. Cold is on a machine that never had a cluster, as
a new CI runner: Pulumi, its provider, the OS image and the container images in it are made first, in an empty cache,
where a machine with the Internet before it would download them. Modules that Go has downloaded before, it keeps.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firestorm.clusters import site
from firestorm.clusters.snapshots import snapshot_name
from firestorm.spec import parse
from firestorm.spec.files import read
from firestorm_lab import facts, measure, standin, tools
from firestorm_lab.cache import Cache
from firestorm_lab.errors import LabError
from firestorm_lab.progress import say

_FIRESTORM = (sys.executable, "-m", "firestorm.cli")
_SPEC = "controllers: {memory: 3GiB}\nworkers: [{name: worker, cpus: 1}]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds; `made` is what making everything takes, a part of `cold`."""

    made: float
    cold: float
    warm: float
    snapshot: float


def run(store: Cache) -> Times:
    """Measure. Raises LabError when something does not come up."""
    say("cold: making everything in an empty cache")
    made = _everything(store)
    with tempfile.TemporaryDirectory(prefix="firestorm-bench-") as folder:
        spec, place = Path(folder, "cluster.yaml"), Path(folder, "site.yaml")
        spec.write_text(_SPEC)
        place.write_text(standin.site_file(facts.collect(store), sys.executable))
        environment = {**os.environ, **tools.ensure(store).environment(), site.VARIABLE: str(place)}
        try:
            say("warm: a cluster for one command")
            warm = _until_command(spec, environment)
            say("snapshot: another one")
            again = _until_command(spec, environment)
        finally:
            described = site.parse_file(place).document("bench", *read(str(spec)))
            name = snapshot_name(parse(described))
            _call([*_FIRESTORM, "down", name], environment)
    return Times(made=made, cold=made + warm, warm=warm, snapshot=again)


def _everything(store: Cache) -> float:
    """Seconds to make, in an empty cache and with an empty one of Go's compiler, what a cluster needs."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=store.root / "tmp") as folder:
        environment = {**os.environ, "FIRESTORM_CACHE": f"{folder}/cache", "GOCACHE": f"{folder}/go"}
        command = [sys.executable, "-m", "firestorm_lab", "facts"]
        return measure.seconds(lambda: _call(command, environment, stdout=subprocess.DEVNULL))


def _until_command(spec: Path, environment: Mapping[str, str]) -> float:
    begun = spec.with_name("begun")
    begun.unlink(missing_ok=True)
    words = ["ci", "run", "--snapshot", "1h", "--spec", str(spec), "--artifacts", str(spec.with_name("artifacts"))]
    start = time.time()
    _call([*_FIRESTORM, *words, "--", "touch", str(begun)], environment)
    return begun.stat().st_mtime - start


def _call(command: list[str], environment: Mapping[str, str], *, stdout: int | None = None) -> None:
    """Run a command, which says itself what goes wrong. Raises LabError then."""
    if subprocess.run(command, env=environment, stdout=stdout, check=False).returncode != 0:
        raise LabError(f"`{' '.join(command[1:])}` failed: see above")
