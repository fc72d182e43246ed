"""The facts about released software on which rendering and the specification's checks rest.

They are package data (`data/*.yaml`), each entry with its source, and are read once. Nothing here looks at a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from firestorm.errors import ReleaseError

SelinuxMode = Literal["enforcing", "permissive", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesMinor:
    """What goes with every patch release of a Kubernetes minor: the versions its kubeadm names, without "registry"."""

    minor: str
    etcd: str
    coredns: str
    pause: str
    containerd_minimum: str
    """Oldest containerd that this kubelet works with, as major.minor."""
    containerd_tested: tuple[str, ...]
    """The containerd lines that its maintainers recommend, as major.minor."""
    source: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OsLine:
    """One line of releases of an operating system; facts are those of `release`, None where nobody published them.

    `line` is what its versions start with: Flatcar's major number or Fedora's release. `butane` maps each Butane
    variant that the node reads to the newest version of it whose Ignition spec the node's Ignition knows; the first
    entry is the one that the roles are written in.
    """

    name: str
    line: str
    channels: tuple[str, ...]
    release: str | None
    containerd: str | None
    runc: str | None
    crun: str | None
    kernel: str | None
    systemd: str | None
    selinux: SelinuxMode | None
    ignition: str | None
    ignition_spec: str
    butane: Mapping[str, str]
    writable: tuple[str, ...]
    source: tuple[str, ...]

    @property
    def butane_variant(self) -> str:
        return next(iter(self.butane))

    @property
    def butane_version(self) -> str:
        return self.butane[self.butane_variant]


@dataclass(frozen=True, slots=True, kw_only=True)
class OsFamily:
    """An operating system: its channels (the first is the default), where it runs, and its lines, newest first.

    `platforms` maps a platform to the architectures that Firestorm deploys there.
    """

    name: str
    title: str
    channels: tuple[str, ...]
    platforms: Mapping[str, tuple[str, ...]]
    download: bool
    """Whether its images can be downloaded; if not, the user names an image file."""
    lines: tuple[OsLine, ...]


@cache
def _load(name: str) -> Any:
    text = files("firestorm.releases").joinpath("data", name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def numbers(version: str) -> tuple[int, ...]:
    """The leading numeric parts of a dotted version: "1.36.4" and "v1.36.4" are (1, 36, 4), "3.6.8-0" is (3, 6, 8)."""
    parts: list[int] = []
    for part in version.removeprefix("v").split("-")[0].split("."):
        if not (part.isascii() and part.isdigit()):
            break
        parts.append(int(part))
    return tuple(parts)


def minor_of(version: str) -> str:
    """The minor version of a version: "1.36" of "1.36.4"."""
    return ".".join(version.split(".")[:2])


def default_kubernetes() -> str:
    """The Kubernetes version that a specification without one gets."""
    return str(_load("kubernetes.yaml")["default"])


@cache
def kubernetes_versions() -> tuple[str, ...]:
    """Every Kubernetes version with published checksums in the table, newest first."""
    return tuple(sorted(_load("kubernetes.yaml")["checksums"]["versions"], key=numbers, reverse=True))


@cache
def kubernetes_minors() -> tuple[KubernetesMinor, ...]:
    """Every supported Kubernetes minor, newest first."""
    table = _load("kubernetes.yaml")["minors"]
    return tuple(
        KubernetesMinor(
            minor=minor,
            etcd=table[minor]["etcd"],
            coredns=table[minor]["coredns"],
            pause=table[minor]["pause"],
            containerd_minimum=table[minor]["containerd_minimum"],
            containerd_tested=tuple(table[minor]["containerd_tested"]),
            source=tuple(table[minor]["source"]),
        )
        for minor in sorted(table, key=numbers, reverse=True)
    )


def kubernetes_minor(version: str) -> KubernetesMinor:
    """What goes with a Kubernetes version.

    Raises:
        ReleaseError: the table does not know its minor.
    """
    for minor in kubernetes_minors():
        if minor.minor == minor_of(version):
            return minor
    known = ", ".join(minor.minor for minor in kubernetes_minors())
    raise ReleaseError(f"Kubernetes {version} is not in the release table, which knows {known}")


def checksum(file: str, version: str, arch: str) -> str:
    """The published SHA-256 of a Kubernetes release file (kubelet, kubectl) for linux.

    Raises:
        ReleaseError: the table does not have it.
    """
    try:
        return str(_load("kubernetes.yaml")["checksums"]["versions"][version][file][arch])
    except KeyError:
        raise ReleaseError(
            f"no checksum of {file} {version} for {arch} is in the release table; "
            f"name the file and its sha256 under artifacts"
        ) from None


def cni_plugins() -> tuple[str, Mapping[str, str]]:
    """The version of the CNI plugins and their archive's SHA-256 per architecture."""
    table = _load("kubernetes.yaml")["cni_plugins"]
    return table["version"], table["sha256"]


def flannel() -> tuple[str, str]:
    """The image tags of flannel and of its CNI plugin."""
    table = _load("kubernetes.yaml")["flannel"]
    return table["version"], table["cni_plugin"]


@cache
def os_families() -> Mapping[str, OsFamily]:
    """Every operating system by name."""
    return {name: _family(name, entry) for name, entry in _load("oses.yaml")["families"].items()}


def _family(name: str, entry: Mapping[str, Any]) -> OsFamily:
    facts: Mapping[str, Any] = entry["facts"]
    return OsFamily(
        name=name,
        title=entry["title"],
        channels=tuple(entry["channels"]),
        platforms={platform: tuple(arches) for platform, arches in entry["platforms"].items()},
        download=entry["download"],
        lines=tuple(_line(name, {**facts, **line}, tuple(facts["source"])) for line in entry["lines"]),
    )


def _line(name: str, entry: Mapping[str, Any], common: tuple[str, ...]) -> OsLine:
    return OsLine(
        name=name,
        line=entry["line"],
        channels=tuple(entry["channels"]),
        release=entry["release"],
        containerd=entry["containerd"],
        runc=entry["runc"],
        crun=entry["crun"],
        kernel=entry["kernel"],
        systemd=entry["systemd"],
        selinux=entry["selinux"],
        ignition=entry["ignition"],
        ignition_spec=entry["ignition_spec"],
        butane=entry["butane"],
        writable=tuple(entry["writable"]),
        source=(*dict.fromkeys((*entry["source"], *common)),),
    )


def os_line(name: str, channel: str, version: str | None) -> OsLine:
    """The facts about an operating system release.

    Without a version: the channel's newest line. A version between lines, or newer than all, has the facts of the line
    before it: systems gain features, and Ignition keeps reading older specs.

    Raises:
        ReleaseError: the operating system, the channel or so old a version is unknown.
    """
    family = os_families().get(name)
    if family is None:
        raise ReleaseError(f"the operating system {name} is unknown; known are {', '.join(os_families())}")
    if version is None:
        for line in family.lines:
            if channel in line.channels:
                return line
        raise ReleaseError(f"{family.title} has no channel {channel}; it has {', '.join(family.channels)}")
    wanted = numbers(version)[:1]
    for line in family.lines:
        if wanted >= numbers(line.line)[:1]:
            return line
    oldest = family.lines[-1].line
    raise ReleaseError(f"{family.title} {version} is older than {oldest}, the oldest line in the release table")


@cache
def ignition_specs() -> Mapping[str, Mapping[str, str]]:
    """The Ignition spec that each stable version of a Butane variant compiles to: {variant: {version: spec}}."""
    table: Mapping[str, Mapping[str, str]] = _load("oses.yaml")["butane"]["specs"]
    return table
