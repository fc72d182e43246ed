"""Units, drop-ins and scripts of every config as the node's own programs read them.

`systemd-analyze verify --root` sees a tree that holds what Ignition would write: units, drop-ins and files with their
modes. What the operating system brings stands in it as stubs, all of which are listed here, so that a unit which calls
a program that neither Firestorm nor the system has is an error.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from firestorm.node import NodeConfig, preview_config
from tests.components.node.node_configs import MakeCluster, content, each_machine, files, node_of, text, units

SYSTEM_PROGRAMS = ("bin/sh", *(f"usr/bin/{name}" for name in ("containerd", "cp", "mv", "tar", "touch")))
SYSTEM_TARGETS = ("sysinit", "basic", "shutdown", "multi-user", "network-online")
CONTAINERD = "[Unit]\nDescription=containerd\n\n[Service]\nExecStart=/usr/bin/containerd\n"


def lay_out(config: NodeConfig, root: Path) -> list[str]:
    """Write the node's tree below `root`; the names of all units."""
    for path in SYSTEM_PROGRAMS:
        _write(root / path, b"", 0o755)
    _write(root / "usr/lib/systemd/system/containerd.service", CONTAINERD.encode(), 0o644)
    for target in SYSTEM_TARGETS:
        _write(root / f"usr/lib/systemd/system/{target}.target", b"[Unit]\n", 0o644)
    for path, file in files(config).items():
        remote = not file["contents"]["source"].startswith("data:")
        _write(root / path.lstrip("/"), b"" if remote else content(file["contents"]), file["mode"])
    folder = root / "etc/systemd/system"
    present = []
    for name, unit in units(config).items():
        if unit.get("mask"):
            assert "contents" not in unit
            continue
        if "contents" in unit:
            _write(folder / name, unit["contents"].encode(), 0o644)
        for dropin in unit.get("dropins", []):
            _write(folder / f"{name}.d" / dropin["name"], dropin["contents"].encode(), 0o644)
        present.append(name)
    return present


def verify(root: Path, names: Sequence[str]) -> str:
    """All that systemd-analyze has to say; nothing, if all is well."""
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is needed (Debian package systemd)"
    done = subprocess.run(
        [program, "verify", f"--root={root}", "--man=no", *names],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 or said, "systemd-analyze failed without a word"
    return said


@each_machine
def test_units_and_dropins_are_right(with_snippet: MakeCluster, tmp_path: Path, system: str, role: str) -> None:
    spec = with_snippet(system)
    names = lay_out(preview_config(spec, node_of(spec, role)), tmp_path / "root")
    expected = {
        "cni-config.path",
        "cni-config.service",
        "cni-plugins.service",
        "containerd.service",
        "firestorm-booted.service",
        "firestorm-journal.service",
        "join.service",
        "kubelet.service",
    }
    controller = {"control-plane.service"} if role == "controller" else set()
    assert expected | controller | {"greeting.service"} == set(names)
    assert verify(tmp_path / "root", names) == ""


@pytest.mark.parametrize(
    ("unit", "before", "after", "complaint"),
    [
        ("kubelet.service", "Restart=always", "Restart=allways", "Failed to parse service restart specifier"),
        ("kubelet.service", "OOMScoreAdjust", "OOMScoreAjust", "Unknown key"),
        ("kubelet.service", "/opt/bin/kubelet", "/opt/bin/kublet", "/opt/bin/kublet is not executable"),
        ("kubelet.service", "Requires=containerd", "Requires=container", "container.service not found"),
        ("containerd.service.d/10-report.conf", "[Service]", "[Servce]", "Unknown section 'Servce'"),
    ],
)
def test_mistakes_would_be_found(
    cluster: MakeCluster, tmp_path: Path, unit: str, before: str, after: str, complaint: str
) -> None:
    spec = cluster()
    names = lay_out(preview_config(spec, node_of(spec, "worker")), tmp_path)
    file = tmp_path / "etc/systemd/system" / unit
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after, 1))
    assert complaint in verify(tmp_path, names)


def test_the_console_script_is_a_shell_script_and_says_what_readiness_reads(
    cluster: MakeCluster, tmp_path: Path
) -> None:
    spec = cluster()
    script = tmp_path / "console"
    script.write_text(text(preview_config(spec, node_of(spec, "worker")), "/opt/bin/firestorm-console"))
    subprocess.run(["sh", "-n", str(script)], check=True, timeout=10)
    # `failed` runs as ExecStopPost= of every end, also of good ones, of which it must not speak.
    done = subprocess.run(
        ["sh", str(script), "failed", "kubelet.service"],
        env={"PATH": os.environ["PATH"], "SERVICE_RESULT": "success"},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    assert done.stdout == ""


def test_what_protect_kernel_defaults_demands(cluster: MakeCluster) -> None:
    """k8s.io/component-helpers v0.36.4, node/util/sysctl: the kubelet ends at any other value."""
    spec = cluster()
    config = preview_config(spec, node_of(spec, "worker"))
    lines = text(config, "/etc/sysctl.d/90-kubernetes.conf").splitlines()
    parameters = dict(line.split(" = ") for line in lines if not line.startswith("#"))
    demanded = {
        "vm.overcommit_memory": "1",
        "vm.panic_on_oom": "0",
        "kernel.panic": "10",
        "kernel.panic_on_oops": "1",
        "kernel.keys.root_maxkeys": "1000000",
        "kernel.keys.root_maxbytes": "25000000",
    }
    assert {key: parameters.get(key) for key in demanded} == demanded


def test_the_pod_networks_configuration_comes_after_flannels_subnet(cluster: MakeCluster) -> None:
    spec = cluster()
    config = preview_config(spec, node_of(spec, "worker"))
    plugins = json.loads(text(config, "/opt/cni/10-flannel.conflist"))["plugins"]
    assert [plugin["type"] for plugin in plugins] == ["flannel", "portmap"]
    assert "/etc/cni/net.d/10-flannel.conflist" not in files(config)
    assert "PathExists=/run/flannel/subnet.env" in units(config)["cni-config.path"]["contents"]
    assert units(config)["cni-config.path"]["enabled"]
    assert not units(config)["cni-config.service"].get("enabled")


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
