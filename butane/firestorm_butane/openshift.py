"""The ``openshift`` variant: what it adds to an Ignition config, and the MachineConfig around it.

Sources: Butane's specification of the variant; the Machine Config Operator's list of what it supports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from . import messages as m
from .messages import Problem
from .report import Severity
from .schema import Path, Tree, View
from .sugar import Draft
from .urls import UrlError, parse_url

Complain = Callable[[Path, Problem, Severity], None]

ROLE = "machineconfiguration.openshift.io/role"
CONFIG: Path = ("spec", "config")
"""Where a MachineConfig holds its Ignition config."""

_CEX_ARGUMENT = "rd.luks.key=/etc/luks/cex.key"
_KERNEL_TYPES = ("", "default", "realtime")
_GRUB_USERS = "/boot/grub2/user.cfg"
# FIPS 140-2 does not allow the cipher that cryptsetup takes by itself.
_CIPHER = ("--cipher", "aes-cbc-essiv:sha256")
# Keys of the section ``openshift`` and their names in a MachineConfig's spec, in the order in which it is written.
_SPEC = {
    "kernel_arguments": "kernelArguments",
    "extensions": "extensions",
    "fips": "fips",
    "kernel_type": "kernelType",
}


# -- the document ------------------------------------------------------------------------------------------------------


def check_document(document: Tree, view: View, complain: Complain) -> None:
    """The rules of the variant's own sections; they hold also where a section is absent."""
    metadata, section = document.get("metadata", {}), document.get("openshift", {})
    if not metadata.get("name"):
        complain(("metadata", "name"), m.METADATA_NO_NAME, Severity.ERROR)
    if not (metadata.get("labels") or {}).get(ROLE):
        complain(("metadata", "labels"), m.METADATA_NO_ROLE, Severity.ERROR)
    kind = section.get("kernel_type", "")
    if kind not in _KERNEL_TYPES:
        complain(("openshift", "kernel_type"), m.BAD_KERNEL_TYPE.fill(kind=kind), Severity.ERROR)
    volumes = [document.get("boot_device", {}).get("luks", {})]
    volumes += [v for v in document.get("storage", {}).get("luks") or () if v.get("name") == "root"]
    if (
        view.level.openshift >= 19
        and any(volume.get("cex", {}).get("enabled") for volume in volumes)
        and _CEX_ARGUMENT not in (section.get("kernel_arguments") or ())
    ):
        complain(("openshift", "kernel_arguments"), m.CEX_KERNEL_ARGUMENT, Severity.ERROR)


# -- the Ignition config -----------------------------------------------------------------------------------------------


def adapt(document: Tree, draft: Draft, view: View) -> None:
    """Changes ``draft`` where OpenShift differs from Fedora CoreOS."""
    if view.level.openshift >= 23:
        _replace_grub_users(draft)
    if view.level.openshift < 20 and document.get("openshift", {}).get("fips"):
        _add_ciphers(draft)


def _replace_grub_users(draft: Draft) -> None:
    """The file of GRUB's users is written whole, because this variant cannot append."""
    for i, file in enumerate(draft.tree.get("storage", {}).get("files") or ()):
        if file.get("path") != _GRUB_USERS:
            continue
        appended = file.get("append") or []
        if len(appended) == 1:
            old, new = ("storage", "files", i, "append"), ("storage", "files", i, "contents")
            file["contents"] = appended[0]
            del file["append"]
            moved = {path: source for path, source in draft.origin.items() if path[:4] == old}
            for path, source in moved.items():
                del draft.origin[path]
                if len(path) > 4:
                    draft.origin[(*new, *path[5:])] = source
        return


def _add_ciphers(draft: Draft) -> None:
    for i, volume in enumerate(draft.tree.get("storage", {}).get("luks") or ()):
        options = volume.get("options") or []
        if any(o in ("--cipher", "-c") or o.startswith("--cipher=") for o in options):
            continue
        place: Path = ("storage", "luks", i, "options")
        source = ("openshift", "fips")
        if not options:
            draft.origin[place] = source
        for k in range(len(_CIPHER)):
            draft.origin[(*place, len(options) + k)] = source
        volume["options"] = [*options, *_CIPHER]


def check_config(tree: Tree, view: View, complain: Complain) -> None:
    """What the operating system or the Machine Config Operator would reject; paths are of the Ignition config."""
    for path, problem in _unsupported(tree, view.level.openshift):
        complain(path, problem, Severity.ERROR)


def _unsupported(tree: Tree, minor: int) -> Iterator[tuple[Path, Problem]]:
    storage = tree.get("storage", {})
    for i, filesystem in enumerate(storage.get("filesystems") or ()):
        place = ("storage", "filesystems", i, "format")
        if filesystem.get("format") == "btrfs":
            yield place, m.BTRFS_UNSUPPORTED
        if filesystem.get("format") == "none" and minor >= 14:
            yield place, m.FORMAT_NONE_UNSUPPORTED
    for i, file in enumerate(storage.get("files") or ()):
        source = file.get("contents", {}).get("source")
        if source is not None and _scheme(source) not in ("data", None):
            yield ("storage", "files", i, "contents", "source"), m.FILE_SCHEME_UNSUPPORTED
        if minor >= 10 and file.get("mode", 0) & ~0o777:
            yield ("storage", "files", i, "mode"), m.FILE_MODE_UNSUPPORTED
    for i, user in enumerate(tree.get("passwd", {}).get("users") or ()):
        if user.get("name", "") != "core":
            yield ("passwd", "users", i, "name"), m.USER_NAME_UNSUPPORTED


def _scheme(source: str) -> str | None:
    """A URL's scheme; ``None`` for what is no URL, of which the validation of Ignition configs will complain."""
    try:
        return parse_url(source).scheme
    except UrlError:
        return None


# -- the MachineConfig -------------------------------------------------------------------------------------------------


def warn_elided(document: Tree, complain: Complain) -> None:
    """What an Ignition config alone cannot hold has no effect."""
    for key in _SPEC:
        if key in document.get("openshift", {}):
            complain(("openshift", key), m.ELIDED, Severity.WARNING)


def check_machine_config(document: Tree, complain: Complain) -> None:
    """Its own lists must not hold anything twice."""
    for key in ("kernel_arguments", "extensions"):
        seen: set[str] = set()
        for i, item in enumerate(document.get("openshift", {}).get(key) or ()):
            if item in seen:
                complain(("openshift", key, i), m.DUPLICATE_ENTRY.fill(key=item), Severity.ERROR)
            seen.add(item)


def machine_config(document: Tree, ignition: dict[str, Any]) -> dict[str, Any]:
    """The MachineConfig around an Ignition config."""
    metadata, section = document.get("metadata", {}), document.get("openshift", {})
    spec: dict[str, Any] = {"config": ignition}
    for key, name in _SPEC.items():
        value = section.get(key)
        if value is not None and value != []:
            spec[name] = value
    return {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {"name": metadata["name"], "labels": dict(sorted(metadata["labels"].items()))},
        "spec": spec,
    }


def source_of(path: Path) -> Path:
    """The place in the source of a path of the MachineConfig outside of its Ignition config."""
    if path[0] == "metadata":
        return path
    keys = {name: key for key, name in _SPEC.items()}
    if path[0] == "spec" and len(path) > 1 and path != CONFIG:
        return ("openshift", keys[str(path[1])], *path[2:])
    return ("version",)
