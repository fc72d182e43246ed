"""Every message that a user may read, each with what to do about it."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):  # quicker to make than a dataclass, of which a hostile text wants many
    """A kind of problem: a stable code, the text, and the remedy. Both may hold ``str.format`` places."""

    code: str
    text: str
    remedy: str = ""

    def fill(self, **values: object) -> Problem:
        remedy = self.remedy.format(**values) if "{" in self.remedy else self.remedy
        return Problem(self.code, self.text.format(**values), remedy)


# Reading YAML
YAML_SYNTAX = Problem("yaml-syntax", "not valid YAML: {detail}", "check indentation, quotes and colons here")
YAML_TAG = Problem("yaml-tag", "{detail}", "drop the tag or write a value that fits it")
DUPLICATE_KEY = Problem("duplicate-key", "key {key!r} is already used on line {line}", "keep one of them")
ALIAS_LOOP = Problem("alias-loop", "anchor {name!r} contains itself", "replace the alias by what it should hold")
ALIAS_BOMB = Problem("alias-bomb", "aliases multiply beyond what is safe to expand", "write the repeated parts out")
MERGE_VALUE = Problem("merge-value", "'<<' needs a mapping or a list of mappings", "name an anchor of a mapping")
MERGE_DEPTH = Problem("merge-depth", "'<<' goes through too many anchors", "write the merged keys out")
BAD_KEY = Problem("key-type", "a key must be a scalar", "quote the key or remove it")
WRONG_TYPE = Problem("wrong-type", "expected {expected}, found {found}", "write {expected}")
UNUSED_KEY = Problem("unused-key", "unknown key {key!r}: it has no effect{hint}", "correct the spelling or remove it")
EMPTY_SECTION = Problem(
    "shape-mismatch",
    "this section is empty or an alias: its keys cannot be checked",
    "remove the section, or write its keys here",
)

# Choosing the language
NO_VARIANT = Problem("no-variant", "'variant' is missing", "add e.g. 'variant: flatcar' and 'version: 1.1.0'")
BAD_VERSION = Problem("bad-version", "'version' is not a semantic version", "write it as in 'version: 1.1.0'")
UNKNOWN_VERSION = Problem("unknown-version", "no variant {variant!r} with version {version!r}", "use {known}")
RHCOS_REMOVED = Problem("rhcos-removed", "variant 'rhcos' no longer exists", "use variant 'openshift'")

# Resources, local files and trees
TOO_MANY_SOURCES = Problem("too-many-sources", "more than one of 'inline', 'local' and 'source'", "keep one of them")
TOO_MANY_UNIT_SOURCES = Problem("too-many-unit-sources", "both 'contents' and 'contents_local'", "keep one of them")
NO_FILES_DIR = Problem("no-files-dir", "a local file is wanted but no files directory is given", "pass one")
FILES_DIR_ESCAPE = Problem("files-dir-escape", "{path!r} leads out of the files directory", "use a path inside of it")
FILE_UNREADABLE = Problem(
    "file-unreadable", "cannot read local file {path!r}: {why}", "check the name and that it exists"
)
TREE_NO_LOCAL = Problem("tree-no-local", "a tree needs 'local'", "name a directory below the files directory")
TREE_NOT_DIRECTORY = Problem("tree-not-directory", "{path!r} is not a directory", "use 'files' for a single file")
TREE_FILE_TYPE = Problem("tree-file-type", "{path!r} is neither file, directory nor symlink", "remove it from the tree")
NODE_EXISTS = Problem("node-exists", "{path!r} from the tree is already defined", "remove one of the two definitions")
EMBEDDED_CONFIG = Problem("embedded-config", "in the embedded config: {detail}", "correct it")
EMBEDDED_VERSION = Problem("embedded-version", "the embedded config's version is unknown: it is not checked")

# Sections of Butane
DECIMAL_MODE = Problem("decimal-mode", "mode {mode} looks like octal written in decimal", "write 0{mode}")
MOUNT_UNIT_NO_PATH = Problem("mount-unit-no-path", "with_mount_unit needs 'path'", "add the mount point")
MOUNT_UNIT_NO_FORMAT = Problem("mount-unit-no-format", "with_mount_unit needs 'format'", "add e.g. 'format: ext4'")
MOUNT_POINT_FORBIDDEN = Problem(
    "mount-point-forbidden", "this mount point is read-only", "use a path under /etc or /var"
)
REUSE_BY_LABEL = Problem(
    "reuse-by-label",
    "a partition cannot be reused by its label",
    "set 'number', or 'wipe_table: true', or use /dev/disk/by-id/coreos-boot-disk",
)
UNKNOWN_LAYOUT = Problem("unknown-layout", "unknown layout {layout!r}", "use one of {known}")
TOO_FEW_MIRRORS = Problem("too-few-mirrors", "a mirror needs at least two devices", "add a device")
MIRROR_NEEDS_LAYOUT = Problem("mirror-needs-layout", "a mirror needs 'boot_device.layout'", "add e.g. 'layout: x86_64'")
MIRROR_UNSUPPORTED = Problem("mirror-unsupported", "{layout} has no mirror", "remove 'mirror'")
LUKS_NEEDS_DEVICE = Problem("luks-needs-device", "layout {layout} needs 'luks.device'", "add e.g. 'device: {example}'")
LUKS_DEVICE_NAME = Problem("luks-device-name", "not a device of layout {layout}", "use a name such as {example}")
LUKS_NO_METHOD = Problem("luks-no-method", "no way to unlock is given", "add 'tpm2', 'tang' or 'cex'")
CEX_NEEDS_S390X = Problem("cex-needs-s390x", "CEX exists on s390x only", "set an s390x layout or remove 'cex'")
CEX_UNSUPPORTED = Problem("cex-unsupported", "CEX is not supported by this variant", "remove 'cex'")
CEX_WITH_CLEVIS = Problem("cex-with-clevis", "CEX cannot be combined with Clevis", "keep one of them")
CEX_WITH_KEY_FILE = Problem("cex-with-key-file", "CEX cannot be combined with a key file", "keep one of them")
GRUB_NO_NAME = Problem("grub-no-name", "a GRUB user needs 'name'", "add it")
GRUB_NO_PASSWORD = Problem(
    "grub-no-password", "a GRUB user needs 'password_hash'", "make one with grub2-mkpasswd-pbkdf2"
)
ROOT_CONSTRAINED = Problem(
    "root-constrained", "the root partition cannot grow: another one follows it", "give the other 'start_mib'"
)
ROOT_TOO_SMALL = Problem("root-too-small", "the root partition is small", "give it at least 8192 MiB")
WRONG_PARTITION_NUMBER = Problem(
    "wrong-partition-number",
    "label {label!r} belongs to partition {number}: a new partition will be made",
    "set 'number: {number}' or choose another label",
)

# What a variant does not have
CLEVIS_UNSUPPORTED = Problem("clevis-unsupported", "this variant has no Clevis", "unlock with 'key_file'")
KERNEL_ARGUMENTS_UNSUPPORTED = Problem(
    "kernel-arguments-unsupported", "this variant cannot set kernel arguments", "remove 'kernel_arguments'"
)
DISKS_UNSUPPORTED = Problem("disks-unsupported", "this variant cannot partition disks", "remove 'disks'")
FILESYSTEMS_UNSUPPORTED = Problem(
    "filesystems-unsupported", "this variant cannot make filesystems", "remove 'filesystems'"
)
LUKS_UNSUPPORTED = Problem("luks-unsupported", "this variant has no LUKS", "remove 'luks'")
RAID_UNSUPPORTED = Problem("raid-unsupported", "this variant has no RAID", "remove 'raid'")

# Quadlets
QUADLET_EXTENSION = Problem("quadlet-extension", "{name!r} has no extension of a quadlet", "use one of {known}")
QUADLET_INSTANCE = Problem(
    "quadlet-instance", "{name!r} is an instance of a template: a link without contents", "move them to {template!r}"
)

# OpenShift's MachineConfigs
METADATA_NO_NAME = Problem("metadata-no-name", "a MachineConfig needs 'metadata.name'", "add e.g. 'name: 99-worker-x'")
METADATA_NO_ROLE = Problem(
    "metadata-no-role",
    "a MachineConfig needs the label machineconfiguration.openshift.io/role",
    "add it to 'metadata.labels', with the value worker or master",
)
BAD_KERNEL_TYPE = Problem("bad-kernel-type", "unknown kernel type {kind!r}", "use 'default' or 'realtime'")
CEX_KERNEL_ARGUMENT = Problem(
    "cex-kernel-argument",
    "CEX on the root volume needs a kernel argument",
    "add rd.luks.key=/etc/luks/cex.key to 'openshift.kernel_arguments'",
)
ELIDED = Problem("elided", "without a MachineConfig this has no effect", "remove it or compile without --raw")
BTRFS_UNSUPPORTED = Problem("btrfs-unsupported", "this variant has no btrfs", "use xfs or ext4")
FORMAT_NONE_UNSUPPORTED = Problem(
    "format-none-unsupported", "this variant cannot leave a filesystem unformatted", "name a format"
)
FILE_SCHEME_UNSUPPORTED = Problem(
    "file-scheme-unsupported", "this variant does not download files", "use 'inline', 'local' or a data URL"
)
FILE_MODE_UNSUPPORTED = Problem(
    "file-mode-unsupported", "this variant cannot set setuid, setgid and sticky bits", "use a mode up to 0777"
)
FILE_APPEND_UNSUPPORTED = Problem(
    "file-append-unsupported", "this variant cannot append to files", "write the whole file with 'contents'"
)
FILE_COMPRESSION_UNSUPPORTED = Problem(
    "file-compression-unsupported", "this version has no compressed files", "remove 'compression'"
)
FILE_HEADERS_UNSUPPORTED = Problem(
    "file-headers-unsupported", "this variant does not download files", "remove 'http_headers'"
)
GROUPS_UNSUPPORTED = Problem("groups-unsupported", "this variant cannot make groups", "remove 'groups'")
USER_FIELD_UNSUPPORTED = Problem(
    "user-field-unsupported",
    "this variant cannot set this field of a user",
    "keep 'name', 'ssh_authorized_keys' and, from version 4.13.0, 'password_hash'",
)
USER_NAME_UNSUPPORTED = Problem("user-name-unsupported", "this variant has no user but 'core'", "write 'name: core'")
DIRECTORIES_UNSUPPORTED = Problem(
    "directories-unsupported", "this variant cannot make directories", "remove them; those of files are made"
)
LINKS_UNSUPPORTED = Problem("links-unsupported", "this variant cannot make links", "remove 'links'")
OPENSHIFT_KERNEL_ARGUMENTS = Problem(
    "openshift-kernel-arguments",
    "this variant cannot set kernel arguments here",
    "move them to 'openshift.kernel_arguments'",
)

# Ignition: documents
JSON_SYNTAX = Problem("json-syntax", "not valid JSON: {detail}", "check quotes, commas and brackets here")
NOT_A_CONFIG = Problem("not-a-config", "the config is not an object with 'ignition.version'", "add it")
CONFIG_VERSION = Problem("config-version", "{version!r} is not a version", "write it as in '3.4.0'")
CONFIG_VERSION_UNKNOWN = Problem("config-version-unknown", "version {version!r} is unknown", "use 3.0.0 to 3.6.0")
DUPLICATE_ENTRY = Problem("duplicate-entry", "{key!r} is defined twice", "merge the two or remove one")

# Ignition: sections
NO_PATH = Problem("no-path", "a path is missing", "add an absolute path")
RELATIVE_PATH = Problem("relative-path", "path {path!r} is not absolute", "begin it with '/'")
DIRTY_PATH = Problem("dirty-path", "path {path!r} is not in its simplest form", "write {clean!r}")
PATH_CONFLICTS_UNIT = Problem("path-conflicts-unit", "a systemd unit or drop-in writes {path!r} too", "keep one")
THROUGH_LINK = Problem("through-link", "{path!r} goes through link {link!r} of this config", "use the link's target")
LINK_NO_TARGET = Problem("link-no-target", "a link needs 'target'", "add it")
HARD_LINK_TO_DIRECTORY = Problem("hard-link-to-directory", "{path!r} is a directory", "make the link soft")
HARD_LINK_OWNER = Problem("hard-link-owner", "owner and group of a hard link are ignored", "set them on the target")
BAD_MODE = Problem("bad-mode", "mode {mode} is out of range", "use an octal number from 0 to 07777")
SPECIAL_MODE = Problem(
    "special-mode", "setuid, setgid and sticky bits have no effect before Ignition spec 3.6.0", "remove them"
)
OVERWRITE_NO_SOURCE = Problem("overwrite-no-source", "overwrite needs contents", "add 'contents' or drop 'overwrite'")
ID_AND_NAME = Problem("id-and-name", "both 'id' and 'name'", "keep one of them")
NO_DISK_DEVICE = Problem("no-disk-device", "a device is missing", "add e.g. 'device: /dev/vda'")
PARTITION_NUMBERS = Problem("partition-numbers", "partition number {number} is used twice", "number them apart")
PARTITION_OVERLAP = Problem("partition-overlap", "partitions overlap", "correct start and size")
PARTITION_LABELS = Problem("partition-labels", "partition label {label!r} is used twice", "choose another")
PARTITION_ABSENT = Problem(
    "partition-absent", "a partition that should not exist has other properties", "remove 'should_exist' or the others"
)
PARTITION_UNNAMED = Problem("partition-unnamed", "a partition needs 'label' or 'number'", "add one of them")
PARTITION_LABEL_LENGTH = Problem("partition-label-length", "a partition label has at most 36 bytes", "shorten it")
PARTITION_LABEL_COLON = Problem("partition-label-colon", "a partition label cannot hold a colon", "replace it")
BAD_GUID = Problem("bad-guid", "{guid!r} is not a GUID", "write it as 01234567-89AB-CDEF-EDCB-A98765432101")
FORMAT_MISSING = Problem(
    "format-missing", "a filesystem with other properties needs 'format'", "add e.g. 'format: ext4'"
)
BAD_FORMAT = Problem("bad-format", "unknown filesystem format {format!r}", "use one of {known}")
LABEL_NEEDS_FORMAT = Problem("label-needs-format", "a label needs 'format'", "add e.g. 'format: ext4'")
LABEL_LENGTH = Problem("label-length", "a label of {format} has at most {limit} bytes", "shorten it")
VIRTIOFS_NO_TAG = Problem("virtiofs-no-tag", "a virtiofs needs its tag as 'device'", "add e.g. 'device: share'")
VIRTIOFS_TAG_LENGTH = Problem("virtiofs-tag-length", "the tag of a virtiofs has at most 36 bytes", "shorten it")
VIRTIOFS_LABEL = Problem("virtiofs-label", "a virtiofs has no label", "remove 'label'")
VIRTIOFS_FIELD = Problem("virtiofs-field", "a virtiofs is not formatted: it cannot have {field!r}", "remove it")
PARTITIONS_OVERWRITTEN = Problem(
    "partitions-overwritten", "the filesystem covers a disk that has partitions", "name a partition as the device"
)
IMPLICIT_WIPE = Problem(
    "implicit-wipe", "the disk has 'wipe_table': the filesystem will be wiped", "set 'wipe_filesystem: true'"
)
RAID_NO_LEVEL = Problem("raid-no-level", "a RAID needs 'level'", "add e.g. 'level: raid1'")
RAID_BAD_LEVEL = Problem(
    "raid-bad-level", "unknown RAID level {level!r}", "use raid0, raid1, raid4, raid5, raid6 or raid10"
)
RAID_SPARES = Problem("raid-spares", "level {level} has no spares", "remove 'spares'")
RAID_NO_DEVICES = Problem("raid-no-devices", "a RAID needs devices", "add 'devices'")
LUKS_NAME_SLASH = Problem(
    "luks-name-slash", "a LUKS name cannot hold a slash", "use the name alone, without /dev/mapper"
)
LUKS_LABEL_LENGTH = Problem("luks-label-length", "a LUKS label has at most 47 bytes", "shorten it")
LUKS_KEY_FILE = Problem("luks-key-file", "the source of the key file is not valid", "correct the URL")
CLEVIS_NO_PIN = Problem("clevis-no-pin", "a custom Clevis pin needs 'pin'", "add it")
CLEVIS_BAD_PIN = Problem("clevis-bad-pin", "unknown Clevis pin {pin!r}", "use tpm2, tang or sss")
CLEVIS_NO_CONFIG = Problem("clevis-no-config", "a custom Clevis pin needs 'config'", "add it")
CLEVIS_CUSTOM = Problem("clevis-custom", "'custom' cannot be combined with tang, tpm2 or threshold", "keep one of them")
TANG_NO_THUMBPRINT = Problem("tang-no-thumbprint", "a Tang server needs 'thumbprint'", "add it")
TANG_ADVERTISEMENT = Problem(
    "tang-advertisement", "the advertisement is not JSON", "paste what the server's /adv gives"
)
NO_SOURCE = Problem("no-source", "a source is missing", "add 'source', 'inline' or 'local'")
BAD_URL = Problem("bad-url", "not a URL: {detail}", "correct it")
BAD_SCHEME = Problem("bad-scheme", "a URL of scheme {scheme!r} cannot be used here", "use {known}")
BAD_ARN = Problem("bad-arn", "not an ARN of an S3 object", "write it as arn:aws:s3:::bucket/key")
BAD_VERSION_ID = Problem("bad-version-id", "versionId is empty", "give it a value or remove it")
BAD_DATA_URL = Problem("bad-data-url", "not a data URL: {detail}", "use 'inline' for literal contents")
BAD_COMPRESSION = Problem("bad-compression", "unknown compression {compression!r}", "use 'gzip' or none")
HASH_NO_SOURCE = Problem("hash-no-source", "a hash needs a source", "add the source or remove the hash")
HASH_FORM = Problem("hash-form", "a hash is written TYPE-HEX", "write e.g. sha256-<64 hexadecimal digits>")
HASH_TYPE = Problem("hash-type", "unknown hash {kind!r}", "use {known}")
HASH_SIZE = Problem("hash-size", "{kind} has {size} hexadecimal digits, here are {found}", "paste the whole hash")
HEADER_NO_NAME = Problem("header-no-name", "a header needs 'name'", "add it")
HEADER_NO_VALUE = Problem("header-no-value", "a header's value is empty", "give it a value")
HEADERS_SCHEME = Problem("headers-scheme", "headers need a source of http or https", "remove 'http_headers'")
BAD_PROXY = Problem("bad-proxy", "a proxy is a URL of http or https", "correct it")
INSECURE_PROXY = Problem("insecure-proxy", "a plain HTTP proxy for HTTPS resources", "use https if the proxy can")
UNIT_EXTENSION = Problem("unit-extension", "{name!r} has no extension of a systemd unit", "add e.g. '.service'")
UNIT_CONTENTS = Problem("unit-contents", "not a unit file: {detail}", "correct the contents")
UNIT_NO_INSTALL = Problem("unit-no-install", "{name!r} is enabled but has no [Install] section", "add the section")
TEMPLATE_NO_INSTALL = Problem(
    "template-no-install", "template {template!r} of {name!r} has no [Install] section", "add the section"
)
DROPIN_EXTENSION = Problem("dropin-extension", "drop-in {name!r} does not end in '.conf'", "rename it")
