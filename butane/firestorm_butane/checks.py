"""Ignition's semantic validation, specs 3.0.0 to 3.7.0-experimental: what a document may still have wrong.

One function per struct; a rule that a spec changed asks for the spec's minor version. Source: the configuration
specifications and the validation of Ignition 2.27.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from . import messages as m
from . import systemd
from .fields import TABLE
from .messages import Problem
from .model import identity
from .report import Severity
from .schema import Field, Path, Shape, Tree, View, snake
from .urls import UrlError, check_source, check_tang, parse_url

Complain = Callable[[Path, Problem, Severity], None]
"""Called with a path of the Ignition config."""

_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_INSTANCE = re.compile(r"([^\n]+?)@([^\n]+?)\.service")
_HASHES = {"sha256": 64, "sha512": 128}
_LABEL_LIMITS = {"ext4": 16, "btrfs": 256, "xfs": 12, "swap": 15, "vfat": 11}
_FORMATS = ("ext4", "btrfs", "xfs", "swap", "vfat")
_GPT_ENTRIES = 128
_STRIPED = frozenset({"linear", "raid0", "0", "stripe"})
_LEVELS = _STRIPED | {"raid1", "1", "mirror", "raid4", "4", "raid5", "5", "raid6", "6", "raid10", "10"}


class Checker:
    """Validates one config in normal form."""

    def __init__(self, view: View, complain: Complain) -> None:
        self._view = view
        self._complain = complain
        self._spec = view.level.spec
        self._rules: dict[str, Callable[[Tree, Path], None]] = {
            "Config": self._config,
            "IgnitionConfig": self._ignition_config,
            "ConfigReference": self._config_reference,
            "CaReference": self._ca_reference,
            "Resource": self._resource,
            "HTTPHeader": self._header,
            "Verification": self._verification,
            "Proxy": self._proxy,
            "TLS": self._tls,
            "Storage": self._storage,
            "Directory": self._directory,
            "File": self._file,
            "Link": self._node,
            "NodeUser": self._id_or_name,
            "NodeGroup": self._id_or_name,
            "Disk": self._disk,
            "Partition": self._partition,
            "Filesystem": self._filesystem,
            "Luks": self._luks,
            "ClevisCustom": self._clevis_custom,
            "Tang": self._tang,
            "Raid": self._raid,
            "Systemd": self._systemd,
            "Unit": self._unit,
            "Dropin": self._dropin,
        }

    def run(self, tree: Tree) -> None:
        self._duplicates("Config", tree, ())
        self._struct("Config", tree, ())

    def _error(self, path: Path, problem: Problem) -> None:
        self._complain(path, problem, Severity.ERROR)

    def _warning(self, path: Path, problem: Problem) -> None:
        self._complain(path, problem, Severity.WARNING)

    # -- walking -----------------------------------------------------------------------------------------------------

    def _struct(self, of: str, value: Tree, path: Path) -> None:
        if rule := self._rules.get(of):
            rule(value, path)
        fields = self._view.ignition[of]
        for name, item in value.items():
            field = fields[name]
            if field.shape is Shape.LIST:
                for i, entry in enumerate(item):
                    if isinstance(field.of, str):
                        self._struct(field.of, entry, (*path, name, i))
                    elif field.rule == "Device":
                        self._path(entry, (*path, name, i))
            elif isinstance(field.of, str):
                self._struct(field.of, item, (*path, name))

    def _duplicates(self, of: str, value: Tree, path: Path) -> None:
        """Lists whose entries have an identity must not hold one twice."""
        seen: dict[str, set[str]] = {}
        fields = self._view.ignition[of]
        for name, item in value.items():
            field = fields[name]
            if field.shape is Shape.LIST:
                if not field.appended:
                    self._duplicates_in(field, item, seen.setdefault(field.together or name, set()), (*path, name))
                if isinstance(field.of, str):
                    for i, entry in enumerate(item):
                        self._duplicates(field.of, entry, (*path, name, i))
            elif isinstance(field.of, str):
                self._duplicates(field.of, item, (*path, name))

    def _duplicates_in(self, field: Field, items: list[Any], seen: set[str], path: Path) -> None:
        by = TABLE[field.of].identity if isinstance(field.of, str) else ""
        for i, item in enumerate(items):
            key = identity(item, by)
            if key in seen:
                self._error((*path, i), m.DUPLICATE_ENTRY.fill(key=key))
            seen.add(key)

    # -- document ----------------------------------------------------------------------------------------------------

    def _config(self, config: Tree, path: Path) -> None:
        written: set[str] = set()
        for unit in config.get("systemd", {}).get("units") or ():
            place = "/etc/systemd/system/" + unit.get("name", "")
            if unit.get("contents"):
                written.add(place)
            written |= {f"{place}.d/{d.get('name', '')}" for d in unit.get("dropins") or () if d.get("contents")}
        for kind in ("files", "directories", "links"):
            for i, node in enumerate(config.get("storage", {}).get(kind) or ()):
                if node.get("path") in written:
                    self._error(("storage", kind, i, "path"), m.PATH_CONFLICTS_UNIT.fill(path=node["path"]))

    def _ignition_config(self, config: Tree, path: Path) -> None:
        if self._spec >= 1:
            for i, resource in enumerate(config.get("merge") or ()):
                self._required_source(resource, (*path, "merge", i))

    def _tls(self, tls: Tree, path: Path) -> None:
        if self._spec >= 1:
            for i, resource in enumerate(tls.get("certificateAuthorities") or ()):
                self._required_source(resource, (*path, "certificateAuthorities", i))

    def _required_source(self, resource: Tree, path: Path) -> None:
        if not resource.get("source"):
            self._error(path, m.NO_SOURCE)

    # -- resources ---------------------------------------------------------------------------------------------------

    def _url(self, source: str | None, path: Path) -> None:
        if source and (problem := check_source(source, self._spec)):
            self._error(path, problem)

    def _config_reference(self, reference: Tree, path: Path) -> None:
        self._url(reference.get("source"), (*path, "source"))

    def _ca_reference(self, reference: Tree, path: Path) -> None:
        if problem := check_source(reference.get("source", ""), self._spec):
            self._error((*path, "source"), problem)

    def _resource(self, resource: Tree, path: Path) -> None:
        compression = resource.get("compression")
        if compression not in (None, "", "gzip"):
            self._error((*path, "compression"), m.BAD_COMPRESSION.fill(compression=compression))
        source = resource.get("source")
        if "hash" in resource.get("verification", {}) and source is None:
            self._error((*path, "verification", "hash"), m.HASH_NO_SOURCE)
        self._url(source, (*path, "source"))
        if resource.get("httpHeaders"):
            try:
                scheme = parse_url(source).scheme if source else ""
            except UrlError:
                scheme = ""
            if scheme not in ("http", "https"):
                self._error((*path, "httpHeaders"), m.HEADERS_SCHEME)

    def _header(self, header: Tree, path: Path) -> None:
        if not header.get("name"):
            self._error((*path, "name"), m.HEADER_NO_NAME)
        if header.get("value") == "":
            self._error((*path, "value"), m.HEADER_NO_VALUE)

    def _verification(self, verification: Tree, path: Path) -> None:
        if (text := verification.get("hash")) is None:
            return
        kind, dash, digits = text.partition("-")
        known = [k for k in _HASHES if k != "sha256" or self._spec >= 1]
        if not dash:
            self._error((*path, "hash"), m.HASH_FORM)
        elif kind not in known:
            self._error((*path, "hash"), m.HASH_TYPE.fill(kind=kind, known=" or ".join(known)))
        elif len(digits.encode()) != _HASHES[kind]:
            self._error((*path, "hash"), m.HASH_SIZE.fill(kind=kind, size=_HASHES[kind], found=len(digits)))

    def _proxy(self, proxy: Tree, path: Path) -> None:
        for name in ("httpProxy", "httpsProxy"):
            if (url := proxy.get(name)) is None:
                continue
            try:
                scheme = parse_url(url).scheme
            except UrlError as exc:
                self._error((*path, name), m.BAD_URL.fill(detail=str(exc)))
                continue
            if scheme not in ("http", "https"):
                self._error((*path, name), m.BAD_PROXY)
            elif scheme == "http" and name == "httpsProxy":
                self._warning((*path, name), m.INSECURE_PROXY)

    # -- storage: nodes ----------------------------------------------------------------------------------------------

    def _path(self, value: str, path: Path) -> None:
        if not value:
            self._error(path, m.NO_PATH)
        elif not value.startswith("/"):
            self._error(path, m.RELATIVE_PATH.fill(path=value))
        elif (clean := clean_path(value)) != value:
            self._error(path, m.DIRTY_PATH.fill(path=value, clean=clean))

    def _node(self, node: Tree, path: Path) -> None:
        self._path(node.get("path", ""), (*path, "path"))

    def _mode(self, node: Tree, path: Path) -> None:
        mode = node.get("mode")
        if mode is None:
            return
        if not 0 <= mode <= 0o7777:
            self._error((*path, "mode"), m.BAD_MODE.fill(mode=mode))
        if self._spec < 6 and mode & 0o7000:
            self._warning((*path, "mode"), m.SPECIAL_MODE)

    def _directory(self, directory: Tree, path: Path) -> None:
        self._node(directory, path)
        self._mode(directory, path)

    def _file(self, file: Tree, path: Path) -> None:
        self._node(file, path)
        self._mode(file, path)
        if file.get("overwrite") and file.get("contents", {}).get("source") is None:
            self._error((*path, "overwrite"), m.OVERWRITE_NO_SOURCE)

    def _id_or_name(self, owner: Tree, path: Path) -> None:
        if "id" in owner and owner.get("name"):
            self._error(path, m.ID_AND_NAME)

    def _storage(self, storage: Tree, path: Path) -> None:
        links = {link.get("path", "") for link in storage.get("links") or ()}
        if links:
            lengths = sorted(set(map(len, links)))
            for kind in ("directories", "files", "links"):
                for i, node in enumerate(storage.get(kind) or ()):
                    if through := _ancestor(node.get("path", ""), links, lengths):
                        problem = m.THROUGH_LINK.fill(path=node["path"], link=through)
                        self._error((*path, kind, i), problem)
            self._links(storage, path)
        self._wiped(storage, path)

    def _links(self, storage: Tree, path: Path) -> None:
        directories = {d.get("path", "") for d in storage.get("directories") or ()}
        for i, link in enumerate(storage["links"]):
            place = (*path, "links", i)
            target = link.get("target", "")
            if self._spec >= 3 and not target:
                self._error((*place, "target"), m.LINK_NO_TARGET)
                continue
            if not link.get("hard"):
                continue
            full = clean_path(target if target.startswith("/") else f"{link.get('path', '')}/{target}")
            if full in directories:
                self._error(place, m.HARD_LINK_TO_DIRECTORY.fill(path=full))
            for owner in ("user", "group"):
                for key in ("id", "name"):
                    if key in link.get(owner, {}):
                        self._warning((*place, owner, key), m.HARD_LINK_OWNER)

    def _wiped(self, storage: Tree, path: Path) -> None:
        disks = {d.get("device", ""): d for d in storage.get("disks") or ()}
        for i, filesystem in enumerate(storage.get("filesystems") or ()):
            disk = disks.get(filesystem.get("device", ""))
            if disk is None:
                continue
            place = (*path, "filesystems", i, "device")
            if disk.get("partitions"):
                self._warning(place, m.PARTITIONS_OVERWRITTEN)
            elif disk.get("wipeTable") and not filesystem.get("wipeFilesystem"):
                self._warning(place, m.IMPLICIT_WIPE)

    # -- storage: devices --------------------------------------------------------------------------------------------

    def _disk(self, disk: Tree, path: Path) -> None:
        if not disk.get("device"):
            self._error((*path, "device"), m.NO_DISK_DEVICE)
            return
        self._path(disk["device"], (*path, "device"))
        partitions = disk.get("partitions") or []
        numbers: set[int] = set()
        labels: set[str] = set()
        for i, partition in enumerate(partitions):
            number, label = partition.get("number", 0), partition.get("label")
            if number and number in numbers:
                self._error((*path, "partitions", i), m.PARTITION_NUMBERS.fill(number=number))
            numbers.add(number)
            if label is not None and label in labels:
                self._error((*path, "partitions", i), m.PARTITION_LABELS.fill(label=label))
            if label is not None:
                labels.add(label)
        overlap = _overlap(partitions)
        if overlap is not None:
            self._error((*path, "partitions", overlap), m.PARTITION_OVERLAP)

    def _partition(self, partition: Tree, path: Path) -> None:
        label = partition.get("label")
        others = partition.get("typeGuid") or partition.get("guid")
        if partition.get("shouldExist") is False and (
            others or any(key in partition for key in ("label", "startMiB", "sizeMiB"))
        ):
            self._error(path, m.PARTITION_ABSENT)
        if not partition.get("number") and label is None:
            self._error(path, m.PARTITION_UNNAMED)
        if label is not None and len(label.encode()) > 36:
            self._error((*path, "label"), m.PARTITION_LABEL_LENGTH)
        elif label is not None and ":" in label:
            self._error((*path, "label"), m.PARTITION_LABEL_COLON)
        for name in ("guid", "typeGuid"):
            if (guid := partition.get(name)) and not _GUID.fullmatch(guid):
                self._error((*path, name), m.BAD_GUID.fill(guid=guid))

    def _filesystem(self, filesystem: Tree, path: Path) -> None:
        if filesystem.get("path"):
            self._path(filesystem["path"], (*path, "path"))
        if self._spec >= 7 and filesystem.get("format") == "virtiofs":
            self._virtiofs(filesystem, path)
            return
        self._path(filesystem.get("device", ""), (*path, "device"))
        format_, label = filesystem.get("format"), filesystem.get("label")
        known = (*_FORMATS, *(["none"] if self._spec >= 3 else []), *(["virtiofs"] if self._spec >= 7 else []))
        if not format_:
            others = ("path", "label", "uuid", "wipeFilesystem", "mountOptions", "options")
            if any(filesystem.get(key) for key in others):
                self._error((*path, "format"), m.FORMAT_MISSING)
            if label:
                self._error((*path, "label"), m.LABEL_NEEDS_FORMAT)
        elif format_ not in known:
            self._error((*path, "format"), m.BAD_FORMAT.fill(format=format_, known=", ".join(known)))
        elif label and len(label.encode()) > (limit := _LABEL_LIMITS.get(format_, len(label.encode()))):
            self._error((*path, "label"), m.LABEL_LENGTH.fill(format=format_, limit=limit))

    def _virtiofs(self, filesystem: Tree, path: Path) -> None:
        tag = filesystem.get("device", "")
        if not tag:
            self._error((*path, "device"), m.VIRTIOFS_NO_TAG)
        elif len(tag.encode()) > 36:
            self._error((*path, "device"), m.VIRTIOFS_TAG_LENGTH)
        if filesystem.get("label"):
            self._error((*path, "label"), m.VIRTIOFS_LABEL)
        for name in ("uuid", "wipeFilesystem", "options"):
            if filesystem.get(name):
                self._error((*path, name), m.VIRTIOFS_FIELD.fill(field=snake(name)))

    def _luks(self, luks: Tree, path: Path) -> None:
        if "/" in luks.get("name", ""):
            self._error((*path, "name"), m.LUKS_NAME_SLASH)
        if len((luks.get("label") or "").encode()) > 47:
            self._error((*path, "label"), m.LUKS_LABEL_LENGTH)
        if not luks.get("device"):
            self._error((*path, "device"), m.NO_DISK_DEVICE)
        else:
            self._path(luks["device"], (*path, "device"))
        clevis = luks.get("clevis") or {}
        others = clevis.get("tang") or clevis.get("tpm2") or clevis.get("threshold")
        custom = clevis.get("custom", {}).get("pin") if self._spec >= 3 else "custom" in clevis
        if custom and others:
            self._error((*path, "clevis"), m.CLEVIS_CUSTOM)
        key_file = luks.get("keyFile", {}).get("source")
        if key_file and check_source(key_file, self._spec):
            self._error((*path, "keyFile"), m.LUKS_KEY_FILE)
        if luks.get("cex", {}).get("enabled"):
            if custom or others:
                self._error((*path, "cex"), m.CEX_WITH_CLEVIS)
            if key_file:
                self._error((*path, "cex"), m.CEX_WITH_KEY_FILE)

    def _clevis_custom(self, custom: Tree, path: Path) -> None:
        pin, config = custom.get("pin"), custom.get("config")
        if not (pin or config or (custom.get("needsNetwork") and self._spec >= 3)):
            return
        if not pin and self._spec >= 3:
            self._error((*path, "pin"), m.CLEVIS_NO_PIN)
        elif self._spec < 6 and pin not in ("tpm2", "tang", "sss"):
            self._error((*path, "pin"), m.CLEVIS_BAD_PIN.fill(pin=pin or ""))
        if not config:
            self._error((*path, "config"), m.CLEVIS_NO_CONFIG)

    def _tang(self, tang: Tree, path: Path) -> None:
        if problem := check_tang(tang.get("url", "")):
            self._error((*path, "url"), problem)
        if not tang.get("thumbprint"):
            self._error((*path, "thumbprint"), m.TANG_NO_THUMBPRINT)
        if advertisement := tang.get("advertisement"):
            try:
                json.loads(advertisement, parse_constant=_reject)
            except (ValueError, RecursionError):
                self._error((*path, "advertisement"), m.TANG_ADVERTISEMENT)

    def _raid(self, raid: Tree, path: Path) -> None:
        level = raid.get("level")
        if not level and self._spec >= 3:
            self._error((*path, "level"), m.RAID_NO_LEVEL)
        elif level in _STRIPED and raid.get("spares"):
            self._error((*path, "level"), m.RAID_SPARES.fill(level=level))
        elif level not in _LEVELS:
            self._error((*path, "level"), m.RAID_BAD_LEVEL.fill(level=level or ""))
        if not raid.get("devices"):
            self._error((*path, "devices"), m.RAID_NO_DEVICES)

    # -- systemd -----------------------------------------------------------------------------------------------------

    def _systemd(self, section: Tree, path: Path) -> None:
        units = {unit.get("name", ""): unit for unit in section.get("units") or ()}
        for i, unit in enumerate(section.get("units") or ()):
            match = _INSTANCE.fullmatch(unit.get("name", "")) if unit.get("enabled") else None
            if match is None:
                continue
            template = match[1] + "@.service"
            contents = units.get(template, {}).get("contents")
            if not contents:
                continue
            try:
                installed = "Install" in systemd.option_sections(contents)
            except systemd.UnitError:
                continue  # said where the template is checked
            if not installed:
                problem = m.TEMPLATE_NO_INSTALL.fill(template=template, name=unit["name"])
                self._warning((*path, "units", i, "contents"), problem)

    def _unit(self, unit: Tree, path: Path) -> None:
        name = unit.get("name", "")
        if systemd.extension(name) not in systemd.UNIT_EXTENSIONS:
            self._error((*path, "name"), m.UNIT_EXTENSION.fill(name=name))
        contents = unit.get("contents")
        if not contents:
            return
        try:
            sections = systemd.option_sections(contents)
        except systemd.UnitError as exc:
            self._error((*path, "contents"), m.UNIT_CONTENTS.fill(detail=str(exc)))
            return
        if unit.get("enabled") and "Install" not in sections:
            self._warning((*path, "contents"), m.UNIT_NO_INSTALL.fill(name=name))

    def _dropin(self, dropin: Tree, path: Path) -> None:
        try:
            systemd.option_sections(dropin.get("contents") or "")
        except systemd.UnitError as exc:
            self._error((*path, "contents"), m.UNIT_CONTENTS.fill(detail=str(exc)))
        name = dropin.get("name", "")
        if systemd.extension(name) != ".conf":
            self._error((*path, "name"), m.DROPIN_EXTENSION.fill(name=name))


def clean_path(path: str) -> str:
    """The simplest form of a path, as Go's ``path.Clean`` gives it: two leading slashes are one."""
    clean = posixpath.normpath(path)
    return clean[1:] if clean.startswith("//") else clean


def _ancestor(path: str, links: set[str], lengths: list[int]) -> str | None:
    """The link that ``path`` goes through, if any; ``lengths`` are those of the links, so that few parts are tried."""
    for length in lengths:
        if length >= len(path):
            return None
        if path[length] == "/" and length and path[:length] in links:
            return path[:length]
    return None


def _overlap(partitions: list[Tree]) -> int | None:
    """The index of a partition with a fixed place that overlaps another."""
    spans = []
    for i, partition in enumerate(partitions):
        start, size = partition.get("startMiB"), partition.get("sizeMiB")
        if start and size is not None:
            spans.append((start, start + size - 1 if size else start, i))
    if len(spans) > _GPT_ENTRIES:
        spans.sort()
        return next((max(i, k) for (_, end, i), (start, _, k) in pairwise(spans) if start <= end), None)
    for start, end, i in spans:
        for other_start, other_end, k in spans:
            touches = other_start <= start <= other_end or other_start <= end <= other_end
            if i != k and (touches or (start < other_start and end > other_end)):
                return k
    return None


def _reject(constant: str) -> Any:
    raise ValueError(constant)
