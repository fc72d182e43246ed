"""The life cycle of a development cluster: its runs as real processes, with a program in Pulumi's place."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from firestorm import spec
from firestorm.errors import PlatformError, SpecError
from firestorm.platforms.libvirt import acceleration
from firestorm.platforms.libvirt.private import Status
from firestorm.platforms.libvirt.sweep import Claim as Holdings
from firestorm.platforms.libvirt.sweep import Swept
from firestorm_lab import cli, development_cli, document, leftovers, report, runs, standin, tools
from firestorm_lab import development as development_module
from firestorm_lab.development import Development
from firestorm_lab.errors import LabError
from firestorm_lab.stack import Stack, write_private
from firestorm_lab.tools import Tools

LAB = Path(runs.__file__).parents[1]
COMPONENTS = LAB.parent / "components"
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
    print((home / "exported").read_text())
elif name == "stack import":
    (home / "imported").write_text(Path(sys.argv[sys.argv.index("--file") + 1]).read_text())
elif name == "stack output":
    print((home / "outputs").read_text())
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

    @staticmethod
    def status(name: str) -> Status:
        return Status(name=name, uri="", namespace="", exists=False, running=False, processes=(), ports=())

    @staticmethod
    def stop(_name: str, **_: object) -> tuple[str, ...]:
        return ()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of the cluster `dev`, whose Pulumi is the program above; nothing that it started is left after."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "pulumi"
    program.write_text(f"#!{sys.executable}\n{PULUMI}")
    program.chmod(0o755)
    found = Tools(bin=folder, home=tmp_path / "pulumi-home", origin={})
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(tools, "ensure", lambda _store: found)
    monkeypatch.setattr(development_module, "private", NoPrivateLibvirt)
    monkeypatch.chdir(tmp_path)
    path = Development.named("dev").home
    path.mkdir(mode=0o700, parents=True)
    yield path
    for pid in runs.processes(path):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def development(home: Path) -> Development:
    """A cluster that was prepared."""
    made = Development.named("dev")
    made.stack.configure({"os": {"name": "flatcar"}, "platform": {"libvirt": {"uri": "qemu:///none"}}})
    put(home, "outputs", OUTPUTS)
    exported(home)
    return made


OUTPUTS = {
    "kubeconfig": "apiVersion: v1\n",
    "apiAddress": "https://10.17.0.10:6443",
    "expires": {"admin": "2027-11-23T00:00:00+00:00", "ca/etcd": "2036-11-23T00:00:00+00:00"},
    "nodes": [{"name": "dev-worker-0", "role": "worker", "address": "10.17.1.10", "version": "v1.36.4"}],
}
CLAIM = {"type": "pulumi-python:dynamic/firestorm:LibvirtClaim", "id": "c"}
DOMAIN = {"type": "libvirt:index/domain:Domain", "id": "uuid-1"}
HOLDINGS = Holdings(description="firestorm:dev", domains=("dev-worker-0",), networks=(("firestorm-dev", "10.17.0.1"),))


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
    """A Python process that may work on the cluster `dev` as `development`, in a session of its own."""
    program = f"""
        import signal
        from pathlib import Path
        from firestorm_lab import development, runs, tools
        signal.signal(signal.SIGINT, signal.default_int_handler)
        found = tools.Tools(bin=Path({str(home.parents[2] / "bin")!r}), home=Path("/nonexistent"), origin={{}})
        tools.ensure = lambda _store: found
        home = Path({str(home)!r})
        development = development.Development.named("dev")
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
    process = start(home, "development.up()")
    wait_for((home / "hanging").exists)
    return process


# The lock


def test_a_process_may_take_the_lock_again_and_another_may_not(home: Path) -> None:
    with runs.exclusive(home, "make up NAME=dev"), runs.exclusive(home, "again"):
        other = start(home, "with runs.exclusive(home, 'other'): pass")
        output = finish(home, other)
        assert f"BusyError: `make up NAME=dev` (process {os.getpid()}) works on the cluster dev: wait for it" in output
    with runs.exclusive(home, "free again"):
        assert runs.holder(home) == runs.Holder(
            pid=os.getpid(), started=int(Path("/proc/self/stat").read_text().split()[21]), command="free again"
        )


