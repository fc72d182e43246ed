"""Clusters whose Pulumi is a program of the tests': runs as real processes, without a libvirt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firestorm.platforms.libvirt.private import Status
from firestorm.platforms.libvirt.sweep import Claim as Holdings

TREE = Path(__file__).parents[3]
COMPONENTS, LAB = TREE / "components", TREE / "lab"
# What the program in Pulumi's place does is in a file beside the state: a line each for `up`, `destroy` and others.
PULUMI = r"""
import json, os, signal, subprocess, sys, time
from pathlib import Path
home = Path(os.environ["PULUMI_BACKEND_URL"].removeprefix("file://"))
name = sys.argv[1]
if name == "stack":
    name += " " + next(word for word in sys.argv if word in ("init", "export", "import", "output"))
with (home / "calls").open("a") as file:
    file.write(name + "\n")
behaviour = json.loads((home / "behaviour").read_text()) if (home / "behaviour").exists() else {}
what = behaviour.get(name, "")
checkpoint = home / ".pulumi/stacks/firestorm" / f"{home.name}.json"
lock = home / ".pulumi/locks/organization/firestorm" / home.name / "0.json"
if name == "stack init":
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_text("{}")
    (home / f"Pulumi.{home.name}.yaml").write_text("encryptionsalt: v1:salt\n")
elif name == "stack export":
    print((home / "exported").read_text() if (home / "exported").exists() else '{"deployment": {}}')
elif name == "stack import":
    (home / "imported").write_text(Path(sys.argv[sys.argv.index("--file") + 1]).read_text())
elif name == "stack output":
    print((home / "outputs").read_text() if (home / "outputs").exists() else os.environ["OUTPUTS"])
elif name == "cancel":
    lock.unlink()
elif name == "destroy" and not what:
    checkpoint.unlink()
if what == "fail":
    sys.exit("error: it does not want to")
if what in ("hang", "deaf"):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    def interrupted(*_):
        if what == "hang":
            print("cancelled in order", flush=True)
            child.kill()
            sys.exit(1)
    signal.signal(signal.SIGINT, interrupted)
    (home / "hanging").write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)
"""


class NoPrivateLibvirt:
    """Stands for `private`, on a machine where none was ever started."""

    DEFAULT_SERVICE_ADDRESS = "10.255.255.1"

    @staticmethod
    def status(name: str) -> Status:
        return Status(name=name, uri="", namespace="", exists=False, running=False, processes=(), ports=())

    @staticmethod
    def stop(_name: str, **_: object) -> tuple[str, ...]:
        return ()


OUTPUTS = {
    "kubeconfig": "apiVersion: v1\n",
    "apiAddress": "https://10.17.0.10:6443",
    "expires": {"admin": "2027-11-23T00:00:00+00:00", "ca/etcd": "2036-11-23T00:00:00+00:00"},
    "nodes": [{"name": "dev-worker-0", "role": "worker", "address": "10.17.1.10", "version": "v1.36.4"}],
}
CLAIM = {"type": "pulumi-python:dynamic/firestorm:LibvirtClaim", "id": "c"}
DOMAIN = {"type": "libvirt:index/domain:Domain", "id": "uuid-1"}
HOLDINGS = Holdings(description="firestorm:dev", domains=("dev-worker-0",), networks=(("firestorm-dev", "10.17.0.1"),))


SPEC = """\
platform:
  libvirt: {uri: "qemu:///system"}
controllers: {memory: 2GiB}
workers: []
"""


def refuse(directory: Path, command: str) -> Path:
    """Have the program in Pulumi's place, in `directory`/bin, fail at this command, whichever cluster it is for."""
    program = directory / "bin" / "pulumi"
    behaviour = 'what = behaviour.get(name, "")'
    text = program.read_text()
    assert behaviour in text
    program.write_text(text.replace(behaviour, f'what = "fail" * (name == "{command}")'))
    return program


def put(home: Path, name: str, content: object) -> None:
    (home / name).write_text(json.dumps(content))


def behave(home: Path, **behaviour: str) -> None:
    put(home, "behaviour", behaviour)


def exported(home: Path, *resources: dict[str, Any], pending: int = 0) -> None:
    operations = [{"type": "creating"}] * pending
    put(home, "exported", {"deployment": {"resources": list(resources), "pending_operations": operations}})


def calls(home: Path) -> list[str]:
    return (home / "calls").read_text().splitlines()


def lock_file(home: Path) -> Path:
    path = home / ".pulumi/locks/organization/firestorm/dev/0.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return path


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start(home: Path, text: str) -> subprocess.Popen[str]:
    """A Python process that may work on the cluster `dev` as `life`, in a session of its own."""
    program = f"""
        import signal, sys
        from pathlib import Path
        from firestorm.clusters import runs
        from firestorm.clusters.life import Life
        signal.signal(signal.SIGINT, signal.default_int_handler)
        home = Path({str(home)!r})
        life = Life.named("dev", say=lambda line: print(line, flush=True))
    """
    path = os.pathsep.join(map(str, (LAB, COMPONENTS)))
    with printed(home).open("w") as file:  # no pipe: Pulumi keeps it open when this process is killed
        return subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program) + textwrap.dedent(text)],
            env={**os.environ, "PYTHONPATH": path},
            text=True,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def printed(home: Path) -> Path:
    return home.parents[2] / "printed"


def finish(home: Path, process: subprocess.Popen[str]) -> str:
    """What a process that ends printed."""
    process.wait(30)
    return printed(home).read_text()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def hanging_up(home: Path) -> subprocess.Popen[str]:
    """An `up` that goes on until it is ended."""
    process = start(home, "life.up()")
    wait_for((home / "hanging").exists)
    return process
