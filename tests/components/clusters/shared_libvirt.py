"""A private libvirt that has somebody else's machine, network and volume, and clusters of ours beside them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firestorm.platforms.libvirt.virsh import Virsh
from tests.components.clusters.standing_in import COMPONENTS
from tests.components.platforms.libvirt_place import domain_xml, network_xml

BUTANE = COMPONENTS.parent / "butane"
_MEBI = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where the clusters of a test are: `virsh` is the shared libvirt's, everything else below `root`."""

    root: Path
    virsh: Virsh

    @property
    def homes(self) -> Path:
        return self.root / "state" / "firestorm"

    def environment(self, site: Path | None = None) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (COMPONENTS, BUTANE))),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "FIRESTORM_REGISTER": str(self.root / "register"),
            **({"FIRESTORM_SITE": str(site)} if site else {}),
        }

    def start(self, code: str, *, site: Path | None = None) -> subprocess.Popen[str]:
        """A process that works on `clusters`, as a command does; what it prints is in the file `printed`."""
        text = f"from firestorm.clusters import Clusters\nclusters = Clusters()\n{code}"
        with (self.root / "printed").open("w") as printed:
            return subprocess.Popen(
                [sys.executable, "-c", text],
                env=self.environment(site),
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, code: str) -> str:
        process = self.start(code)
        process.wait(300)
        printed = (self.root / "printed").read_text()
        assert process.returncode == 0, printed
        return printed

    def document(self) -> dict[str, Any]:
        """A cluster of one machine that has nothing to boot: it is made in seconds, and never Ready."""
        disk = self.root / "empty.img"
        if not disk.exists():
            disk.write_bytes(b"\0" * _MEBI)
        image = {"path": str(disk), "sha256": hashlib.sha256(disk.read_bytes()).hexdigest()}
        return {
            "os": {"name": "flatcar", "image": image},
            "controllers": {"memory": "2GiB"},
            "workers": [],
            "ready_timeout": 600,
            "platform": {"libvirt": {"uri": self.virsh.uri, "state_dir": str(self.root / "libvirt")}},
        }

    def make_foreign(self) -> None:
        """Somebody else's: a running machine, a network, a pool with a volume."""
        for name, xml in (
            ("net-define", network_xml("foreign", bridge="foreign0")),
            ("define", domain_xml("foreign", network="foreign")),
        ):
            file = self.root / f"{name}.xml"
            file.write_text(xml)
            self.virsh.run(name, str(file))
        self.virsh.run("net-start", "foreign")
        self.virsh.run("start", "foreign")
        pool = self.root / "foreign-pool"
        pool.mkdir()
        self.virsh.run("pool-define-as", "foreign", "dir", "--target", str(pool))
        self.virsh.run("pool-start", "foreign")
        self.virsh.run("vol-create-as", "foreign", "foreign.raw", "1M")
        (pool / "foreign.raw").write_bytes(b"precious" * (_MEBI // 8))

    def foreign(self) -> list[object]:
        """All that there is of it: unchanged, the same every time."""
        domains, networks, pools = self.virsh.domains(), self.virsh.networks(), self.virsh.pools()
        content = (self.root / "foreign-pool" / "foreign.raw").read_bytes()
        started = self.virsh.run("dumpxml", "--domain", "foreign").split("\n", 1)[0]  # has its id: another if restarted
        return [
            *(domain for domain in domains if domain.name == "foreign"),
            *(network for network in networks if network.name == "foreign"),
            *(pool for pool in pools if pool.name == "foreign"),
            started,
            hashlib.sha256(content).hexdigest(),
        ]

    def ours(self) -> list[str]:
        """Everything in libvirt and below `root` that is there because of clusters."""
        names = [f"domain {domain.name}" for domain in self.virsh.domains()]
        names += [f"network {network.name}" for network in self.virsh.networks()]
        names += [f"pool {pool.name}" for pool in self.virsh.pools()]
        places = (self.homes, self.root / "libvirt" / "clusters")
        names += [str(path) for place in places if place.is_dir() for path in place.iterdir()]
        names += [str(path) for path in (self.root / "register").glob("*.json")]
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and folder.name != str(os.getpid()):
                try:
                    environment = (folder / "environ").read_bytes().split(b"\0")
                except OSError:
                    continue
                if f"FIRESTORM_CLUSTER={self.homes}".encode() in [entry[: entry.rfind(b"/")] for entry in environment]:
                    names.append(f"process {folder.name}")
        return [name for name in names if "foreign" not in name]
