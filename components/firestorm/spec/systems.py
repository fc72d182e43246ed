"""Checks of operating systems: which, from which channel, on which architecture and platform, from which image."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from firestorm.errors import ReleaseError
from firestorm.releases import tables
from firestorm.releases.tables import OsFamily, OsLine, numbers
from firestorm.spec.model import Arch, OsImage, OsName
from firestorm.spec.problems import nearest, shown
from firestorm.spec.section import Section
from firestorm.spec.syntax import is_sha256

_ENDED = dict.fromkeys(
    ("coreos", "coreos container linux", "container-linux", "container_linux", "containerlinux", "core"),
    "CoreOS Container Linux ended in May 2020",
)
_NOT_IGNITION = "is planned for worker pools, but not available yet: Ignition does not configure it"
_PLANNED = {
    **dict.fromkeys(("cos", "container-optimized-os", "bottlerocket", "azurelinux", "azure-linux"), _NOT_IGNITION),
    **dict.fromkeys(("scos", "rhcos"), "is planned, but not available yet"),
}
#: What a version of each system looks like, and which digit of it names the channel.
_VERSIONS = {
    "flatcar": (re.compile(r"[0-9]+\.([0-9]+)\.[0-9]+"), {"0": "alpha", "1": "beta", "2": "stable", "3": "lts"}),
    "fcos": (re.compile(r"[0-9]+\.[0-9]{8}\.([0-9]+)\.[0-9]+"), {"1": "next", "2": "testing", "3": "stable"}),
}
_EXAMPLES = {"flatcar": "4593.2.5", "fcos": "44.20260817.3.2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A checked operating system, with the facts about its line; `line` is None if its release is not known."""

    image: OsImage
    line: OsLine | None


def check_system(
    section: Section, base: OsImage | None, platform: str, directory: Path, *, is_default: bool = False
) -> System:
    """The system of a section, over `base`, the cluster's own, where that is the same system.

    The cluster's default is itself only checked for what a pool could not override (`is_default`): that it would boot
    on this platform is each pool's own question.
    """
    name = _name(section, base)
    if name is None:
        return System(image=OsImage(name="flatcar", channel="stable"), line=None)
    family = tables.os_families()[name]
    if base is not None and base.name != name:
        base = None
    arch = section.choice("arch") if section.given("arch") or base is None else base.arch
    channel, version = _release(section, family, base)
    image = OsImage(name=cast(OsName, name), channel=channel, version=version, arch=cast(Arch, arch))
    image = _with_file(section, base, image, directory)
    if not is_default:
        _placement(section, family, image, platform)
    return System(image=image, line=_line(section, image))


def _name(section: Section, base: OsImage | None) -> str | None:
    if not section.given("name"):
        return base.name if base is not None else "flatcar"
    name = section.text("name")
    families = tables.os_families()
    if name in families:
        return name
    lower = name.lower()
    if lower in _ENDED:
        section.problem("name", f"is {shown(name)}: {_ENDED[lower]}", "use one of its successors, flatcar or fcos")
    elif lower in _PLANNED:
        section.problem("name", f"is {shown(name)}, which {_PLANNED[lower]}", "use flatcar or fcos")
    else:
        section.problem("name", f"is {shown(name)}, which is unknown", nearest(name, tuple(families)))
    return None


def _release(section: Section, family: OsFamily, base: OsImage | None) -> tuple[str, str | None]:
    """The channel and version. A version that stands alone tells its channel."""
    version, named = _version(section, family)
    if not section.given("channel"):
        if base is not None and not section.given("version"):
            return base.channel, base.version
        return named or (base.channel if base is not None else family.channels[0]), version
    channel = section.text("channel")
    if channel not in family.channels:
        remedy = nearest(channel, family.channels)
        section.problem("channel", f"is {shown(channel)}, which {family.title} does not have", remedy)
        return named or family.channels[0], version
    if named and named != channel:
        section.problem("version", f"is {version}, a release of {named}, not of {channel}", f"set channel to {named}")
    return channel, version


