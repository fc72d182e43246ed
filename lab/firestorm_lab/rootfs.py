"""The plain Debian system that the stand-in image and some container images are made of, as a tar archive."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from firestorm_lab import packages
from firestorm_lab.cache import Cache, Item, Workspace, file_digest

SUITE = "trixie"
SCRIPTS = Path(__file__).resolve().parent.parent / "image"

BUILD_PACKAGES = ("debootstrap", "e2fsprogs", "erofs-utils", "fdisk", "qemu-utils", "util-linux")
# Tools that a node's programs call (kubelet, kube-proxy, CNI plugins), and those that Ignition calls in the initramfs.
_IMAGE_PACKAGES = (
    "busybox-static",
    "ca-certificates",
    "conntrack",
    "crun",
    "curl",
    "dosfstools",
    "e2fsprogs",
    "ethtool",
    "fdisk",
    "gdisk",
    "gzip",
    "iproute2",
    "iptables",
    "kmod",
    "nftables",
    "openssl",
    "procps",
    "socat",
    "tar",
)


def ensure(store: Cache) -> Path:
    """A tar archive of the plain Debian system that the image and some container images are made of."""
    wanted = item()
    if store.find(wanted) is None:
        packages.require(BUILD_PACKAGES)
    return store.ensure(wanted, _build_rootfs, f"installing Debian {SUITE}") / "rootfs.tar"


def item() -> Item:
    """Keyed by the suite and the packages asked for; a mirror's newer versions of these do not make a new one."""
    return Item(
        name="rootfs",
        inputs={
            "suite": SUITE,
            "packages": " ".join(_IMAGE_PACKAGES),
            "script": file_digest(SCRIPTS / "rootfs.sh"),
        },
    )


def isolated(command: Sequence[str | Path]) -> list[str]:
    """The command as root with its own mounts and processes: whatever ends it, both vanish with it."""
    unshare = shutil.which("unshare") or "unshare"
    return packages.as_root([unshare, "--mount", "--pid", "--fork", "--kill-child", "--", *command])


def own(workspace: Workspace) -> None:
    """Give root's files to the user who runs the lab."""
    if os.geteuid() != 0:
        owner = f"{os.geteuid()}:{os.getegid()}"
        workspace.runner.run(packages.as_root(["chown", "-R", owner, workspace.out]))


def _mirror() -> str:
    return os.environ.get("FIRESTORM_DEBIAN_MIRROR", "http://deb.debian.org/debian")


def _build_rootfs(workspace: Workspace) -> None:
    target = workspace.out / "rootfs.tar"
    script: list[str | Path] = [SCRIPTS / "rootfs.sh", target, SUITE, _mirror(), *_IMAGE_PACKAGES]
    workspace.runner.run(isolated(script), timeout=1800)
    own(workspace)
