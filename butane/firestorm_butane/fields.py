"""The one table of fields: every struct of Butane and Ignition, in the order Ignition writes them.

Sources: the configuration specifications of Ignition 3.0.0 to 3.6.0 and of Butane's variants. The numbers count
Ignition's minor version, or with ``scope`` the minor version of Fedora CoreOS's or OpenShift's variant.
"""

from __future__ import annotations

from typing import Any

from .schema import Field, Scalar, Shape, Struct, Table, camel

STR, INT, BOOL = Scalar.STR, Scalar.INT, Scalar.BOOL


def _opt(key: str, of: Scalar, **rest: Any) -> Field:
    """A scalar that may be absent."""
    return Field(key, rest.pop("name", camel(key)), Shape.SCALAR, of, **rest)


def _val(key: str, of: Scalar = STR, *, always: bool = True, **rest: Any) -> Field:
    """A scalar whose absence means its zero value."""
    return Field(key, rest.pop("name", camel(key)), Shape.SCALAR, of, optional=False, always=always, **rest)


def _sub(key: str, of: str, **rest: Any) -> Field:
    return Field(key, rest.pop("name", camel(key)), Shape.STRUCT, of, optional=rest.pop("optional", False), **rest)


def _many(key: str, of: Scalar | str, **rest: Any) -> Field:
    return Field(key, rest.pop("name", camel(key)), Shape.LIST, of, **rest)


_NODE = (
    _sub("group", "NodeGroup"),
    _opt("overwrite", BOOL),
    _val("path"),
    _sub("user", "NodeUser"),
)