def _version(section: Section, family: OsFamily) -> tuple[str | None, str | None]:
    """The version and the channel that it belongs to, where its form tells."""
    version = section.optional_text("version")
    if version is None:
        return None, None
    if family.name not in _VERSIONS:
        section.problem("version", f"is {shown(version)}, but {family.title} has no versions", "leave it out")
        return None, None
    pattern, channels = _VERSIONS[family.name]
    match = pattern.fullmatch(version)
    remedy = f"write it like {_EXAMPLES[family.name]}"
    if match is None:
        section.problem("version", f"is {shown(version)}, which is no {family.title} version", remedy)
        return None, None
    if match[1] not in channels:
        section.problem("version", f"is {version}, which belongs to no channel", remedy)
        return None, None
    return version, channels[match[1]]


def _with_file(section: Section, base: OsImage | None, system: OsImage, directory: Path) -> OsImage:
    """`system` with the user's own image file and what boots it: the section's, or the base's for the same release."""
    if not section.given("image"):
        if base is None or any(section.given(name) for name in ("arch", "channel", "version")):
            return system
        return replace(
            system,
            path=base.path,
            sha256=base.sha256,
            kernel=base.kernel,
            initrd=base.initrd,
            kernel_arguments=base.kernel_arguments,
        )
    image = section.section("image")
    paths = {name: _existing(image, name, directory) for name in ("path", "kernel", "initrd")}
    sha256 = image.optional_text("sha256")
    if sha256 is not None and not is_sha256(sha256.lower()):
        image.problem("sha256", f"is {shown(sha256)}, which is no SHA-256", "give 64 hexadecimal digits")
    for name in ("sha256", "kernel", "initrd"):
        if image.given(name) and not image.given("path"):
            image.problem(name, "is given without an image", "give path, too")
    if image.given("kernel") != image.given("initrd"):
        missing, there = ("initrd", "kernel") if image.given("kernel") else ("kernel", "initrd")
        image.problem(there, f"is given without {missing}", f"a direct boot needs both: give {missing}, too")
    arguments = tuple(value for _, value in image.items("kernel_arguments") if isinstance(value, str))
    if arguments and not image.given("kernel"):
        image.problem("kernel_arguments", "is given without a kernel", "an image with a boot loader has its own")
    return replace(
        system,
        path=paths["path"],
        sha256=sha256.lower() if sha256 else None,
        kernel=paths["kernel"],
        initrd=paths["initrd"],
        kernel_arguments=arguments,
    )


def _existing(image: Section, name: str, directory: Path) -> str | None:
    text = image.optional_text(name)
    if text is None:
        return None
    try:
        path = (directory / Path(text).expanduser()).absolute()
        exists = path.is_file()
    except (OSError, ValueError, RuntimeError):
        exists, path = False, Path(text)
    if not exists:
        image.problem(name, f"is {shown(text)}, which is no file", f"looked for {path}")
    return str(path)


def _placement(section: Section, family: OsFamily, image: OsImage, platform: str) -> None:
    arches = family.platforms.get(platform, ())
    if not arches:
        section.problem("name", f"{family.title} does not run on {platform} yet", "use another system")
    elif image.arch not in arches:
        section.problem(
            "arch",
            f"is {image.arch}, on which {family.title} does not run on {platform} yet",
            f"use {' or '.join(arches)}",
        )
    if not family.download and image.path is None:
        section.problem(
            None,
            f"is {family.title}, which cannot be downloaded",
            "give image.path (and kernel and initrd) of an image that the lab has built, or use flatcar or fcos",
        )


def _line(section: Section, image: OsImage) -> OsLine | None:
    try:
        return tables.os_line(image.name, image.channel, image.version)
    except ReleaseError as error:
        if section.given("version"):
            section.problem("version", str(error), "use a newer release")
        return None


def check_kubernetes(section: Section, system: System, kubernetes: str) -> None:
    """Whether the system's containerd is new enough for the kubelet."""
    line = system.line
    if line is None or line.containerd is None or system.image.path is not None:
        return
    try:
        minimum = tables.kubernetes_minor(kubernetes).containerd_minimum
    except ReleaseError:
        return
    if numbers(line.containerd) < numbers(minimum):
        title = tables.os_families()[line.name].title
        section.problem(
            None,
            f"{title} {line.line} has containerd {line.containerd}, "
            f"but Kubernetes {kubernetes} needs {minimum} or newer",
            "use a newer release of the system or an older Kubernetes",
        )
