"""Checks of where things come from and where machines run: versions, mirrors, artifacts, keys, libvirt."""

from __future__ import annotations

import re
from typing import cast

from firestorm.releases import tables
from firestorm.spec.model import Acceleration, Arch, Artifact, DiskCache, Libvirt, Mirror
from firestorm.spec.problems import shown
from firestorm.spec.section import Section
from firestorm.spec.syntax import is_http_url, is_registry_host, is_sha256, is_ssh_public_key, split_url

_PATCH = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_MINOR = re.compile(r"[0-9]+\.[0-9]+")
_HTTP = "give an http or https URL with a host"


def check_kubernetes_version(section: Section, artifacts: tuple[Artifact, ...], arches: frozenset[str]) -> str:
    """The Kubernetes version without its v.

    A patch release without published checksums in the table is accepted if the user gives the kubelet of every
    architecture in use.
    """
    text = section.text("version")
    version = text.removeprefix("v")
    known = tables.kubernetes_versions()
    supported = f"supported are {', '.join(_newest_patches(known))} and older patches of these minors"
    if not _PATCH.fullmatch(version):
        matches = [patch for patch in known if tables.minor_of(patch) == version]
        if _MINOR.fullmatch(version) and matches:
            section.problem("version", f"is {shown(text)}, a minor version", f"name a patch release: {matches[0]}")
        else:
            section.problem("version", f"is {shown(text)}, which is no version", f"write it like {known[0]}")
        return tables.default_kubernetes()
    if version in known:
        return version
    minors = {minor.minor for minor in tables.kubernetes_minors()}
    if tables.minor_of(version) not in minors:
        section.problem("version", f"is {version}, which is not supported", supported)
    elif not arches <= {artifact.arch for artifact in artifacts if artifact.name == "kubelet"}:
        section.problem(
            "version",
            f"is {version}, whose checksums are not known",
            f"{supported}; or give its kubelet under artifacts",
        )
    return version


def _newest_patches(versions: tuple[str, ...]) -> list[str]:
    newest: dict[str, str] = {}
    for version in versions:
        newest.setdefault(tables.minor_of(version), version)
    return list(newest.values())


def check_mirrors(section: Section) -> tuple[Mirror, ...]:
    """The mirrors, in the order of the document."""
    mirrors: list[Mirror] = []
    for prefix, url in section.texts("mirrors").items():
        path = section.at("mirrors", prefix)
        if "://" in prefix:
            if not is_http_url(prefix):
                section.problems.add(path, "is no URL prefix", _HTTP)
        elif "/" in prefix:
            host = prefix.split("/")[0]
            section.problems.add(path, "names a part of a registry", f"containerd mirrors whole registries: use {host}")
        elif not is_registry_host(prefix):
            section.problems.add(
                path, "is neither a URL prefix nor a registry", "write it like https://dl.k8s.io or registry.k8s.io"
            )
        if not is_http_url(url):
            section.problems.add(path, f"points to {shown(url)}", _HTTP)
        if any(prefix.rstrip("/") == other.prefix.rstrip("/") for other in mirrors):
            section.problems.add(path, "is mirrored twice", "remove one")
        mirrors.append(Mirror(prefix=prefix, url=url))
    return tuple(mirrors)


def check_artifacts(section: Section) -> tuple[Artifact, ...]:
    """The user's own release files, in the order of the document."""
    artifacts: list[Artifact] = []
    for entry in section.sections("artifacts"):
        name, arch = entry.choice("name"), entry.choice("arch")
        url, sha256 = entry.optional_text("url"), entry.text("sha256").lower()
        if url is not None and entry.given("url") and not is_http_url(url):
            entry.problem("url", f"is {shown(url)}", _HTTP)
        if entry.given("sha256") and not is_sha256(sha256):
            entry.problem("sha256", f"is {shown(sha256)}, which is no SHA-256", "give 64 hexadecimal digits")
        if entry.problems.about(entry.at("name")) or entry.problems.about(entry.at("arch")):
            continue
        if any((name, arch) == (other.name, other.arch) for other in artifacts):
            entry.problem(None, f"gives {name} for {arch} again", "remove one")
        artifacts.append(Artifact(name=name, arch=cast(Arch, arch), url=url, sha256=sha256))
    return tuple(artifacts)


def check_ssh_keys(section: Section) -> tuple[str, ...]:
    """The SSH public keys."""
    keys = [(path, key.strip()) for path, key in section.items("ssh_authorized_keys") if isinstance(key, str)]
    for path, key in keys:
        if "PRIVATE KEY" in key:
            section.problems.add(path, "is a private key", "give the public key, the .pub file's content")
        elif not is_ssh_public_key(key):
            section.problems.add(
                path, f"is {shown(key)}, which is no SSH public key", "give a line like ssh-ed25519 AAAA... name"
            )
    return tuple(key for _, key in keys)


def check_libvirt(section: Section) -> Libvirt:
    """The libvirt platform."""
    uri = section.text("uri")
    parts = split_url(uri)
    if parts is None or not re.fullmatch(r"qemu(\+[a-z0-9]+)?", parts.scheme):
        section.problem("uri", f"is {shown(uri)}, which is no libvirt URI for QEMU", "write it like qemu:///system")
    elif parts.path.rstrip("/") == "/session":
        section.problem("uri", f"is {uri}, whose unprivileged libvirt cannot make networks", "use qemu:///system")
    elif parts.path.rstrip("/") != "/system":
        section.problem("uri", f"is {uri}, which does not end in /system", "write it like qemu:///system")
    port = section.whole("api_port") if section.given("api_port") else None
    if port is not None and not 0 < port < 65536:
        section.problem("api_port", f"is {port}", "give a port between 1 and 65535")
    state_dir = section.text("state_dir")
    if not state_dir.startswith("/"):
        section.problem("state_dir", f"is {shown(state_dir)}, which is relative", "give an absolute path")
    return Libvirt(
        uri=uri,
        acceleration=cast(Acceleration, section.choice("acceleration")),
        api_port=port,
        state_dir=state_dir,
        disk_cache=cast(DiskCache, section.choice("disk_cache")),
        labels=_labels(section),
    )


def _labels(section: Section) -> dict[str, str]:
    labels = section.texts("labels")
    for name, value in labels.items():
        if not re.fullmatch(r"[a-z][-a-z0-9]{0,62}", name):
            section.problems.add(
                section.at("labels", name), "is no label name", "use lowercase letters, digits and '-', a letter first"
            )
        elif not value.isprintable():
            section.problems.add(section.at("labels", name), "has unprintable characters", "give one line of text")
    return labels
