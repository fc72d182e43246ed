"""The development cluster: what the lab adds to a cluster's life, and what its commands print."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
import yaml

from firestorm.clusters import document, site
from firestorm.clusters.live import states
from firestorm.errors import SpecError
from firestorm.platforms.libvirt import acceleration
from firestorm_lab import cli, development_cli, report, standin
from firestorm_lab.development import Development, check_early, is_stand_in
from firestorm_lab.errors import LabError

OUTPUTS = {
    "kubeconfig": "apiVersion: v1\n",
    "apiAddress": "https://10.17.0.10:6443",
    "expires": {"admin": "2027-11-23T00:00:00+00:00", "ca/etcd": "2036-11-23T00:00:00+00:00"},
    "nodes": [{"name": "dev-worker-0", "role": "worker", "address": "10.17.1.10", "version": "v1.36.4"}],
}


@pytest.fixture
def development(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Development:
    """A cluster that is not there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("FIRESTORM_REGISTER", str(tmp_path / "register"))
    return Development.named("dev")


def configure(development: Development, os_: dict[str, str], libvirt: dict[str, str]) -> None:
    """Write what Pulumi would have been told."""
    development.home.mkdir(parents=True, exist_ok=True)
    config = {"firestorm:os": os_, "firestorm:platform": {"libvirt": libvirt}}
    development.stack_config.write_text(yaml.safe_dump({"config": config}))


def test_problems_are_found_before_anything_is_made(development: Development, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("name: dev\nos: {name: debian}\nplatform: 5\nworkers:\n  - {name: w, cpus: none}\n")
    with pytest.raises(SpecError) as caught, development.working("up"):
        development.prepare(*document.load(development.home, str(path)))
    assert [str(problem).partition("; ")[0] for problem in caught.value.problems] == [
        f"{path}:3:1: platform: must be a map, not 5",
        f'{path}:5:15: workers[0].cpus: must be a whole number, not the text "none"',
    ]
    assert not development.home.exists()


def test_the_stand_in_may_be_asked_for_by_name_alone() -> None:
    check_early({"name": "dev", "os": {"name": "debian"}}, None)
    assert is_stand_in({"os": {"name": "debian"}})
    assert not is_stand_in({"os": {"name": "debian", "image": {}}})
    assert not is_stand_in({"os": {"name": "flatcar"}})


def test_the_stand_ins_site(tmp_path: Path) -> None:
    image = {"name": "debian", "version": "1", "path": "/i", "sha256": "s", "kernel": "/k", "initrd": "/r"}
    found = {
        "image": {**image, "kernel_arguments": ["quiet"]},
        "artifacts": [{"name": "kubelet", "arch": "amd64", "url": "https://dl.k8s.io/x", "sha256": "t"}],
        "mirrors": {"releases": {"https://dl.k8s.io": "/dl.k8s.io"}, "registries": ["registry.k8s.io"]},
    }
    made = standin.site(found, "/python")
    file = tmp_path / "site.yaml"
    file.write_text(standin.site_file(found, "/python"))
    assert site.parse_file(file) == made
    sizes = {"cpus": 2, "memory": "3GiB", "disk": "10GiB"}
    assert made.under({"name": "dev", "workers": [], "platform": {"libvirt": {"acceleration": "tcg"}}}, "10.0.0.1") == {
        "name": "dev",
        "controllers": sizes,
        "workers": [],
        "os": {
            "name": "debian",
            "image": {"path": "/i", "sha256": "s", "kernel": "/k", "initrd": "/r", "kernel_arguments": ["quiet"]},
        },
        "artifacts": [{"name": "kubelet", "arch": "amd64", "sha256": "t"}],
        "mirrors": {
            "https://dl.k8s.io": "http://10.0.0.1:8080/dl.k8s.io",
            "registry.k8s.io": "http://10.0.0.1:5000",
        },
        "platform": {"libvirt": {"disk_cache": "unsafe", "acceleration": "tcg"}},
    }
    words = "/python -m firestorm_lab serve --address 10.0.0.1 --release-port 8080 --registry-port 5000"
    assert made.command("10.0.0.1") == words.split()


def test_summary(development: Development, monkeypatch: pytest.MonkeyPatch) -> None:
    found = acceleration.Acceleration(kind="tcg", reason="/dev/kvm does not exist")
    monkeypatch.setattr(acceleration, "find", lambda _requested: found)
    configure(development, {"name": "flatcar"}, {})
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
    configure(development, {"name": "debian"}, {})
    assert development.summary(OUTPUTS).splitlines()[-1] == f"image         {report.STAND_IN}"


def test_states_of_nodes_whose_api_does_not_answer() -> None:
    kubeconfig = yaml.safe_dump(
        {
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
    )
    assert states(kubeconfig, ["a"])["a"].startswith("unknown: ")
    assert "kubeconfig" in states("{}", ["a"])["a"]


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
