"""Every variant and version of Butane: which Ignition spec it targets and what it leaves out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import messages as m
from .messages import Problem
from .schema import Level, Path, spec_version

_NO_STORAGE: Mapping[Path, Problem] = {
    ("kernelArguments",): m.KERNEL_ARGUMENTS_UNSUPPORTED,
    ("storage", "disks"): m.DISKS_UNSUPPORTED,
    ("storage", "filesystems"): m.FILESYSTEMS_UNSUPPORTED,
    ("storage", "luks"): m.LUKS_UNSUPPORTED,
    ("storage", "raid"): m.RAID_UNSUPPORTED,
}
_NO_CLEVIS: Mapping[Path, Problem] = {("storage", "luks", "clevis"): m.CLEVIS_UNSUPPORTED}
_NO_CEX: Mapping[Path, Problem] = {("storage", "luks", "cex"): m.CEX_UNSUPPORTED}

# What the Machine Config Operator rejects, or would not change on a node that runs.
_NO_MACHINE_CONFIG: Mapping[Path, Problem] = {
    ("passwd", "groups"): m.GROUPS_UNSUPPORTED,
    **{
        ("passwd", "users", name): m.USER_FIELD_UNSUPPORTED
        for name in (
            *("gecos", "groups", "homeDir", "noCreateHome", "noLogInit", "noUserGroup", "primaryGroup", "shell"),
            *("shouldExist", "system", "uid"),
        )
    },
    ("storage", "directories"): m.DIRECTORIES_UNSUPPORTED,
    ("storage", "files", "append"): m.FILE_APPEND_UNSUPPORTED,
    ("storage", "files", "contents", "httpHeaders"): m.FILE_HEADERS_UNSUPPORTED,
    ("storage", "links"): m.LINKS_UNSUPPORTED,
}
_PASSWORD = ("passwd", "users", "passwordHash")
COMPRESSION: Path = ("storage", "files", "contents", "compression")


@dataclass(frozen=True, slots=True)
class Version:
    variant: str
    version: str
    level: Level
    forbidden: Mapping[Path, Problem] = field(default_factory=dict)
    """Paths of the Ignition config, list indexes left out, that must be empty."""

    @property
    def experimental(self) -> bool:
        """Its format may still change, and the stable version may differ."""
        return self.version.endswith("-experimental")

    @property
    def ignition(self) -> str:
        """The version of the Ignition configs that it compiles to."""
        return spec_version(self.level.spec)

    @property
    def compresses(self) -> bool:
        """Whether contents may be compressed where that makes them shorter."""
        return COMPRESSION not in self.forbidden


def _fcos(minor: int, spec: int, suffix: str = "") -> Version:
    return Version("fcos", f"1.{minor}.0{suffix}", Level(spec, fcos=minor))


def _openshift(minor: int, suffix: str = "") -> Version:
    if minor >= 23:
        spec, fcos = 7, 8
    elif minor >= 19:
        spec, fcos = 5, 6
    elif minor >= 14:
        spec, fcos = 4, 5
    else:
        spec, fcos = 2, 3
    forbidden = dict(_NO_MACHINE_CONFIG)
    if minor >= 14:
        forbidden["kernelArguments",] = m.OPENSHIFT_KERNEL_ARGUMENTS
    if minor <= 12:
        forbidden[_PASSWORD] = m.USER_FIELD_UNSUPPORTED
    if minor <= 9:
        forbidden[COMPRESSION] = m.FILE_COMPRESSION_UNSUPPORTED
    return Version("openshift", f"4.{minor}.0{suffix}", Level(spec, fcos=fcos, openshift=minor), forbidden)


_ALL = (
    _fcos(0, 0),
    _fcos(1, 1),
    _fcos(2, 2),
    _fcos(3, 2),
    _fcos(4, 3),
    _fcos(5, 4),
    _fcos(6, 5),
    _fcos(7, 6),
    _fcos(8, 7, "-experimental"),
    Version("flatcar", "1.0.0", Level(3), _NO_CLEVIS),
    Version("flatcar", "1.1.0", Level(4), _NO_CLEVIS),
    Version("flatcar", "1.2.0-experimental", Level(7), _NO_CEX),
    *(_openshift(minor) for minor in range(8, 23)),
    _openshift(23, "-experimental"),
    Version("r4e", "1.0.0", Level(3), _NO_STORAGE),
    Version("r4e", "1.1.0", Level(4), _NO_STORAGE),
    Version("r4e", "1.2.0-experimental", Level(7), _NO_STORAGE),
    Version("fiot", "1.0.0", Level(4), _NO_STORAGE),
    Version("fiot", "1.1.0-experimental", Level(7), _NO_STORAGE),
)

VERSIONS: Mapping[tuple[str, str], Version] = {(v.variant, v.version): v for v in _ALL}

_IDENTIFIERS = re.compile(r"[0-9A-Za-z\-]*(?:\.[0-9A-Za-z\-]+)*")
_NUMBER = re.compile(r"[-+]?[0-9]+")


def canonical(version: str) -> str | None:
    """A semantic version in its one spelling (``01.1.0`` -> ``1.1.0``); ``None`` if it is none (semver.org)."""
    core, plus, metadata = version.partition("+")
    core, dash, pre = core.partition("-")
    parts = core.split(".", 2)
    if len(parts) != 3 or not all(_NUMBER.fullmatch(p) and len(p) < 19 for p in parts):
        return None
    if not _IDENTIFIERS.fullmatch(pre) or not _IDENTIFIERS.fullmatch(metadata):
        return None
    return ".".join(str(int(p)) for p in parts) + (dash + pre if pre else "") + (plus + metadata if metadata else "")


def known_versions(variant: str) -> str:
    """What to use instead, in words; experimental versions are for those who know of them."""
    of_variant = [v.version for v in _ALL if v.variant == variant and not v.experimental]
    if of_variant:
        return f"one of {', '.join(of_variant)}"
    return f"one of the variants {', '.join(dict.fromkeys(v.variant for v in _ALL))}"
