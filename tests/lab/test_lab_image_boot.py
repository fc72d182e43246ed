"""The stand-in OS boots, by QEMU itself: Ignition once, a read-only /usr, plain failures, nobody to log in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from firestorm_lab import image, packages
from firestorm_lab.cache import Cache
from firestorm_lab.image import Image
from firestorm_lab.mirror import MirrorServer
from firestorm_lab.process import stop

pytestmark = [pytest.mark.lab, pytest.mark.machine, pytest.mark.slow, pytest.mark.timeout(900)]
BOOT_SECONDS = 280.0  # emulated, beside whatever else the machine does; alone it takes some fifteen
FETCHED = b"a file that Ignition fetches\n" * 4096
GIB = 1 << 30

# Runs on the machine once it is up; each line that begins with "fact" is one of the test's facts.
PROBE = r"""#!/bin/bash
exec > /dev/console 2>&1
programs="crun curl conntrack ethtool socat nft ip iptables tar gzip"
fact() { echo "fact $1 $2"; }
fact system "$(systemctl is-system-running --wait)"
fact failed "$(systemctl list-units --failed --plain --no-legend | tr '\n' ' ')"
fact hostname "$(hostname)"
fact usr "$(findmnt --noheadings --output FSTYPE,OPTIONS /usr | tr -s ' ')"
fact write "$(touch /usr/x 2>&1)"
fact sshd "$(find / -xdev \( -name sshd -o -name 'ssh*.socket' -o -name 'ssh*.service' \) | tr '\n' ' ')"
fact passwords "$(cut -d: -f2 /etc/shadow | sort -u | tr '\n' ' ')"
fact fetched "$(sha256sum < /opt/fetched)"
fact applied "$(cat /opt/applied)"
fact flag "$(ls /boot)"
fact processors "$(nproc)"
fact root "$(df --output=size --block-size=1 / | tail -1)"
fact machine "$(wc -c < /etc/machine-id)"
fact address "$(ip -4 -o address show scope global | grep -o '10\.0\.2\.15/24')"
fact sysext "$(cat /usr/share/extended)"
fact containerd "$(containerd --version | cut -d' ' -f3) $(systemctl is-enabled containerd.service)"
fact programs "$(for name in $programs; do command -v $name > /dev/null || echo $name; done)"
fact modules "$(modprobe --all br_netfilter overlay vxlan nf_tables && echo loaded)"
fact end -
systemctl poweroff --force
"""


@dataclass(frozen=True, slots=True)
class Boot:
    """What one boot showed on its console."""

    console: str

    @property
    def facts(self) -> dict[str, str]:
        return dict(re.findall(r"^fact (\w+) (.*?) *$", self.console, re.MULTILINE))

    @property
    def up(self) -> tuple[str, float, str]:
        """The machine's own report: its name, its seconds from power-on to userspace, which kind of boot it was."""
        found = re.search(r"firestorm: (\S+) reached userspace after ([\d.]+) s \((.*)\)", self.console)
        assert found, f"no report on the console:\n{self.console[-3000:]}"
        return found[1], float(found[2]), found[3]


def data(text: str) -> str:
    return "data:;base64," + base64.b64encode(text.encode()).decode()


def config(**files: dict[str, Any]) -> dict[str, Any]:
    unit = "[Unit]\nAfter=network-online.target\nWants=network-online.target\n"
    unit += "[Service]\nType=exec\nExecStart=/opt/probe\n[Install]\nWantedBy=multi-user.target\n"
    return {
        "ignition": {"version": "3.4.0"},
        "storage": {"files": [{"path": path, **rest} for path, rest in files.items()]},
        "systemd": {"units": [{"name": "probe.service", "enabled": True, "contents": unit}]},
    }


@pytest.fixture(scope="module")
def system() -> Image:
    packages.require(("qemu-system-x86", "qemu-utils"))
    return image.ensure(Cache.default())


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    root = tmp_path_factory.mktemp("releases")
    (root / "file").write_bytes(FETCHED)
    with MirrorServer(root, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.port
        server.shutdown()
        thread.join()


def overlay(system: Image, target: Path, size: int) -> Path:
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(system.disk), "-F", "qcow2", str(target), str(size)]
    subprocess.run(command, check=True, timeout=60)
    return target


