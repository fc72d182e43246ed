"""`firestorm render|image|doctor`: what is described, cached and found on this host."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from firestorm.cli import main
from firestorm.clusters import doctor
from firestorm.clusters.doctor import Check, examine
from firestorm.platforms.libvirt.acceleration import Acceleration
from firestorm.spec import parse
from tests.components.clusters.standing_in import NoPrivateLibvirt

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "FIRESTORM_REGISTER"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    for variable in ("FIRESTORM_SITE", "FIRESTORM_KUBECTL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- render


def test_every_file_of_every_node_is_written(place: Path, capsys: Capture) -> None:
    (place / "motd.bu").write_text(
        "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n"
        "    - {path: /etc/motd, mode: 0644, contents: {inline: hello}}\n"
    )
    (place / "cluster.yaml").write_text("workers: [{name: worker, count: 2, snippets: [motd.bu]}]\n")
    assert main(["render", "rendered", "--spec", "cluster.yaml"]) == 0
    assert "of 3 nodes are in rendered" in capsys.readouterr().out
    rendered = place / "rendered"
    nodes = {path.name for path in rendered.iterdir()}
    assert nodes == {"dev-controller-0", "dev-worker-0", "dev-worker-1", "manifests"}
    assert (rendered / "dev-worker-1/rootfs/etc/motd").read_text() == "hello"
    assert not (rendered / "dev-controller-0/rootfs/etc/motd").exists()
    pod = rendered / "dev-controller-0/rootfs/etc/kubernetes/manifests/kube-apiserver.yaml"
    if not pod.exists():  # where static pods lie until the control plane may start
        [pod] = rendered.glob("dev-controller-0/rootfs/**/kube-apiserver.yaml")
    assert yaml.safe_load(pod.read_text())["kind"] == "Pod"
    assert "ExecStart=" in (rendered / "dev-worker-0/rootfs/etc/systemd/system/kubelet.service").read_text()
    assert json.loads((rendered / "dev-worker-0/config.ign").read_text())["ignition"]["version"]
    fetched = json.loads((rendered / "dev-worker-0/fetched.json").read_text())
    assert fetched["/opt/bin/kubelet"]["hash"].startswith("sha256-")
    kinds = {yaml.safe_load(path.read_text())["kind"] for path in (rendered / "manifests").iterdir()}
    assert {"Deployment", "DaemonSet", "ClusterRoleBinding"} <= kinds


def test_a_directory_with_something_in_it_is_left_alone(place: Path, capsys: Capture) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "file").touch()
    assert main(["render", "mine"]) == 1
    assert capsys.readouterr().err == "error: mine is not an empty directory: name another one\n"
    assert main(["render", "mine/file"]) == 1


def test_a_render_of_a_wrong_spec_writes_nothing(place: Path, capsys: Capture) -> None:
    (place / "cluster.yaml").write_text("kubernetes: {version: old}\n")
    assert main(["render", "rendered", "--spec", "cluster.yaml"]) == 1
    assert "cluster.yaml:1:" in capsys.readouterr().err
    assert not (place / "rendered").exists()


# -- image


def test_an_empty_cache(capsys: Capture) -> None:
    assert main(["image", "list"]) == 0
    assert main(["image", "list", "--output", "json"]) == 0
    assert main(["image", "prune"]) == 0
    assert capsys.readouterr() == ("[]\nnothing to remove\n", "no images\n")


def test_images_are_listed_and_pruned(place: Path, capsys: Capture) -> None:
    cache = place / "xdg_cache_home" / "firestorm" / "images"
    cache.mkdir(parents=True)
    names = [f"flatcar-stable-4230.2.{index}-amd64-0123456789ab.qcow2" for index in (1, 2)]
    for name in names:
        (cache / name).write_bytes(bytes(2**20))
    (cache / "mine.qcow2").touch()
    assert main(["image", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["IMAGE", "MIB"], [names[0], "1"]]
    assert main(["image", "prune", "--keep", names[1]]) == 0
    assert capsys.readouterr().out == f"removed {names[0]}\n"
    assert sorted(path.name for path in cache.iterdir()) == [names[1], "mine.qcow2"]


def test_a_fetch_that_reaches_no_server(place: Path, capsys: Capture) -> None:
    (place / "cluster.yaml").write_text(
        "mirrors: {'https://stable.release.flatcar-linux.net': 'http://127.0.0.1:1'}\nworkers: []\n"
    )
    assert main(["image", "fetch", "--spec", "cluster.yaml", "--os", "flatcar", "--version", "4230.2.1"]) == 1
    err = capsys.readouterr().err
    assert "127.0.0.1:1" in err
    assert "Traceback" not in err


# -- doctor


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with nothing amiss."""
    monkeypatch.setattr(doctor, "uses_system_libvirt", lambda: False)
    monkeypatch.setattr(doctor, "private", Packages())
    monkeypatch.setattr(doctor, "egress", Packages())
    monkeypatch.setattr("firestorm.clusters.doctor.shutil.which", lambda name, **_: f"/usr/bin/{name}")
    monkeypatch.setattr("firestorm.clusters.doctor.os.geteuid", lambda: 0)
    monkeypatch.setattr(
        "firestorm.clusters.doctor.acceleration.find", lambda _: Acceleration(kind="kvm", reason="it ran")
    )
    monkeypatch.setattr("firestorm.clusters.doctor.allocation.limits", lambda *_: [])


