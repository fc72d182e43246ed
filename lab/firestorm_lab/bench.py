"""`make bench`: how long preview, up and a CI job's cluster take, beside the floor that this machine sets; and the
parts of the compiler and the command line.

The floor is what no deployer can be faster than on the same image: the machine booting to userspace with an empty
Ignition config, and then etcd and kube-apiserver starting alone in it. Ratios against it hold where seconds, on a
shared machine, do not. What of `up` is not a deployer's to save, the cluster's own machines show, switched on again.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from firestorm_lab import bench_butane, bench_ci, bench_commands, bench_restart, components, image, measure
from firestorm_lab.cache import Cache
from firestorm_lab.development import Development
from firestorm_lab.errors import LabError
from firestorm_lab.progress import say

_BOOTED = re.compile(r"reached userspace")
_SERVED = re.compile(r"firestorm-bench: served from ([0-9.]+) to ([0-9.]+) s")
_TIMEOUT = 300.0
_SERVE = """#!/bin/sh
# etcd and kube-apiserver alone, from the second disk, without TLS to etcd: the least that answers /readyz.
set -eu
mkdir -p /run/bench/bin
mount -o ro /dev/vdb /run/bench/bin
cd /run/bench
exec 2>/dev/ttyS0
openssl ecparam -name prime256v1 -genkey -noout -out sa.key
read -r start rest </proc/uptime
bin/etcd --data-dir /var/lib/bench-etcd --log-level error &
bin/kube-apiserver --etcd-servers=http://127.0.0.1:2379 --cert-dir=/run/bench/pki \\
  --service-account-key-file=sa.key --service-account-signing-key-file=sa.key --service-account-issuer=https://bench \\
  --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=RBAC \\
  --bind-address=127.0.0.1 --advertise-address=10.0.2.15 >apiserver.log 2>&1 &
