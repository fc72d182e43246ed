"""A running cluster as the end-to-end tests see it: kubectl, virsh, Pulumi's state and the nodes' disks."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from firestorm_lab.development import Development


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A development cluster, the kubectl to talk to it, and its libvirt's URI."""

    development: Development
    kubectl_path: Path
    uri: str

    @property
    def name(self) -> str:
        return self.development.name

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        done = subprocess.run(
            [str(self.kubectl_path), f"--kubeconfig={self.development.kubeconfig}", *arguments],
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            timeout=180,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout if done.returncode == 0 else done.stderr

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def virsh(self, *arguments: str) -> list[str]:
        done = subprocess.run(
            ["virsh", "--connect", self.uri, *arguments], text=True, capture_output=True, check=True, timeout=60
        )
        return done.stdout.split()

    def state(self) -> dict[str, dict[str, Any]]:
        """Every resource of the stack, by the last part of its URN."""
        exported = json.loads(self.development.pulumi("stack", "export", quiet=True))
        return {resource["urn"].split("::", 2)[2]: resource for resource in exported["deployment"]["resources"]}


def start(development: Development, document: dict[str, object]) -> Running:
    """Prepare a cluster without bringing it up."""
    development.down()  # what a killed run may have left
    development.prepare(document)
    config = yaml.safe_load(development.stack_config.read_text())["config"]
    return Running(
        development=development,
        kubectl_path=Path(os.environ["FIRESTORM_KUBECTL"]),
        uri=config["firestorm:platform"]["libvirt"]["uri"],
    )


def eventually(check: Callable[[], None], *, seconds: float, pause: float = 2.0) -> None:
    """Repeat `check` until it raises no AssertionError; its last one when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            check()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(pause)
        else:
            return


@contextmanager
def mounted(disk: Path, scratch: Path) -> Iterator[Path]:
    """The root file system of a powered-off machine's disk, its journal replayed: of a copy, which may be written."""
    raw, target = scratch / "disk.raw", scratch / "root"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(disk), str(raw)], check=True, timeout=300)
    target.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", f"loop{_offset(raw)}", str(raw), str(target)], check=True, timeout=60)
    try:
        yield target
    finally:
        subprocess.run(["umount", str(target)], check=True, timeout=60)
        raw.unlink()


def _offset(raw: Path) -> str:
    """Mount options that select the partition called `root`, none for an image without a partition table."""
    done = subprocess.run(["sfdisk", "--json", str(raw)], text=True, capture_output=True, check=False, timeout=60)
    if done.returncode != 0:
        return ""
    table = json.loads(done.stdout)["partitiontable"]
    [root] = [p for p in table["partitions"] if p.get("name") == "root"]
    size = table.get("sectorsize", 512)
    return f",offset={root['start'] * size},sizelimit={root['size'] * size}"


def processes(needle: str) -> list[str]:
    """Command lines of this machine's processes that contain `needle`."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if needle in line:
            found.append(line)
    return found


def assert_nothing_left(development: Development) -> None:
    assert not development.home.exists()
    assert not Path("/var/lib/firestorm/clusters", development.name).exists()
    assert (
        f"firestorm-{development.name}"
        not in subprocess.run(["ip", "netns", "list"], text=True, capture_output=True, check=True).stdout.split()
    )
    assert processes(f"/var/lib/firestorm/{development.name}/") == []
    assert processes(f"/var/lib/firestorm/clusters/{development.name}/") == []