def test_the_lock_of_a_killed_process_does_not_block(home: Path) -> None:
    other = start(home, "import time\nwith runs.exclusive(home, 'x'): print('locked', flush=True); time.sleep(60)")
    wait_for(lambda: "locked" in printed(home).read_text())
    with pytest.raises(runs.BusyError), runs.exclusive(home, "y"):
        pass
    kill(other)
    with runs.exclusive(home, "y"):
        assert runs.end_holder(home) is None  # it is this process


def test_a_holder_is_ended_as_by_interrupt(home: Path) -> None:
    other = start(
        home, "import time\nwith runs.exclusive(home, 'make up'): print('locked', flush=True); time.sleep(60)"
    )
    wait_for(lambda: "locked" in printed(home).read_text())
    assert runs.end_holder(home) == f"process make up ({other.pid})"
    output = finish(home, other)
    assert "KeyboardInterrupt" in output


# Runs of Pulumi


def test_processes_of_another_home_are_left_alone(home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    mine, other = (
        subprocess.Popen(command, env={**os.environ, runs.MARKER: str(place)}) for place in (home, tmp_path / "dev2")
    )
    try:
        wait_for(lambda: mine.pid in runs.processes(home))
        name = Path(f"/proc/{mine.pid}/comm").read_text().strip()
        assert runs.end(home) == [f"process {name} ({mine.pid})"]
        mine.wait(10)
        assert other.poll() is None
        assert runs.processes(home) == {}
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_lets_pulumi_end_in_order_and_says_how_to_go_on(
    development: Development, home: Path, number: signal.Signals
) -> None:
    behave(home, up="hang")
    exported(home, CLAIM, DOMAIN)
    process = start(home, "from firestorm_lab import cli\nsignal.signal(15, cli._terminate)\ndevelopment.up()")
    wait_for((home / "hanging").exists)
    process.send_signal(number)
    output = finish(home, process)
    assert process.returncode in (1, 143, -signal.SIGINT)
    assert "cancelled in order" in output
    rest = "there are 1 machines and 1 other resources of the cluster: `make up NAME=dev` goes on from here"
    assert rest in output
    assert runs.processes(home) == {}


def test_a_pulumi_that_does_not_listen_is_killed(home: Path) -> None:
    behave(home, up="deaf")
    process = hanging_up_alone(home)
    ended = runs.end(home, patience=0.3)
    assert {line.rpartition(" (")[0] for line in ended} >= {"process pulumi"}
    assert len(ended) == 2
    process.wait(10)


def hanging_up_alone(home: Path) -> subprocess.Popen[bytes]:
    """Pulumi itself, as a killed `make up` leaves it."""
    stack = Stack(name="dev", home=home)
    process = subprocess.Popen(stack.command("up"), env=stack.environment(), start_new_session=True)
    wait_for((home / "hanging").exists)
    return process


def test_up_goes_on_after_a_killed_one(
    development: Development, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behave(home, up="hang")
    killed = hanging_up(home)
    kill(killed)
    assert len(runs.processes(home)) == 2
    lock_file(home)
    exported(home, CLAIM, DOMAIN, {"type": "random:index:Id", "id": "no"}, pending=1)
    leftovers.remember(home, "qemu:///none", HOLDINGS)
    swept: list[object] = []

    def sweep(*arguments: object) -> Swept:
        swept.append(arguments)
        return Swept(removed=("domain dev-worker-0",), kept=())

    monkeypatch.setattr(leftovers, "sweep_strays", sweep)
    behave(home)

    assert development.up() == OUTPUTS

    assert swept == [("qemu:///none", HOLDINGS, ["uuid-1"])]
    assert json.loads((home / "imported").read_text()) == {
        "deployment": {"resources": [CLAIM, DOMAIN, {"type": "random:index:Id", "id": "no"}]}
    }
    said = capsys.readouterr().err
    assert "ended process pulumi (" in said
    assert "removed the lock of an earlier run" in said
    assert "removed domain dev-worker-0, which an earlier run left outside the Pulumi state" in said
    assert calls(home)[-7:] == ["up", "cancel", "stack export", "stack export", "stack import", "up", "stack output"]

    (home / "calls").unlink()
    development.up()
    assert calls(home) == ["up", "stack output"]  # what came up well needs no repair


def test_strays_are_only_looked_for_under_a_claim_of_ours(development: Development, home: Path) -> None:
    exported(home, DOMAIN)
    leftovers.remember(home, "qemu:///none", HOLDINGS)
    assert leftovers.remove_strays(development.stack) == []


def test_a_failed_up_says_what_is_left(development: Development, home: Path) -> None:
    behave(home, up="fail")
    exported(home, CLAIM)
    with pytest.raises(LabError) as caught:
        development.up()
    assert str(caught.value) == (
        "pulumi up of dev ended with status 1; its own words are above\n"
        "there are 0 machines and 1 other resources of the cluster: `make up NAME=dev` goes on from here, "
        "`make down NAME=dev` removes everything"
    )
    assert not development.kubeconfig.exists()
    assert development.try_up() == (1, "error: it does not want to\n")


def test_files_of_a_cluster_are_its_owners_alone(development: Development, home: Path) -> None:
    home.chmod(0o755)
    with development.working("up"):
        development.up()
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()}
    assert home.stat().st_mode & 0o777 == 0o700
    assert {name: modes[name] for name in ("kubeconfig", "passphrase", "Pulumi.dev.yaml")} == {
        "kubeconfig": 0o600, "passphrase": 0o600, "Pulumi.dev.yaml": 0o600,
    }  # fmt: skip
    assert development.kubeconfig.read_text() == "apiVersion: v1\n"
    assert not [name for name in modes if name.startswith(".") and name != ".pulumi"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    write_private(path, "old")
    with pytest.raises(TypeError):
        write_private(path, 5)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# Down


def test_down_of_nothing_is_fine_and_twice_too(development: Development, home: Path) -> None:
    development.up()
    assert development.down() == ["the cluster dev"]
    assert not home.exists()
    assert development.down() == []
    assert not home.exists()


def test_down_ends_an_up_that_goes_on(development: Development, home: Path) -> None:
    behave(home, up="hang")
    process = hanging_up(home)
    ended = development.down()
    output = finish(home, process)
    assert "cancelled in order" in output
    assert ended == [f"process make up NAME=dev ({process.pid})", "the cluster dev"]
    assert not home.exists()


def test_down_ends_what_a_killed_up_left(development: Development, home: Path) -> None:
    behave(home, up="hang")
    killed = hanging_up(home)
    kill(killed)
    lock_file(home)
    ended = development.down()
    assert ended[0].startswith("process pulumi (")
    assert ended[-1] == "the cluster dev"
    assert not home.exists()


@pytest.mark.parametrize("broken", ["destroy fails", "state is gone", "state is no JSON and configuration is gone"])
def test_down_without_a_usable_state_removes_by_name(
    development: Development, home: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    leftovers.remember(home, "qemu:///none", HOLDINGS)
    development.up()
    if broken == "destroy fails":
        behave(home, destroy="fail")
    elif broken == "state is gone":
        development.stack.checkpoint.unlink()
    else:
        development.stack.checkpoint.write_text("{")
        development.stack_config.unlink()
    swept: list[object] = []

    def sweep(*arguments: object) -> Swept:
        swept.append(arguments)
        return Swept(removed=("domain dev-worker-0",), kept=("network firestorm-dev: it is not this cluster's",))

    monkeypatch.setattr(leftovers, "sweep", sweep)
    assert development.down() == ["domain dev-worker-0", "nothing of network firestorm-dev: it is not this cluster's"]
    assert swept == [("qemu:///none", HOLDINGS)]
    assert not home.exists()


def test_down_keeps_everything_while_libvirt_cannot_be_reached(
    development: Development, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sweep(*_: object) -> Swept:
        raise PlatformError("libvirt at qemu:///none cannot be reached")

    monkeypatch.setattr(leftovers, "sweep", sweep)
    leftovers.remember(home, "qemu:///none", HOLDINGS)
    behave(home, destroy="fail")
    (home / "unfinished").touch()
    with pytest.raises(LabError) as caught:
        development.down()
    assert str(caught.value) == (
        "libvirt at qemu:///none cannot be reached\n"
        "The cluster dev is still there: repair that, and run `make down NAME=dev` again"
    )
    assert (home / "passphrase").exists()


def test_files_of_a_cluster_without_libvirt(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "clusters" / "dev"
    (place / "volumes").mkdir(parents=True)
    (place / "console").mkdir()
    (place / "volumes" / "disk.qcow2").write_text("x")
    (place / "console" / "dev-worker-0.log").touch()
    os.mkfifo(place / "console" / "dev-worker-0.journal.in")
    (place / "console" / "of-another").write_text("x")
    for uri in ("qemu:///system", "qemu+ssh://far/system"):
        holdings = Holdings(
            description="firestorm:dev",
            pool_path=str(place / "volumes"),
            files=(str(place / "console" / "dev-worker-0.log"),),
            pipes=(str(place / "console" / "dev-worker-0.journal.in"),),
            directories=(str(place / "console"), str(place), str(place.parent)),
        )
        leftovers.remember(home, uri, holdings)
    assert leftovers.remove_files(home, which=leftovers.is_empty) == [
        f"file {place}/console/dev-worker-0.log",
        f"file {place}/console/dev-worker-0.journal.in",
    ]
    assert leftovers.remove_files(home) == [f"file {place}/volumes/disk.qcow2", f"directory {place}/volumes"]
    assert [path.name for path in (place / "console").iterdir()] == ["of-another"]


def test_a_pool_without_a_path_is_not_the_working_directory(home: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    leftovers.remember(home, "qemu:///system", HOLDINGS)
    assert leftovers.remove_files(home) == []
    assert (tmp_path / "precious").exists()


def test_holdings_of_one_place_are_gathered(home: Path) -> None:
    more = Holdings(description="firestorm:dev", domains=("dev-worker-0", "dev-worker-1"), networks=HOLDINGS.networks)
    leftovers.remember(home, "qemu:///a", HOLDINGS)
    leftovers.remember(home, "qemu:///b", HOLDINGS)
    leftovers.remember(home, "qemu:///a", more)
    leftovers.remember(home, "qemu:///a", HOLDINGS)
    assert leftovers.recall(home) == [("qemu:///a", more), ("qemu:///b", HOLDINGS)]


# The stack


def test_a_stack_is_made_once(development: Development, home: Path) -> None:
    development.stack.configure({"workers": []})
    assert calls(home) == ["stack init"]
    assert yaml.safe_load(development.stack_config.read_text()) == {
        "encryptionsalt": "v1:salt", "config": {"firestorm:workers": []},
    }  # fmt: skip


HALVES = [
    ("configuration lost", {"checkpoint": {"latest": {"secrets_providers": {"state": {"salt": "v1:s"}}}}}, "v1:s", 0),
    ("made and never used", {"checkpoint": {"latest": None}}, "v1:salt", 1),
    ("configuration without a state", None, "v1:salt", 1),
]


@pytest.mark.parametrize(("state", "salt", "made"), [case[1:] for case in HALVES], ids=[case[0] for case in HALVES])
def test_a_stack_that_was_made_by_half(home: Path, state: object, salt: str, made: int) -> None:
    stack = Stack(name="dev", home=home)
    (home / "calls").touch()
    if state is None:
        stack.config.write_text("encryptionsalt: v1:other\n")
    else:
        stack.checkpoint.parent.mkdir(parents=True)
        stack.checkpoint.write_text(json.dumps(state))
    stack.ensure()
    assert yaml.safe_load(stack.config.read_text())["encryptionsalt"] == salt
    assert calls(home).count("stack init") == made


def test_a_lock_that_cancel_does_not_remove(development: Development, home: Path) -> None:
    assert not development.stack.unlock()
    path = lock_file(home)
    path.with_suffix(".json.attrs").touch()
    (path.parent / "1.json").touch()
    assert development.stack.unlock()
    assert list(path.parent.iterdir()) == []


# The document


def test_paths_of_a_cluster_file_become_absolute(tmp_path: Path) -> None:
    whole = {
        "os": {"name": "flatcar", "image": {"path": "disk.img", "sha256": "0"}},
        "controllers": {"snippets": ["a.bu", {"path": "/b.bu"}, {"name": "c", "content": "d"}]},
        "workers": [{"name": "w", "os": {"image": {"kernel": "k", "initrd": "i"}}}],
    }
    before = json.dumps(whole)
    assert document.absolute(whole, tmp_path) == {
        "os": {"name": "flatcar", "image": {"path": f"{tmp_path}/disk.img", "sha256": "0"}},
        "controllers": {"snippets": [f"{tmp_path}/a.bu", {"path": "/b.bu"}, {"name": "c", "content": "d"}]},
        "workers": [{"name": "w", "os": {"image": {"kernel": f"{tmp_path}/k", "initrd": f"{tmp_path}/i"}}}],
    }
    assert json.dumps(whole) == before


def test_the_cluster_file_is_remembered(home: Path, tmp_path: Path) -> None:
    assert document.load(home, None) == ({}, None)
    path = tmp_path / "cluster.yaml"
    path.write_text("name: mine\nworkers: []\n")
    given, source = document.load(home, str(path))
    assert given == {"name": "mine", "workers": []}
    assert source is not None
    document.remember(home, source)
    assert document.load(home, None)[0] == given
    assert document.whole("dev", given)["name"] == "mine"
    assert document.whole("dev", {}) == {"name": "dev"}


def test_problems_are_found_before_anything_is_made(home: Path, tmp_path: Path) -> None:
    home.rmdir()
    path = tmp_path / "cluster.yaml"
    path.write_text("name: dev\nos: {name: debian}\nplatform: 5\nworkers:\n  - {name: w, cpus: none}\n")
    made = Development.named("dev")
    with pytest.raises(SpecError) as caught, made.working("up"):
        made.prepare(*document.load(home, str(path)))
    assert [str(problem).partition("; ")[0] for problem in caught.value.problems] == [
        f"{path}:3:1: platform: must be a map, not 5",
        f'{path}:5:15: workers[0].cpus: must be a whole number, not the text "none"',
    ]
    assert not home.exists()


def test_the_stand_in_may_be_asked_for_by_name_alone() -> None:
    document.check_early({"name": "dev", "os": {"name": "debian"}}, None)
    assert document.is_stand_in({"os": {"name": "debian"}})
    assert not document.is_stand_in({"os": {"name": "debian", "image": {}}})
    assert not document.is_stand_in({"os": {"name": "flatcar"}})


def test_the_stand_ins_document() -> None:
    image = {"name": "debian", "version": "1", "path": "/i", "sha256": "s", "kernel": "/k", "initrd": "/r"}
    found = {
        "image": {**image, "kernel_arguments": ["quiet"]},
        "artifacts": [{"name": "kubelet", "arch": "amd64", "url": "https://dl.k8s.io/x", "sha256": "t"}],
        "mirrors": {"releases": {"https://dl.k8s.io": "/dl.k8s.io"}, "registries": ["registry.k8s.io"]},
    }
    made = standin.complete({"name": "dev", "workers": []}, found, "10.255.255.1")
    assert made == {
        "name": "dev",
        "controllers": {"cpus": 2, "memory": "3GiB", "disk": "10GiB"},
        "workers": [],
        "os": {
            "name": "debian",
            "image": {"path": "/i", "sha256": "s", "kernel": "/k", "initrd": "/r", "kernel_arguments": ["quiet"]},
        },
        "artifacts": [{"name": "kubelet", "arch": "amd64", "sha256": "t"}],
        "mirrors": {
            "https://dl.k8s.io": "http://10.255.255.1:8080/dl.k8s.io",
            "registry.k8s.io": "http://10.255.255.1:5000",
        },
    }


# What is printed


def test_summary(development: Development, monkeypatch: pytest.MonkeyPatch) -> None:
    found = acceleration.Acceleration(kind="tcg", reason="/dev/kvm does not exist")
    monkeypatch.setattr(acceleration, "find", lambda _requested: found)
    text = development.summary(OUTPUTS)
    head, _, rest = text.partition("API")
    assert [word for word in head.split() if "dev" in word or word in ("Ready", "state")] == [
        "state", "dev-worker-0", "Ready",
    ]  # fmt: skip
    assert f"API{rest}".splitlines() == [
        "API           https://10.17.0.10:6443",
        f"kubeconfig    {development.kubeconfig}",
        "certificates  the first to expire is admin, on 2027-11-23",
        "machines      under TCG, QEMU's emulation: /dev/kvm does not exist",
    ]
    development.stack.configure({"os": {"name": "debian"}, "platform": {"libvirt": {}}})
    assert development.summary(OUTPUTS).splitlines()[-1] == f"image         {report.STAND_IN}"


def test_states_of_nodes_whose_api_does_not_answer() -> None:
    kubeconfig = yaml.safe_dump(
        {
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
    )
    assert report.live_states(kubeconfig, ["a"])["a"].startswith("unknown: ")
    assert "kubeconfig" in report.live_states("{}", ["a"])["a"]


COMMANDS = [
    (["status", "dev"], 1, "error: the cluster dev does not exist: `make up NAME=dev` brings it up\n"),
    (["kubeconfig", "dev"], 1, "/kubeconfig does not exist: `make up NAME=dev` writes it once the cluster is up\n"),
    (
        ["up", "dev", "--cluster", "/nonexistent/c.yaml"],
        1,
        "error: /nonexistent/c.yaml: cannot be read: No such file or ",
    ),
]


@pytest.mark.parametrize(("arguments", "status", "message"), COMMANDS, ids=[case[0][0] for case in COMMANDS])
def test_commands_fail_with_a_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(development_cli, "_become_root", lambda **_: None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        assert cli.main(arguments) == status
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert message in capsys.readouterr().err
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "firestorm"])


@pytest.mark.parametrize("name", ["", "Dev", "-dev", "dev-", "a" * 21, "../dev", "9"])
def test_names_that_no_cluster_may_have(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["up", "--", name])
    assert caught.value.code == 2
    assert f"argument NAME: {name!r}: use up to 20 lower case letters" in capsys.readouterr().err


def test_without_root_sudo_keeps_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[list[str]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "getgid", lambda: 1001)
    monkeypatch.setattr(os, "execv", lambda _path, argv: executed.append(argv))
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/sudo")
    monkeypatch.setattr(development_cli, "uses_system_libvirt", lambda: False)
    monkeypatch.setattr(sys, "argv", ["x", "up", "dev"])
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setenv("PATH", "/p")
    development_cli._become_root()
    kept = ["HOME=/home/u", "PATH=/p", "FIRESTORM_OWNER=1000:1001"]
    assert executed == [["/usr/bin/sudo", "-E", "env", *kept, sys.executable, "-m", "firestorm_lab", "up", "dev"]]
    monkeypatch.setattr(development_cli, "uses_system_libvirt", lambda: True)
    development_cli._become_root()
    assert len(executed) == 1
    development_cli._become_root(always=True)
    assert len(executed) == 2
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(LabError, match="this needs root"):
        development_cli._become_root(always=True)


def test_a_source_without_a_file_is_not_remembered(home: Path) -> None:
    document.remember(home, spec.Source())
    assert not (home / "cluster-file").exists()