until curl --silent --insecure --fail --output /dev/null https://127.0.0.1:6443/readyz; do sleep 0.2; done
read -r end rest </proc/uptime
echo "firestorm-bench: served from $start to $end s" >/dev/ttyS0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the result: seconds, their ratio to the floor where that means something, and what is allowed."""

    name: str
    seconds: float
    ratio: float | None = None
    most: str = ""


def run(name: str, report: Path) -> None:
    """Measure, print the table, write the same as JSON to `report`. Raises LabError when something does not come up."""
    store = Cache.default()
    boot, serve = _floor(store)
    floor = boot + serve
    development = Development.named(name)
    development.down()
    try:
        development.prepare({})
        preview = measure.seconds(development.preview)
        up = measure.seconds(development.up)
        phases: Mapping[str, float] = json.loads(development.output("seconds"))
        again = measure.seconds(development.up)
        restart = bench_restart.run(development)
    finally:
        development.down()
    jobs = bench_ci.run(store)
    rows = [
        Row(name="floor: boot with an empty Ignition config", seconds=boot),
        Row(name="floor: etcd and kube-apiserver alone", seconds=serve),
        Row(name="floor", seconds=floor, ratio=1.0),
        Row(name="preview", seconds=preview, ratio=preview / floor, most="5 seconds"),
        *(Row(name=f"up, until {phase}", seconds=seconds, ratio=seconds / floor) for phase, seconds in phases.items()),
        Row(name="up", seconds=up, ratio=up / floor, most="2.0 floors"),
        Row(name="up again, without changes", seconds=again, ratio=again / floor),
        Row(name="the cluster's machines, switched on again", seconds=restart, ratio=restart / floor),
        Row(name="made first where nothing is cached", seconds=jobs.made, ratio=jobs.made / floor),
        Row(name="ci run, cold", seconds=jobs.cold, ratio=jobs.cold / floor),
        Row(name="ci run, warm", seconds=jobs.warm, ratio=jobs.warm / floor, most="0.6 of cold"),
        Row(name="ci run, from a snapshot", seconds=jobs.snapshot, ratio=jobs.snapshot / floor),
    ]
    dominant = _dominant(phases)
    _print(rows)
    say(f"the phase that dominates: {dominant}; up is {up / restart:.2f} of switching its machines on again")
    say(f"ci run: warm is {jobs.warm / jobs.cold:.2f} of cold, from a snapshot {jobs.snapshot / jobs.warm:.2f} of warm")
    compiler = bench_butane.run(components.ensure(store)["butane"])
    commands = bench_commands.run()
    result = {
        "rows": [asdict(row) for row in rows],
        "dominant_phase": dominant,
        "compiler": [asdict(row) for row in compiler],
        "commands": [asdict(row) for row in commands],
    }
    report.write_text(json.dumps(result, indent=2) + "\n")
    say(f"as JSON: {report}")


def _dominant(phases: Mapping[str, float]) -> str:
    """The phase that took longest; each is measured from the start, so its own share is what it adds."""
    shares: dict[str, float] = {}
    before = 0.0
    for phase, seconds in sorted(phases.items(), key=lambda item: item[1]):
        shares[phase] = seconds - before
        before = seconds
    return max(shares, key=lambda phase: shares[phase])


def _print(rows: list[Row]) -> None:
    table = Table("what", "seconds", "÷ floor", "at most")
    for row in rows:
        table.add_row(row.name, f"{row.seconds:.1f}", "" if row.ratio is None else f"{row.ratio:.2f}", row.most)
    Console().print(table)


def _floor(store: Cache) -> tuple[float, float]:
    """Seconds from power-on to userspace with an empty config, and from the start of etcd to a served /readyz."""
    system = image.ensure(store)
    programs = components.ensure(store)
    with tempfile.TemporaryDirectory(prefix="firestorm-bench-") as folder:
        scratch = Path(folder)
        say("floor: booting with an empty Ignition config")
        boot, _ = _boot(system, scratch, {"ignition": {"version": "3.4.0"}}, _BOOTED)
        tools = scratch / "tools"
        tools.mkdir()
        shutil.copy2(programs["etcd"], tools / "etcd")
        shutil.copy2(programs["kube-control-plane"], tools / "kube-apiserver")  # which of three it is, its name says
        disk = scratch / "tools.raw"
        subprocess.run(["truncate", "--size", "1G", str(disk)], check=True)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(tools), str(disk)], check=True)
        say("floor: starting etcd and kube-apiserver alone")
        _, line = _boot(system, scratch, _serving_config(), _SERVED, disk)
    start, end = map(float, line.groups())
    return boot, end - start


def _serving_config() -> dict[str, object]:
    script = base64.b64encode(_SERVE.encode()).decode()
    unit = "[Service]\nExecStart=/bin/sh /opt/bench\n[Install]\nWantedBy=multi-user.target\n"
    return {
        "ignition": {"version": "3.4.0"},
        "storage": {"files": [{"path": "/opt/bench", "mode": 0o755, "contents": {"source": f"data:;base64,{script}"}}]},
        "systemd": {"units": [{"name": "bench.service", "enabled": True, "contents": unit}]},
    }


def _boot(
    system: image.Image, scratch: Path, config: Mapping[str, object], until: re.Pattern[str], extra: Path | None = None
) -> tuple[float, re.Match[str]]:
    """Boot a machine like a node's until its console says `until`: the seconds it took, and the match."""
    ignition, console, root = scratch / "config.ign", scratch / "console", scratch / "root.qcow2"
    ignition.write_text(json.dumps(config))
    console.write_text("")
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(system.disk), str(root)], check=True
    )
    command = [
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "max,-avx,-avx2",
        "-smp", "2", "-m", "3072", "-kernel", str(system.kernel), "-initrd", str(system.initrd),
        "-append", " ".join(image.KERNEL_ARGUMENTS), "-drive", f"file={root},if=virtio,cache=unsafe",
        "-fw_cfg", f"name=opt/com.coreos/config,file={ignition}", "-device", "virtio-rng-pci",
        "-nic", "user,model=virtio-net-pci,restrict=on", "-display", "none", "-serial", f"file:{console}", "-no-reboot",
    ]  # fmt: skip
    if extra is not None:
        command += ["-drive", f"file={extra},if=virtio,format=raw,readonly=on"]
    start = time.monotonic()
    machine = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while time.monotonic() - start < _TIMEOUT and machine.poll() is None:
            match = until.search(console.read_text(errors="replace"))
            if match:
                return time.monotonic() - start, match
            time.sleep(0.1)
    finally:
        machine.kill()
        machine.wait()
        root.unlink()
    raise LabError(f"the machine did not say {until.pattern!r}; its console ends with:\n{console.read_text()[-2000:]}")
