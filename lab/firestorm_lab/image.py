"""The stand-in operating system image: Debian packages, the real Ignition in the initramfs, a read-only /usr.

It boots by direct kernel boot only. The scripts under lab/image make it, as root, without a loop device.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firestorm_lab import containers, packages, rootfs
from firestorm_lab.cache import Cache, Item, Workspace, file_digest, tree_digests
from firestorm_lab.components import CONTAINERD, CONTAINERD_MODULE, IGNITION, IGNITION_MODULE, reference_programs
from firestorm_lab.golang import module_file

DISK_GIB = 10
KERNEL_ARGUMENTS = (
    "console=ttyS0",
    "root=PARTLABEL=root",
    "rootfstype=ext4",
    "rootflags=noatime",
    "rw",
    "mount.usr=PARTLABEL=usr",
    "mount.usrfstype=erofs",
    "mount.usrflags=ro",
    "ignition.firstboot=1",
    "ignition.platform.id=qemu",
    "fsck.mode=skip",
    # Loading the BPF security hooks costs an emulated processor two seconds.
    "lsm=landlock,yama",
    # QEMU before 8.1, emulating several processors, can lose a race with the kernel patching its own code ("Oops:
    # int3"). Nearly all such patching is over when the initramfs turns on the other processors; a panic that remains
    # starts the machine anew.
    "maxcpus=1",
    "oops=panic",
    "panic=1",
    "lpj=10000000",  # delays wait for nothing here: no calibration, per processor, of half a second
    # Half of an emulated processor's time went to programming its local APIC's timer: let it tick instead.
    "highres=off",
    "nohz=off",
    # The emulated TSC is one for all processors; a busy host makes the watchdog think otherwise, and each look at the
    # clock an exit to the emulator.
    "tsc=reliable",
    "no_timer_check",
    "mitigations=off",  # an emulated processor does not speculate
    "TERM=dumb",
    "systemd.log_color=0",
    "quiet",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A bootable set: the base disk (qcow2), its kernel and initramfs, and what `image.json` says of them."""

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.qcow2"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    def description(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads((self.folder / "image.json").read_text())
        return described


def ensure(store: Cache) -> Image:
    """The image, built if need be. Raises LabError when a package, a program or a step of its own fails."""
    programs = (IGNITION_MODULE.item().key, CONTAINERD_MODULE.item().key)
    item = Item(
        name="image",
        inputs={
            "rootfs": rootfs.item().key,
            "programs": " ".join(programs),
            "containers": containers.layout_item().key,
            "arguments": " ".join(KERNEL_ARGUMENTS),
            "disk": str(DISK_GIB),
            **_tree_inputs(),
        },
    )
    found = store.find(item)
    if found is not None:
        return Image(folder=found)
    packages.require(rootfs.BUILD_PACKAGES)
    archive = rootfs.ensure(store)
    ignition = reference_programs(store)["ignition"]
    containerd = CONTAINERD_MODULE.ensure(store) / "bin"
    layout = containers.ensure(store).path

    def build(workspace: Workspace) -> None:
        _build(workspace, item.key, archive, ignition, containerd, layout)

    return Image(folder=store.ensure(item, build, "building the stand-in OS image"))


def _tree_inputs() -> dict[str, str]:
    """The image's own files with their modes; the script that makes the rootfs has its own item."""
    digests = tree_digests(rootfs.SCRIPTS)
    del digests["rootfs.sh"]
    return {
        f"file {path}": f"{digest} {(rootfs.SCRIPTS / path).stat().st_mode & 0o111:o}"
        for path, digest in digests.items()
    }


def _build(workspace: Workspace, version: str, archive: Path, ignition: Path, containerd: Path, layout: Path) -> None:
    module = module_file(IGNITION_MODULE.name, "github.com/coreos/ignition/v2", "dracut/30ignition")
    script: list[str | Path] = [
        rootfs.SCRIPTS / "image.sh",
        workspace.out,
        archive,
        ignition,
        module,
        containerd,
        layout,
        str(DISK_GIB),
        version,
    ]
    workspace.runner.run(rootfs.isolated(script), timeout=1800)
    rootfs.own(workspace)
    files = {name: file_digest(workspace.out / name) for name in ("disk.qcow2", "vmlinuz", "initrd")}
    described = {
        "version": version,
        "sha256": files,
        "kernel_arguments": list(KERNEL_ARGUMENTS),
        "ignition": IGNITION,
        "containerd": CONTAINERD,
        "debian": rootfs.SUITE,
        "disk_gib": DISK_GIB,
    }
    (workspace.out / "image.json").write_text(json.dumps(described, indent=2) + "\n")
