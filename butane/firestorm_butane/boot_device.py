"""Fedora CoreOS's own sections: ``boot_device`` (mirror, LUKS) and ``grub``.

Source: Butane's specification of the ``fcos`` variant and the partition layout of the OS image. The partitions must be
at least as large as those of the image, and BIOS-BOOT must stay where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import messages as m
from .messages import Problem
from .report import Severity
from .schema import Level, Path, Tree
from .sugar import Base, Draft, merged

Complain = Callable[[Path, Problem, Severity], None]

_RESERVED = "8DA63339-0007-60C0-C436-083AC8230908"
_BIOS = "21686148-6449-6E6F-744E-656564454649"
_PREP = "9E1A2D38-C612-4316-AA26-8B49521E5A8B"
_ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"

_LAYOUTS = ("aarch64", "ppc64le", "x86_64")
_LAYOUTS_S390X = ("s390x-eckd", "s390x-virt", "s390x-zfcp")
# Label, size in MiB and type of the first two partitions; boot and root follow.
_FIRST_TWO: dict[str, tuple[tuple[str, int, str], tuple[str, int, str]]] = {
    "x86_64": (("bios", 1, _BIOS), ("esp", 127, _ESP)),
    "aarch64": (("reserved", 1, _RESERVED), ("esp", 127, _ESP)),
    "ppc64le": (("prep", 4, _PREP), ("reserved", 1, _RESERVED)),
}
_BOOT_MIB = 384
# By layout: the shape of the disk's name, an example, the number of the root partition.
_DEVICES = {
    "s390x-eckd": (re.compile(r"/dev/dasd[a-z]\Z"), "/dev/dasda", "2"),
    "s390x-zfcp": (re.compile(r"/dev/sd[a-z]\Z"), "/dev/sda", "4"),
}
_RESERVED_LABELS = {"BIOS-BOOT": 1, "PowerPC-PReP-boot": 1, "EFI-SYSTEM": 2, "boot": 3, "root": 4}
_ROOT_MIB = 8192


# -- checks ------------------------------------------------------------------------------------------------------------


def check_boot_device(boot: Tree, path: Path, level: Level, complain: Complain) -> None:
    luks, layout = boot.get("luks", {}), boot.get("layout")
    mirrors = boot.get("mirror", {}).get("devices") or []
    if mirrors and layout is None:
        severity = Severity.ERROR if level.fcos >= 7 else Severity.WARNING
        complain((*path, "mirror"), m.MIRROR_NEEDS_LAYOUT, severity)
    if layout is not None:
        for problem in _layout_problems(layout, luks, mirrors, level):
            complain((*path, "layout"), problem, Severity.ERROR)
    if level.fcos >= 6 and luks.get("cex", {}).get("enabled"):
        if layout is None:
            complain((*path, "luks", "cex"), m.CEX_NEEDS_S390X, Severity.ERROR)
        elif not layout.startswith("s390x"):
            complain((*path, "layout"), m.CEX_NEEDS_S390X, Severity.ERROR)
        if luks.get("tang") or luks.get("tpm2"):
            complain((*path, "luks"), m.CEX_WITH_CLEVIS, Severity.ERROR)
    if level.fcos >= 7 and luks.get("device") and not _unlockable(luks):
        complain((*path, "luks"), m.LUKS_NO_METHOD, Severity.ERROR)
    if len(mirrors) == 1:
        complain((*path, "mirror", "devices"), m.TOO_FEW_MIRRORS, Severity.ERROR)


def _layout_problems(layout: str, luks: Tree, mirrors: list[str], level: Level) -> list[Problem]:
    known = _LAYOUTS + (_LAYOUTS_S390X if level.fcos >= 6 else ())
    problems = []
    if layout not in known:
        problems.append(m.UNKNOWN_LAYOUT.fill(layout=layout, known=", ".join(known)))
    elif layout in _DEVICES:
        shape, example, _ = _DEVICES[layout]
        device = luks.get("device")
        if not device:
            problems.append(m.LUKS_NEEDS_DEVICE.fill(layout=layout, example=example))
        elif not shape.search(device):
            problems.append(m.LUKS_DEVICE_NAME.fill(layout=layout, example=example))
    if level.fcos >= 6 and layout.startswith("s390x") and mirrors:
        problems.append(m.MIRROR_UNSUPPORTED.fill(layout=layout))
    return problems


def _unlockable(luks: Tree) -> bool:
    return any(luks.get("tang") or ()) or bool(luks.get("tpm2")) or bool(luks.get("cex", {}).get("enabled"))


def check_partitions(tree: Tree, level: Level, complain: Complain) -> None:
    """Warnings about the partitions of the resulting Ignition config; paths are of that config."""
    for i, disk in enumerate(tree.get("storage", {}).get("disks") or ()):
        partitions = disk.get("partitions") or []
        for k, partition in enumerate(partitions):
            label = partition.get("label")
            at: Path = ("storage", "disks", i, "partitions", k)
            if label == "root" and level.fcos >= 3:
                size = partition.get("sizeMiB") or 0
                if not size and any(not p.get("startMiB") for p in partitions if p is not partition):
                    complain((*at, "label"), m.ROOT_CONSTRAINED, Severity.WARNING)
                elif 0 != size < _ROOT_MIB:
                    complain((*at, "sizeMiB"), m.ROOT_TOO_SMALL, Severity.WARNING)
            wanted = _RESERVED_LABELS.get(label or "")
            if wanted and not disk.get("wipeTable") and partition.get("number", 0) != wanted:
                problem = m.WRONG_PARTITION_NUMBER.fill(label=label, number=wanted)
                complain((*at, "label"), problem, Severity.WARNING)


# -- sugar -------------------------------------------------------------------------------------------------------------


def add_boot_device(base: Base, document: Tree, draft: Draft) -> Draft:
    """``draft`` with the disks, RAIDs, LUKS volume and filesystems that ``boot_device`` stands for below it."""
    boot = document.get("boot_device", {})
    luks = boot.get("luks", {})
    mirrors = boot.get("mirror", {}).get("devices") or []
    wants_luks = bool(luks.get("tpm2") or luks.get("tang") or luks.get("cex", {}).get("enabled"))
    if not wants_luks and not mirrors:
        return draft
    layout = boot.get("layout", "x86_64")
    made = Draft()
    filesystems: list[tuple[dict[str, Any], Path]] = []
    if mirrors:
        filesystems += _mirror(made, mirrors, layout)
    if wants_luks:
        _encrypt(base, made, luks, layout, mirrored=bool(mirrors))
    root = "/dev/mapper/root" if wants_luks else "/dev/md/md-root"
    filesystems.append((_filesystem(root, "xfs", "root"), ("boot_device",)))
    for i, (filesystem, source) in enumerate(filesystems):
        made.put(("storage", "filesystems", i), filesystem, source)
    made.origin["storage",] = made.origin["storage", "filesystems"] = ("boot_device",)
    return merged(made, draft, base.view)


def _filesystem(device: str, format_: str, label: str) -> dict[str, Any]:
    return {"device": device, "format": format_, "label": label, "wipeFilesystem": True}


def _mirror(made: Draft, devices: list[str], layout: str) -> list[tuple[dict[str, Any], Path]]:
    source: Path = ("boot_device", "mirror")
    filesystems: list[tuple[dict[str, Any], Path]] = []
    first_two = _FIRST_TWO.get(layout, (("reserved", 1, _RESERVED), ("reserved", 1, _RESERVED)))
    for i, device in enumerate(devices):
        at: Path = (*source, "devices", i)
        partitions: list[dict[str, Any]] = [
            {"label": f"{label}-{i + 1}", "sizeMiB": size, "typeGuid": guid} for label, size, guid in first_two
        ]
        partitions += [{"label": f"boot-{i + 1}", "sizeMiB": _BOOT_MIB}, {"label": f"root-{i + 1}"}]
        disk = {"device": device, "partitions": partitions, "wipeTable": True}
        made.put(("storage", "disks", i), disk, at)
        if first_two[1][0] == "esp":
            label = f"esp-{i + 1}"
            filesystems.append((_filesystem(f"/dev/disk/by-partlabel/{label}", "vfat", label), at))
    made.origin["storage", "disks"] = (*source, "devices")
    raids: list[dict[str, Any]] = [
        {
            "devices": [f"/dev/disk/by-partlabel/{name}-{i + 1}" for i in range(len(devices))],
            "level": "raid1",
            "name": f"md-{name}",
        }
        for name in ("boot", "root")
    ]
    # The superblock at the end, so that GRUB on BIOS need not know of RAID.
    raids[0]["options"] = ["--metadata=1.0"]
    made.put(("storage", "raid"), raids, source)
    filesystems.append((_filesystem("/dev/md/md-boot", "ext4", "boot"), source))
    return filesystems


def _encrypt(base: Base, made: Draft, luks: Tree, layout: str, *, mirrored: bool) -> None:
    source, place = ("boot_device", "luks"), ("storage", "luks", 0)
    if layout in _DEVICES:
        device = luks["device"] + _DEVICES[layout][2]
    else:
        device = "/dev/md/md-root" if mirrored else "/dev/disk/by-partlabel/root"
    made.put(place, {"device": device, "label": "luks-root", "name": "root", "wipeVolume": True}, source)
    made.origin["storage", "luks"] = source
    volume = made.tree["storage"]["luks"][0]
    if "discard" in luks:
        volume["discard"] = luks["discard"]
        made.origin[(*place, "discard")] = (*source, "discard")
    if luks.get("cex", {}).get("enabled"):
        part, struct, value = "cex", "Cex", luks["cex"]
        at: Path = (*source, "cex")
    else:
        part, struct, at = "clevis", "Clevis", source
        value = {key: luks[key] for key in ("tang", "threshold", "tpm2") if key in luks}
    copied = base.copy(struct, value, at, (*place, part))
    volume[part] = copied.tree
    made.origin.update(copied.origin)
    made.origin[(*place, part)] = source


def add_grub(base: Base, document: Tree, draft: Draft) -> Draft:
    """``draft`` with GRUB's users below it (a file that GRUB reads from /boot)."""
    users = document.get("grub", {}).get("users") or []
    if not users:
        return draft
    names = " ".join(user["name"] for user in users)
    lines = ["# Generated by Butane", "", f'set superusers="{names}"']
    lines += [f"password_pbkdf2 {user['name']} {user['password_hash']}" for user in users]
    url, packed = base.data_url(("\n".join(lines) + "\n").encode(), False)
    storage = {
        "filesystems": [{"device": "/dev/disk/by-label/boot", "format": "ext4", "path": "/boot"}],
        "files": [
            {"path": "/boot/grub2/user.cfg", "append": [{"source": url, "compression": "gzip" if packed else ""}]}
        ],
    }
    made = Draft()
    made.put(("storage",), storage, ("grub", "users"))
    return merged(made, draft, base.view)