def boot(system: Image, disk: Path, ignition: Path, port: int, until: str | None = None) -> Boot:
    """Run the machine until it powers off, or until its console shows `until`."""
    arguments = " ".join(system.description()["kernel_arguments"])
    console = disk.with_name(f"{disk.stem}-{time.monotonic_ns()}.log")
    network = f"user,model=virtio-net-pci,restrict=on,guestfwd=tcp:10.0.2.100:80-tcp:127.0.0.1:{port}"
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"]
    command += ["-smp", "2", "-m", "1024", "-kernel", str(system.kernel), "-initrd", str(system.initrd)]
    command += ["-append", arguments, "-drive", f"file={disk},format=qcow2,if=virtio,cache=unsafe", "-nic", network]
    command += ["-fw_cfg", f"name=opt/com.coreos/config,file={ignition}", "-device", "virtio-rng-pci"]
    command += ["-display", "none", "-monitor", "none", "-serial", f"file:{console}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        deadline = time.monotonic() + BOOT_SECONDS
        while process.poll() is None:
            text = read(console)
            if until is not None and until in text:
                break
            assert time.monotonic() < deadline, f"not done after {BOOT_SECONDS:.0f} s:\n{text[-3000:]}"
            time.sleep(0.5)
    finally:
        stop(process)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        process.stderr.close()
    assert "qemu-system-x86_64: -" not in errors, errors
    return Boot(read(console))


def read(console: Path) -> str:
    return console.read_text(errors="replace").replace("\r", "") if console.exists() else ""


@dataclass(frozen=True, slots=True)
class Life:
    """A machine's first boot and its second, of the same disk with the same command line and the same config."""

    first: Boot
    second: Boot


@pytest.fixture(scope="module")
def life(system: Image, releases: int, tmp_path_factory: pytest.TempPathFactory) -> Life:
    work = tmp_path_factory.mktemp("boot")
    digest = hashlib.sha256(FETCHED).hexdigest()
    fetched = {"source": "http://10.0.2.100/file", "verification": {"hash": f"sha256-{digest}"}}
    files: dict[str, dict[str, Any]] = {
        "/etc/hostname": {"mode": 0o644, "contents": {"source": data("node-1\n")}},
        "/opt/probe": {"mode": 0o755, "contents": {"source": data(PROBE)}},
        "/opt/fetched": {"mode": 0o644, "contents": fetched},
        "/etc/extensions/test/usr/lib/extension-release.d/extension-release.test": {
            "contents": {"source": data("ID=_any\n")}
        },
        "/etc/extensions/test/usr/share/extended": {"mode": 0o644, "contents": {"source": data("by an extension")}},
        # A second run of Ignition would append again.
        "/opt/applied": {"mode": 0o644, "append": [{"source": data("once;")}]},
    }
    ignition = work / "config.ign"
    ignition.write_text(json.dumps(config(**files)))
    disk = overlay(system, work / "disk.qcow2", 12 * GIB)
    first = boot(system, disk, ignition, releases)
    return Life(first=first, second=boot(system, disk, ignition, releases))


def test_the_first_boot_applies_the_config(life: Life, record_property: Any) -> None:
    name, seconds, kind = life.first.up
    record_property("first_boot_seconds", seconds)
    print(f"userspace after {seconds} s, first boot")
    assert (name, kind) == ("node-1", "first boot, Ignition applied")
    facts = life.first.facts
    assert facts["hostname"] == "node-1"
    assert facts["fetched"].split()[0] == hashlib.sha256(FETCHED).hexdigest()
    assert facts["applied"] == "once;"


def test_the_second_boot_leaves_it_alone(life: Life, record_property: Any) -> None:
    name, seconds, kind = life.second.up
    record_property("second_boot_seconds", seconds)
    print(f"userspace after {seconds} s, second boot")
    assert (name, kind) == ("node-1", "later boot, Ignition skipped")
    assert life.second.facts["applied"] == "once;"
    assert life.second.facts["system"] == "running"


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        ("system", "running"),
        ("failed", ""),
        ("write", "touch: cannot touch '/usr/x': Read-only file system"),
        ("sshd", ""),
        ("flag", ""),
        ("processors", "2"),
        ("machine", "33"),
        ("address", "10.0.2.15/24"),
        ("sysext", "by an extension"),
        ("containerd", "v2.4.2 disabled"),
        ("programs", ""),
        ("modules", "loaded"),
    ],
)
def test_the_machine_is_as_a_container_os_is(life: Life, fact: str, expected: str) -> None:
    assert life.first.facts[fact] == expected


def test_usr_is_read_only_and_no_password_works(life: Life) -> None:
    assert life.first.facts["usr"].startswith("erofs ro")
    assert set(life.first.facts["passwords"].split()) <= {"*", "!", "!*"}


def test_the_root_file_system_fills_the_disk(life: Life) -> None:
    assert int(life.first.facts["root"]) > 10.5 * GIB


def test_a_failing_config_says_why_and_stays(system: Image, releases: int, tmp_path: Path) -> None:
    wrong = {"source": data("hello"), "verification": {"hash": "sha256-" + "0" * 64}}
    ignition = tmp_path / "config.ign"
    ignition.write_text(json.dumps(config(**{"/opt/file": {"contents": wrong}})))
    disk = overlay(system, tmp_path / "disk.qcow2", 10 * GIB)
    console = boot(system, disk, ignition, releases, until="the machine stays here").console
    report = console.partition("firestorm: boot failed in the initramfs; the reason:\n")[2]
    assert "Ignition failed: failed to create files" in report
    assert 'failed to create file "/sysroot/opt/file": hash verification failed' in report
    assert "reached userspace" not in console