TABLE = Table(
    # What every document says, whatever its variant.
    Struct("Common", (_val("version", name=None), _val("variant", name=None))),
    Struct(
        "Config",
        (
            _val("version", name=None),
            _val("variant", name=None),
            _sub("metadata", "Metadata", name=None, scope="openshift"),
            _sub("ignition", "Ignition", always=True),
            _sub("kernel_arguments", "KernelArguments", since=3),
            _sub("passwd", "Passwd"),
            _sub("storage", "Storage"),
            _sub("systemd", "Systemd"),
            _sub("boot_device", "BootDevice", name=None, since=3, scope="fcos"),
            _sub("grub", "Grub", name=None, since=5, scope="fcos"),
            _sub("openshift", "OpenShift", name=None, scope="openshift"),
        ),
    ),
    Struct(
        "Ignition",
        (
            _sub("config", "IgnitionConfig"),
            _sub("proxy", "Proxy", since=1),
            _sub("security", "Security"),
            _sub("timeouts", "Timeouts"),
            _val("", name="version"),
        ),
    ),
    Struct(
        "IgnitionConfig",
        (
            _many("merge", "ConfigReference", until=0),
            _sub("replace", "ConfigReference", until=0),
            _many("merge", "Resource", since=1),
            _sub("replace", "Resource", since=1),
        ),
    ),
    Struct("ConfigReference", (_opt("source", STR, always=True), _sub("verification", "Verification")), "source"),
    Struct("CaReference", (_val("source"), _sub("verification", "Verification")), "source"),
    Struct(
        "Proxy",
        (
            _opt("http_proxy", STR),
            _opt("https_proxy", STR),
            _many("no_proxy", STR),
        ),
    ),
    Struct("Security", (_sub("tls", "TLS"),)),
    Struct(
        "TLS",
        (
            _many("certificate_authorities", "CaReference", until=0),
            _many("certificate_authorities", "Resource", since=1),
        ),
    ),
    Struct("Timeouts", (_opt("http_response_headers", INT), _opt("http_total", INT))),
    Struct(
        "Resource",
        (
            _opt("compression", STR),
            _many("http_headers", "HTTPHeader", since=1),
            _opt("source", STR),
            _opt("inline", STR, name=None),
            _opt("local", STR, name=None, since=1),
            _sub("verification", "Verification"),
        ),
        "source",
    ),
    Struct("HTTPHeader", (_val("name"), _opt("value", STR)), "name"),
    Struct("Verification", (_opt("hash", STR),)),
    Struct(
        "KernelArguments",
        (
            _many("should_exist", STR, together="KernelArgument"),
            _many("should_not_exist", STR, together="KernelArgument"),
        ),
    ),
    Struct("Passwd", (_many("groups", "PasswdGroup"), _many("users", "PasswdUser"))),
    Struct(
        "PasswdGroup",
        (
            _opt("gid", INT),
            _val("name"),
            _opt("password_hash", STR),
            _opt("should_exist", BOOL, since=2),
            _opt("system", BOOL),
        ),
        "name",
    ),
    Struct(
        "PasswdUser",
        (
            _opt("gecos", STR),
            _many("groups", STR),
            _opt("home_dir", STR),
            _val("name"),
            _opt("no_create_home", BOOL),
            _opt("no_log_init", BOOL),
            _opt("no_user_group", BOOL),
            _opt("password_hash", STR),
            _opt("primary_group", STR),
            _many("ssh_authorized_keys", STR),
            _many("ssh_authorized_keys_local", STR, name=None, since=4),
            _opt("shell", STR),
            _opt("should_exist", BOOL, since=2),
            _opt("system", BOOL),
            _opt("uid", INT),
        ),
        "name",
    ),
    Struct(
        "Storage",
        (
            _many("directories", "Directory", together="Node"),
            _many("disks", "Disk"),
            _many("files", "File", together="Node"),
            _many("filesystems", "Filesystem"),
            _many("links", "Link", together="Node"),
            _many("luks", "Luks", since=2),
            _many("raid", "Raid"),
            _many("trees", "Tree", name=None, since=1),
        ),
    ),
    Struct("Directory", (*_NODE, _opt("mode", INT)), "path"),
    Struct(
        "File",
        (
            *_NODE,
            _many("append", "Resource", appended=True),
            _sub("contents", "Resource"),
            _opt("mode", INT),
        ),
        "path",
    ),
    Struct(
        "Link",
        (
            *_NODE,
            _opt("hard", BOOL),
            _val("target", until=2),
            _opt("target", STR, since=3),
        ),
        "path",
    ),
    Struct("NodeGroup", (_opt("id", INT), _opt("name", STR))),
    Struct("NodeUser", (_opt("id", INT), _opt("name", STR))),
    Struct(
        "Tree",
        (
            _sub("group", "NodeGroup", name=None, since=6),
            _val("local", name=None),
            _opt("path", STR, name=None),
            _sub("user", "NodeUser", name=None, since=6),
            _opt("file_mode", INT, name=None, since=6),
            _opt("dir_mode", INT, name=None, since=6),
        ),
    ),
    Struct("Disk", (_val("device"), _many("partitions", "Partition"), _opt("wipe_table", BOOL)), "device"),
    Struct(
        "Partition",
        (
            _opt("guid", STR),
            _opt("label", STR),
            _val("number", INT, always=False),
            _opt("resize", BOOL, since=2),
            _opt("should_exist", BOOL),
            _opt("size_mib", INT),
            _opt("start_mib", INT),
            _opt("type_guid", STR),
            _opt("wipe_partition_entry", BOOL),
        ),
        "partition",
    ),
    Struct(
        "Filesystem",
        (
            _val("device"),
            _opt("format", STR),
            _opt("label", STR),
            _many("mount_options", STR, since=1, appended=True),
            _many("options", STR, appended=True),
            _opt("path", STR),
            _opt("uuid", STR),
            _opt("wipe_filesystem", BOOL),
            _opt("with_mount_unit", BOOL, name=None, since=1),
        ),
        "device",
    ),
    Struct(
        "Luks",
        (
            _sub("cex", "Cex", since=5),
            _sub("clevis", "Clevis", until=2, optional=True),
            _sub("clevis", "Clevis", since=3),
            _opt("device", STR),
            _opt("discard", BOOL, since=4),
            _sub("key_file", "Resource"),
            _opt("label", STR),
            _val("name"),
            _many("open_options", STR, since=4),
            _many("options", STR, appended=True),
            _opt("uuid", STR),
            _opt("wipe_volume", BOOL),
        ),
        "name",
    ),
    Struct("Cex", (_opt("enabled", BOOL),)),
    Struct(
        "Clevis",
        (
            _sub("custom", "ClevisCustom", until=2, optional=True),
            _sub("custom", "ClevisCustom", since=3),
            _many("tang", "Tang"),
            _opt("threshold", INT),
            _opt("tpm2", BOOL),
        ),
    ),
    Struct(
        "ClevisCustom",
        (
            _val("config", until=2),
            _opt("config", STR, since=3),
            _opt("needs_network", BOOL),
            _val("pin", until=2),
            _opt("pin", STR, since=3),
        ),
    ),
    Struct(
        "Tang",
        (_opt("advertisement", STR, since=4), _opt("thumbprint", STR), _val("url", always=False)),
        "url",
    ),
    Struct(
        "Raid",
        (
            _many("devices", STR, until=2, always=True, rule="Device"),
            _many("devices", STR, since=3, rule="Device"),
            _val("level", until=2),
            _opt("level", STR, since=3),
            _val("name"),
            _many("options", STR, appended=True),
            _opt("spares", INT),
        ),
        "name",
    ),
    Struct("Systemd", (_many("units", "Unit"), _many("quadlets", "Quadlet", name=None, since=7))),
    Struct(
        "Unit",
        (
            _opt("contents", STR),
            _opt("contents_local", STR, name=None, since=4),
            _many("dropins", "Dropin"),
            _opt("enabled", BOOL),
            _opt("mask", BOOL),
            _val("name"),
        ),
        "name",
    ),
    Struct(
        "Dropin",
        (
            _opt("contents", STR),
            _opt("contents_local", STR, name=None, since=4),
            _val("name"),
        ),
        "name",
    ),
    Struct(
        "Quadlet",
        (
            _opt("contents", STR, name=None),
            _opt("contents_local", STR, name=None),
            _many("dropins", "Dropin", name=None),
            _val("name", name=None),
            _val("rootful", BOOL, name=None),
        ),
    ),
    # Variants' own sections: sugar, never part of the Ignition config.
    Struct(
        "BootDevice",
        (
            _opt("layout", STR, name=None),
            _sub("luks", "BootDeviceLuks", name=None),
            _sub("mirror", "BootDeviceMirror", name=None),
        ),
    ),
    Struct(
        "BootDeviceLuks",
        (
            _sub("cex", "Cex", name=None, since=6, scope="fcos"),
            _opt("discard", BOOL, name=None, since=5, scope="fcos"),
            _opt("device", STR, name=None, since=6, scope="fcos"),
            _many("tang", "Tang", name=None),
            _opt("threshold", INT, name=None),
            _opt("tpm2", BOOL, name=None),
        ),
    ),
    Struct("BootDeviceMirror", (_many("devices", STR, name=None),)),
    Struct("Grub", (_many("users", "GrubUser", name=None),)),
    Struct("GrubUser", (_val("name", name=None), _opt("password_hash", STR, name=None))),
    Struct(
        "Metadata",
        (
            _val("name", name=None),
            Field("labels", None, Shape.STRUCT, "Labels"),
        ),
    ),
    Struct("Labels", ()),
    Struct(
        "OpenShift",
        (
            _many("kernel_arguments", STR, name=None),
            _opt("kernel_type", STR, name=None),
            _opt("fips", BOOL, name=None),
            _many("extensions", STR, name=None),
        ),
    ),
)
