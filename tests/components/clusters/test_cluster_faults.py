"""`up`, `down` and `gc` killed at any moment: the next gc leaves nothing of ours, and all of somebody else's.

The machines have nothing to boot and never get Ready, so that a round takes seconds; moments are spread over all that
is done until they run, and over the whole of `down` and `gc`.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import private
from firestorm.platforms.libvirt.virsh import Virsh
from tests.components.clusters.shared_libvirt import Host
from tests.components.platforms.libvirt_place import Place, require_lab

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(1800)]
SEED, ROUNDS = 5, 20
COMMANDS = {"up": 10, "down": 5, "gc": 5}
_PATIENCE = 120.0


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A libvirt with a foreign machine that runs, a foreign network and a foreign volume."""
    require_lab()
    assert shutil.which("pulumi"), "lab tests need Pulumi: `make test` puts it on PATH"
    place = Place(name="faults", state_dir=tmp_path_factory.mktemp("l"))
    made = Host(root=tmp_path_factory.mktemp("h"), virsh=Virsh(uri=place.start().uri))
    try:
        made.make_foreign()
        yield made
    finally:
        made.run("clusters.gc()")  # what a failed test has left
        place.stop()
    assert place.traces() == []


def moments() -> list[tuple[str, float]]:
    """(command, when it is killed, as a share of its time): for each command one in every equal part of it."""
    chance = random.Random(SEED)
    return [
        (command, (index + chance.random()) / count) for command, count in COMMANDS.items() for index in range(count)
    ]


def bring_up(host: Host, name: str, *, own: bool, kill_after: float | None = None) -> float:
    """Start an `up`; kill it after some seconds or, without, once its machine runs; the seconds it took."""
    document, site = host.document(), None
    if own:  # in a private libvirt of its own, beside a server as an air-gapped site has it
        del document["platform"]
        site = host.root / "site.yaml"
        site.write_text("inside: [sleep, infinity]\n")
    started = time.monotonic()
    process = host.start(f"clusters.up({document!r}, name={name!r}, progress=print)", site=site)
    try:
        while time.monotonic() - started < (_PATIENCE if kill_after is None else kill_after):
            if kill_after is None and runs(host, name, own=own):
                break
            assert process.poll() is None, (host.root / "printed").read_text()
            time.sleep(0.05)
        else:
            assert kill_after is not None, (host.root / "printed").read_text()
        return time.monotonic() - started
    finally:
        process.kill()
        process.wait()


def runs(host: Host, name: str, *, own: bool) -> bool:
    uri = private.status(name).uri if own else host.virsh.uri
    try:
        return f"{name}-controller-0" in Virsh(uri=uri).run("list", "--name").split()
    except PlatformError:
        return False  # it is not started yet


def end(host: Host, code: str, kill_after: float | None = None) -> float:
    """Run a command that ends clusters, or kill it after some seconds; how long it took."""
    started = time.monotonic()
    process = host.start(code)
    try:
        process.wait(_PATIENCE if kill_after is None else kill_after)
    except subprocess.TimeoutExpired:
        assert kill_after is not None, (host.root / "printed").read_text()
    finally:
        process.kill()
        process.wait()
    return time.monotonic() - started


def test_whatever_is_killed_is_cleaned_up(host: Host) -> None:
    planned = moments()
    assert len(planned) == ROUNDS
    before = host.foreign()
    took = {own: bring_up(host, f"first-{own:d}", own=own) for own in (False, True)}
    took_down = end(host, "clusters.down('first-0')")
    took_gc = end(host, "clusters.gc()")
    assert left(host) == []
    for number, (command, share) in enumerate(planned):
        name, own = f"round-{number}", number % 2 == 1
        if command == "up":
            bring_up(host, name, own=own, kill_after=share * took[own] * 1.1)
        else:
            bring_up(host, name, own=own)
            code = f"clusters.down({name!r})" if command == "down" else "clusters.gc()"
            end(host, code, kill_after=share * (took_down if command == "down" else took_gc))
        printed = host.run("report = clusters.gc(progress=print)\nprint(report)\nassert not report.failed")
        assert left(host) == [], f"{command} of {name} killed at {share:.2f} of its time; gc printed:\n{printed}"
        assert host.foreign() == before


def test_gc_without_home_or_register_goes_by_the_marks(host: Host) -> None:
    before = host.foreign()
    for name, own in (("lost-0", False), ("lost-1", True)):
        bring_up(host, name, own=own)
        shutil.rmtree(host.homes / name)
        (host.root / "register" / f"{name}.json").unlink()
    printed = host.run("report = clusters.gc()\nprint(report)\nassert not report.failed")
    assert left(host) == [], printed
    assert host.foreign() == before


def left(host: Host) -> list[str]:
    """Everything of ours, also in the host's own places."""
    places = (Path("/var/lib/firestorm/private"), Path("/var/lib/firestorm/clusters"), Path("/run/netns"))
    own = [str(path) for place in places if place.is_dir() for path in place.iterdir()]
    return host.ours() + [path for path in own if any(word in path for word in ("round-", "first-", "lost-"))]
