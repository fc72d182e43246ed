"""What Butane checks in its own language, before anything is translated."""

from __future__ import annotations

import re
from collections.abc import Callable

from . import messages as m
from . import openshift, quadlets
from .boot_device import check_boot_device
from .messages import Problem
from .report import Severity
from .schema import Level, Path, Shape, Tree, View

Complain = Callable[[Path, Problem, Severity], None]
Rule = Callable[[Tree, Path], None]

_BOOT_DISK = "/dev/disk/by-id/coreos-boot-disk"
_MOUNT_POINTS = re.compile(r"/(etc|var)(/|$)")


class Rules:
    """Checks one decoded document."""

    def __init__(self, view: View, complain: Complain, check_embedded: Callable[[str, Path], None]) -> None:
        self._view = view
        self._level: Level = view.level
        self._complain = complain
        self._check_embedded = check_embedded
        self._rules: dict[str, Rule] = {
            "Config": self._config,
            "Resource": self._resource,
            "Filesystem": self._filesystem,
            "Directory": self._directory,
            "File": self._file,
            "Tree": self._tree,
            "Unit": self._unit,
            "Dropin": self._unit,
            "Quadlet": self._quadlet,
            "BootDevice": self._boot_device,
            "GrubUser": self._grub_user,
        }

    def run(self, document: Tree) -> None:
        self._struct("Config", document, ())

    def _error(self, path: Path, problem: Problem) -> None:
        self._complain(path, problem, Severity.ERROR)

    def _struct(self, of: str, value: Tree, path: Path) -> None:
        if rule := self._rules.get(of):
            rule(value, path)
        fields = self._view.butane.get(of, {})
        for key, item in value.items():
            field = fields.get(key)
            if field is None or not isinstance(field.of, str):
                continue
            if field.shape is Shape.STRUCT:
                self._struct(field.of, item, (*path, key))
            else:
                for i, entry in enumerate(item):
                    self._struct(field.of, entry, (*path, key, i))

    # -- rules -------------------------------------------------------------------------------------------------------

    def _config(self, config: Tree, path: Path) -> None:
        if self._level.openshift >= 0:
            openshift.check_document(config, self._view, self._complain)
            return
        if self._level.fcos < 6:
            return
        storage = config.get("storage", {})
        mirrors = set(config.get("boot_device", {}).get("mirror", {}).get("devices") or ())
        for i, disk in enumerate(storage.get("disks") or ()):
            if disk.get("wipe_table") or disk.get("device", "") in {_BOOT_DISK} | mirrors:
                continue
            for k, partition in enumerate(disk.get("partitions") or ()):
                if "label" in partition and not partition.get("number"):
                    place: Path = ("storage", "disks", i, "partitions", k, "number")
                    self._complain(place, m.REUSE_BY_LABEL, Severity.WARNING)
        for i, filesystem in enumerate(storage.get("filesystems") or ()):
            mount = filesystem.get("path")
            if mount is not None and filesystem.get("with_mount_unit") and not _MOUNT_POINTS.match(mount):
                self._error(("storage", "filesystems", i, "path"), m.MOUNT_POINT_FORBIDDEN)

    def _resource(self, resource: Tree, path: Path) -> None:
        given = [key for key in ("local", "inline", "source") if key in resource]
        if len(given) > 1:
            self._error((*path, given[-1] if self._level.spec else "inline"), m.TOO_MANY_SOURCES)
        elif given == ["inline"] and path[:2] == ("ignition", "config") and self._level.spec >= 1:
            self._check_embedded(resource["inline"], (*path, "inline"))

    def _filesystem(self, filesystem: Tree, path: Path) -> None:
        if not filesystem.get("with_mount_unit"):
            return
        format_, mount = filesystem.get("format"), filesystem.get("path")
        if not format_:
            self._error((*path, "format"), m.MOUNT_UNIT_NO_FORMAT)
        if not mount and (self._level.spec < 3 or (format_ and format_ != "swap")):
            self._error((*path, "path"), m.MOUNT_UNIT_NO_PATH)

    def _directory(self, directory: Tree, path: Path) -> None:
        self._mode(directory, path, directory=True)

    def _file(self, file: Tree, path: Path) -> None:
        self._mode(file, path, directory=False)

    def _mode(self, node: Tree, path: Path, *, directory: bool) -> None:
        mode = node.get("mode")
        if mode is not None and looks_decimal(mode, directory=directory):
            self._complain((*path, "mode"), m.DECIMAL_MODE.fill(mode=mode), Severity.WARNING)

    def _tree(self, tree: Tree, path: Path) -> None:
        if not tree.get("local"):
            self._error(path, m.TREE_NO_LOCAL)

    def _unit(self, unit: Tree, path: Path) -> None:
        if "contents" in unit and "contents_local" in unit:
            self._error((*path, "contents_local"), m.TOO_MANY_UNIT_SOURCES)

    def _quadlet(self, quadlet: Tree, path: Path) -> None:
        name = quadlet.get("name", "")
        template = quadlets.template_of(name)
        if not name.endswith(quadlets.EXTENSIONS):
            problem = m.QUADLET_EXTENSION.fill(name=name, known=", ".join(quadlets.EXTENSIONS))
            self._error((*path, "name"), problem)
        elif template is None:
            self._unit(quadlet, path)
        else:
            for key in ("contents", "contents_local"):
                if key in quadlet:
                    self._error((*path, key), m.QUADLET_INSTANCE.fill(name=name, template=template))

    def _boot_device(self, boot_device: Tree, path: Path) -> None:
        check_boot_device(boot_device, path, self._level, self._complain)

    def _grub_user(self, user: Tree, path: Path) -> None:
        if not user.get("name"):
            self._error((*path, "name"), m.GRUB_NO_NAME)
        if not user.get("password_hash"):
            self._error((*path, "password_hash"), m.GRUB_NO_PASSWORD)


# -- modes -------------------------------------------------------------------------------------------------------------


def looks_decimal(mode: int, *, directory: bool) -> bool:
    """Whether a mode makes no sense, but would if its decimal digits were octal ones."""
    digits = str(mode)
    if not 0 <= mode <= 7777 or any(d in "89" for d in digits):
        return False
    return not _usual(mode, directory=directory) and _usual(int(digits, 8), directory=directory)


def _usual(mode: int, *, directory: bool) -> bool:
    """Whether a mode surprises nobody; some that do not are useful all the same."""
    if mode == 0:
        return True
    classes = [(mode >> shift) & 7 for shift in (0, 3, 6)]  # others, group, user
    allowed = 0
    for bits in classes:
        narrower = allowed & ~bits
        executes_alone = bits & 1 and allowed & 4 and not allowed & 1
        hidden = bits & 3 and not bits & 4
        if narrower or executes_alone or hidden:
            return False
        allowed |= bits
    readable, writable, executable = allowed & 4, allowed & 2, allowed & 1
    if not readable:
        return False
    if directory:
        return bool(executable and not mode & 0o4000 and (writable or not mode & 0o3000))
    if mode & 0o6000 and (not executable or mode & 2):
        return False
    return not mode & 0o1000