class Packages(NoPrivateLibvirt):
    """Stands for what asks for packages."""

    def __init__(self, *lacking: str) -> None:
        self.lacking = lacking

    def missing(self) -> tuple[str, ...]:
        return self.lacking


def look(**given: object) -> dict[str, Check]:
    return {check.name: check for check in examine(parse({"name": "dev", **given}))}


def test_a_host_with_nothing_amiss(host: None) -> None:
    checks = look()
    assert set(checks) == {"pulumi", "kubectl", "KVM", "libvirt", "rights", "room", "networks", "inotify"}
    assert {check.result for name, check in checks.items() if name != "inotify"} == {"ok"}
    assert all(bool(check.remedy) is (check.result != "ok") for check in checks.values())


def test_what_is_missing_has_a_remedy(host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "private", Packages("libvirt-daemon", "xsltproc"))
    monkeypatch.setattr(doctor, "egress", Packages("slirp4netns"))
    monkeypatch.setattr("firestorm.clusters.doctor.shutil.which", lambda _name, **_: None)
    monkeypatch.setattr("firestorm.clusters.doctor.os.geteuid", lambda: 1000)
    monkeypatch.setattr(
        "firestorm.clusters.doctor.acceleration.find", lambda _: Acceleration(kind="tcg", reason="no /dev/kvm")
    )
    monkeypatch.setattr(
        "firestorm.clusters.doctor.allocation.limits", lambda *_: ["the machines need much: give them less"]
    )
    checks = look()
    results = {name: check.result for name, check in checks.items() if name not in ("inotify", "networks")}
    assert results == {
        "pulumi": "failed", "kubectl": "warning", "KVM": "warning", "libvirt": "failed", "rights": "failed",
        "room": "failed",
    }  # fmt: skip
    assert checks["libvirt"].remedy == "apt-get install --no-install-recommends libvirt-daemon xsltproc slirp4netns"
    assert (checks["room"].found, checks["room"].remedy) == ("the machines need much", "give them less")
    assert all(check.remedy for check in checks.values() if check.result != "ok")


def test_the_systems_libvirt_and_the_hosts_networks(host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "uses_system_libvirt", lambda: True)
    monkeypatch.setattr(doctor, "preflight", lambda _: ["virsh is not installed: install it"])
    monkeypatch.setattr(
        "firestorm.clusters.doctor.HostFacts.gather",
        classmethod(lambda cls: cls(routes=(("10.20.0.0/24", "eth0"),))),
    )
    checks = look(network={"pods": "10.20.0.0/16"})
    assert (checks["libvirt"].found, checks["libvirt"].remedy) == ("virsh is not installed", "install it")
    assert checks["networks"].found == "network.pods 10.20.0.0/16 overlaps 10.20.0.0/24 of eth0"


def test_doctor_here(capsys: Capture) -> None:
    """Whatever this machine is like, it is told of without a traceback, and the exit status agrees."""
    status = main(["doctor", "--output", "json"])
    checks = json.loads(capsys.readouterr().out)
    assert status == int(any(check["result"] == "failed" for check in checks))
    assert main(["doctor"]) == status
    out = capsys.readouterr().out
    assert all(check["found"] in out for check in checks if check["name"] in ("libvirt", "rights"))


def test_no_check_changes_anything(place: Path) -> None:
    before = subprocess.run(["ls", "-R", str(place)], capture_output=True, text=True, check=True).stdout
    main(["doctor"])
    assert subprocess.run(["ls", "-R", str(place)], capture_output=True, text=True, check=True).stdout == before
