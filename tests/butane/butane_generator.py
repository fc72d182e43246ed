"""Random Butane configs from the field table: every field of every variant and version, valid and invalid."""

from __future__ import annotations

import random

from firestorm_butane.schema import Field, Path, Scalar, Shape, spec_version, view
from firestorm_butane.variants import Version

LOCAL_FILES: dict[str, bytes] = {
    "motd": b"welcome\n",
    "keys": b"ssh-ed25519 AAAA one\r\n\r\nssh-ed25519 BBBB two\n",
    "binary": bytes(range(256)) * 3,
    "text": b"".join(b"line %d of a compressible text\n" % i for i in range(60)),
    "unit.service": b"[Unit]\nDescription=x\n[Install]\nWantedBy=multi-user.target\n",
    "latin": b"caf\xe9 \xe2\x82\n",
    "tree/a": b"a\n",
    "tree/sub/b": b"b\n" * 300,
    "tree/sub/run": b"#!/bin/sh\n",
}

# Raw YAML text for values, by key (and by struct where keys are shared); the rest is drawn by type.
VALUES: dict[str, tuple[str, ...]] = {
    "Unit.name": ("a.service", "b.socket", *("c@x.service", "c@.service") * 2, "d.timer", "nodot", "e.conf"),
    "Unit.contents": (
        '"[Service]\\nExecStart=/bin/true\\n"',
        '"[Unit]\\nA=b\\n[Install]\\nWantedBy=x\\n"',
        '""',
        '"no section"',
        '"[Broken"',
        '"[A]\\nno equals\\n"',
        '"[A]\\nb=c\\\\\\n  d\\n# x\\n[Install]\\n"',
        '"[A]\\nb=\\\\bc\\\\f\\\\\\\\b<\\b\\f\\n[Install]\\n"',
    ),
    "Dropin.name": ("10-a.conf", "20-b.conf", "c.txt"),
    "Dropin.contents": ('"[Service]\\nA=b\\n"', '"[X"', '""'),
    "contents_local": ("unit.service", "latin", "missing", "../escape", '""'),
    "local": ("motd", "text", "binary", "/motd", "missing", "../escape", "tree/../motd"),
    "Tree.local": ("tree", "tree/sub", "missing", "motd", '""', "./tree/", "pipes"),
    "Tree.path": ("/opt/tree", "/", '""', "relative", "/opt/../x"),
    "ssh_authorized_keys_local": ("keys", "missing", "latin"),
    "inline": ("hello", '""', "|\n  a\n  b\n", '"\\u00e9\\u2028<&>"', "a b%c+d~", "12", "true", "'" + "x" * 300 + "'"),
    "source": (
        "https://example.com/a?b=c#d",
        "http://[::1]:80/x",
        "data:,hello%20world",
        "data:text/plain;charset=utf-8;base64,aGVsbG8=",
        "s3://bucket/key?versionId=1",
        "tftp://h/x",
        "gs://bucket/x",
        "arn:aws:s3:::bucket/key",
        '"arn:aws:ec2:::x/y"',
        "ftp://x",
        '"data:;base64,!!"',
        "s3://b/k?versionId=",
        '""',
        "http://a:b/",
        "relative/path",
        '"http://a b/"',
        "data:,a b",
        "DATA:,x",
        "http://h/%zz",
    ),
    "hash": (
        "sha512-" + "0" * 128,
        "sha256-" + "a" * 64,
        "sha256-" + "a" * 63,
        "md5-" + "0" * 32,
        "sha512",
        '""',
    ),
    "compression": ("gzip", '""', "xz"),
    "path": (
        *("/etc/a", "/etc/b", "/etc/b/c", "/var/d", "/opt/e", "relative", "/dirty//x", "/trail/", '""', "/"),
        *("/etc/systemd/system/a.service", "/etc/systemd/system/a.service.d/10-a.conf"),
    ),
    "Filesystem.path": ("/var/lib/a", "/etc/x-y", "/mnt/z", "/var/a b", "/", "relative", '""'),
    "device": ("/dev/vda", "/dev/vdb", "/dev/mapper/data", "/dev/disk/by-id/dm-name-data", "vda", "/dev/../x", '""'),
    "Filesystem.device": ("/dev/vda", "/dev/mapper/data", "/dev/disk/by-id/dm-name-data", "vda", '""', "x" * 37),
    "BootDeviceLuks.device": ("/dev/dasda", "/dev/sda", "/dev/vda"),
    "Filesystem.format": ("ext4", "xfs", "btrfs", "vfat", "swap", "none", "virtiofs", "zfs", '""'),
    "Filesystem.label": ("data", "a-label-that-is-long", '""'),
    "Filesystem.with_mount_unit": ("true", "false"),
    "Luks.name": ("data", "root", "a/b"),
    "Luks.label": ("l", "x" * 48, '""'),
    "Partition.label": ("root", "boot", "data", "var", "BIOS-BOOT", "a:b", "x" * 37, '""'),
    "Partition.number": ("0", "1", "2", "3", "4"),
    "Partition.size_mib": ("0", "1", "100", "9000"),
    "Partition.start_mib": ("0", "1", "100", "2000"),
    "guid": ("01234567-89AB-CDEF-EDCB-A98765432101", '""', "x"),
    "type_guid": ("01234567-89ab-cdef-edcb-a98765432101", "8DA63339"),
    "Raid.level": ("raid1", "linear", "10", "raid7", '""'),
    "Raid.name": ("md0", "md1"),
    "Raid.devices": ("/dev/vda", "/dev/vdb", "vda"),
    "mode": ("0644", "0755", "420", "644", "01777", "0o600", "07777", "4096", "8888", "-1", "755", "1e2"),
    "file_mode": ("0600", "0640"),
    "dir_mode": ("0700", "0755"),
    "Link.target": ("/etc/a", "/etc/b", "../b", '""'),
    "Link.hard": ("true", "false"),
    "File.overwrite": ("true", "false"),
    "layout": ("x86_64", "aarch64", "ppc64le", "s390x-eckd", "s390x-zfcp", "s390x-virt", "riscv64"),
    "BootDeviceMirror.devices": ("/dev/vda", "/dev/vdb", "/dev/vdc"),
    "Tang.url": ("http://tang.example.com", "https://tang", "tang", "ftp://tang", '"http://[x"'),
    "thumbprint": ("abc", '""'),
    "advertisement": ("'{\"payload\": 1}'", "'{'", '""'),
    "ClevisCustom.pin": ("tpm2", "sss", "tang", "other", '""'),
    "ClevisCustom.config": ("'{}'", '""'),
    "http_proxy": ("http://proxy", "https://proxy:3128", "ftp://proxy", "proxy"),
    "https_proxy": ("https://proxy", "http://proxy", "socks5://x"),
    "HTTPHeader.name": ("Accept", "X-One", '""'),
    "HTTPHeader.value": ("v", '""'),
    "should_exist": ("quiet", "a=b", "true", "false"),
    "should_not_exist": ("splash", "quiet"),
    "name": ("core", "alice", "bob", '""'),
    "GrubUser.name": ("root", "admin", '""'),
    "Metadata.name": ("99-worker-x", "'2001-01-01'", '""'),
    "kernel_type": ("default", "realtime", '""', "hurd"),
    "OpenShift.kernel_arguments": ("quiet", "rd.luks.key=/etc/luks/cex.key", "'- a'", '"\\n- b\\n"', "a=b # c"),
    "extensions": ("usbguard", "kernel-devel", "'~'"),
    "Quadlet.name": ("a.container", "b@.container", "b@1.container", "c.network", "d.service", "../e.pod", "x@y"),
    "password_hash": ("grub.pbkdf2.sha512.10000.AB", '""'),
}
BY_TYPE: dict[Scalar, tuple[str, ...]] = {
    Scalar.STR: ("one", "'t\\fwo\\b'", '"quoted value"', "3", "yes", "~", "1.5", "2001-01-01", "[a]"),
    Scalar.INT: ("0", "1", "42", "1_000", "0x1f", "1.0", "0b11", "-7", "08", "words", '"5"', "null"),
    Scalar.BOOL: ("true", "false", "yes", "off", '"on"', "~", "1", '"true"', "maybe"),
}
LABELS = (
    "machineconfiguration.openshift.io/role: worker",
    "a10: x",
    "a9: 'yes'",
    "'A': 1:20",
    '"with space": "two\\nlines\\n"',
    '"\\u00e9": " led "',
    "'1': '007'",
    "empty: ''",
    "nothing: ~",
    '"tab\\t": "bell\\a \\u2028 \\U0001f600"',
    '"quote": "it\'s # not: [a comment]"',
    "? " + "k" * 130,
    "machineconfiguration.openshift.io/role: ''",
)
# Configs within a config: VERSION is that of the outer one.
EMBEDDED = (
    """'{"ignition": {"version": "VERSION"}, "storage": {"files": [{"path": "relative"}]}}'""",
    """'{"ignition": {"version": "VERSION"}, "storage": {"files": 3}}'""",
    """'{"ignition": {"version": "VERSION", "timeouts": {"httpTotal": 1, "bogus": 2}}, "systemd": {}}'""",
    """'{"ignition": {"version": "3.0.0"}, "storage": {"files": [{"path": "relative"}]}}'""",
    """'{"ignition": {"version": "9.9.9"}}'""",
    """'{"ignition": {"version": "x"}}'""",
    """'{"ignition": {"version": 3}}'""",
    "'{}'",
    "'[]'",
    "'{'",
)
# Of these, a config that is meant to be right has one.
EXCLUSIVE: dict[str, tuple[frozenset[str], ...]] = {
    "Resource": (frozenset({"inline", "local", "source"}),),
    "Unit": (frozenset({"contents", "contents_local"}),),
    "Quadlet": (frozenset({"contents", "contents_local"}),),
    "Dropin": (frozenset({"contents", "contents_local"}),),
    "NodeUser": (frozenset({"id", "name"}),),
    "NodeGroup": (frozenset({"id", "name"}),),
    "Clevis": (frozenset({"custom", "tang"}), frozenset({"custom", "tpm2"}), frozenset({"custom", "threshold"})),
    "Luks": (frozenset({"cex", "clevis"}), frozenset({"cex", "key_file"})),
    "BootDeviceLuks": (frozenset({"cex", "tang"}), frozenset({"cex", "tpm2"})),
}
NEEDED = frozenset(
    {
        *("thumbprint", "target", "level", "format", "source", "inline", "local", "pin", "config", "layout", "devices"),
        *(
            "device",
            "password_hash",
            "Filesystem.path",
            "Luks.clevis",
            "ClevisCustom.needs_network",
            "BootDeviceLuks.tpm2",
            "BootDeviceLuks.cex",
            "Cex.enabled",
            "labels",
        ),
    }
)
# What identifies an entry of a list, made anew for each entry of a config that is meant to be right.
FRESH: dict[str, str] = {
    "Directory.path": "/etc/directory-{}",
    "File.path": "/etc/file-{}",
    "Link.path": "/etc/link-{}",
    "Disk.device": "/dev/disk-{}",
    "Filesystem.device": "/dev/part-{}",
    "Luks.name": "luks-{}",
    "Raid.name": "md-{}",
    "Partition.label": "label-{}",
    "Partition.number": "{}",
    "PasswdUser.name": "user-{}",
    "PasswdGroup.name": "group-{}",
    "HTTPHeader.name": "X-{}",
    "Tang.url": "https://tang-{}",
    "Unit.name": "unit-{}.service",
    "Dropin.name": "{}-dropin.conf",
    "KernelArguments.should_exist": "a{}=b",
    "KernelArguments.should_not_exist": "b{}",
    "PasswdUser.groups": "group-{}",
    "PasswdUser.ssh_authorized_keys": "ssh-ed25519 AAAA {}",
    "Luks.open_options": "--option-{}",
    "Raid.devices": "/dev/member-{}",
    "BootDeviceMirror.devices": "/dev/mirror-{}",
    "Proxy.no_proxy": "host-{}",
    "Quadlet.name": "quadlet-{}.container",
    "Tree.path": "/opt/tree-{}",
    "OpenShift.kernel_arguments": "a{}=b",
    "OpenShift.extensions": "extension-{}",
}
# Beside the names, what two entries may contradict each other in.
CROWDED = frozenset(
    {"Partition.start_mib", "Partition.size_mib", "Link.target", "Link.hard", "File.overwrite", "Unit.contents"}
)
# What OpenShift's MachineConfigs may hold of them.
OPENSHIFT: dict[str, tuple[str, ...]] = {
    "PasswdUser.name": ("core",),
    "File.mode": ("0644", "0755", "0600"),
    "Filesystem.format": ("ext4", "xfs"),
}
# Values that are always right in their place, for configs that are meant to be right.
RIGHT: dict[str, tuple[str, ...]] = {
    "Raid.level": ("raid1", "raid10"),
    "Raid.spares": ("0", "1"),
    "thumbprint": ("abc",),
    "layout": ("x86_64", "aarch64", "ppc64le"),
    "source": VALUES["source"][:2],
    "Luks.device": ("/dev/vda",),
    "BootDeviceLuks.device": ("/dev/dasda",),
    "tpm2": ("true",),
    "CaReference.source": VALUES["source"][2:4],
    "local": ("motd", "text", "binary"),
    "contents_local": ("unit.service",),
    "ssh_authorized_keys_local": ("keys",),
    "Tree.local": ("tree", "tree/sub"),
    "BootDeviceLuks.tpm2": ("true",),
    "hash": VALUES["hash"][:1],
    "compression": ("gzip", '""'),
    "Unit.contents": (*VALUES["Unit.contents"][:2], VALUES["Unit.contents"][-1]),
    "Dropin.contents": VALUES["Dropin.contents"][:1],
    "Filesystem.format": ("ext4", "xfs", "btrfs", "vfat", "swap"),
    "Filesystem.label": ("data",),
    "Filesystem.path": ("/var/lib/a", "/etc/x-y"),
    "device": ("/dev/vda", "/dev/vdb", "/dev/mapper/data"),
    "guid": VALUES["guid"][:2],
    "type_guid": VALUES["type_guid"][:1],
    "target": ("/etc/target", "../other"),
    "mode": ("0644", "0755", "0600", "644", "01777"),
    "GrubUser.name": ("root", "admin"),
    "password_hash": VALUES["password_hash"][:1],
    "ClevisCustom.pin": ("tpm2", "sss"),
    "ClevisCustom.config": ("'{}'",),
    "advertisement": VALUES["advertisement"][:1],
    "HTTPHeader.value": ("v",),
    "Luks.label": ("l",),
    "Partition.size_mib": ("0", "100", "9000"),
    "Partition.start_mib": ("0",),
    "should_exist": ("true",),
    "http_proxy": VALUES["http_proxy"][:2],
    "https_proxy": VALUES["https_proxy"][:2],
    "overwrite": ("false",),
    "Metadata.name": ("99-worker-x", "'2001-01-01'"),
    "kernel_type": ("default", "realtime", '""'),
    "Quadlet.contents": ('"[Container]\\nImage=x\\n"',),
}


class Generator:
    """One random config of one version as YAML text."""

    def __init__(self, version: Version, seed: int) -> None:
        self.random = random.Random(f"{version.variant} {version.version} {seed}")
        self.version = version
        self.view = view(version.level)
        # Some configs are meant to be right. Of those that are not, many errors hide what lies behind them, and a wrong
        # shape hides all others: so most are wrong in one place or two, few in many, and few of the wrong shape.
        self.faults, self.odd, self.wild = self.random.choice(
            ((0, 0.0, 0.0), (0, 0.0, 0.0), (1, 0.0, 0.0), (1, 0.0, 0.0), (2, 0.0, 0.0), (0, 0.1, 0.0), (0, 0.2, 0.2))
        )
        self.crowded = self.random.random() < 0.3
        """Entries of lists meet: their names come from small pools."""
        self.density = self.random.choice((0.25, 0.45, 0.8))
        self.cex = self.random.random() < 0.2 and "cex" in self.view.butane["BootDeviceLuks"]
        """The boot device is that of a mainframe with its cryptographic adapter."""
        self.forbidden = {self.chain(path) for path in version.forbidden}
        self.inside: list[str] = []
        self.begin(frozenset())

    def begin(self, astray_at: frozenset[int]) -> None:
        self.astray_at = astray_at
        self.decisions: list[str] = []
        self.count = 0
        self.fields: set[tuple[str, str]] = set()
        """The fields that the text holds, by struct and key."""
        self.given: set[str] = set()
        """The structs and keys that the text has so far."""

    def astray(self, what: str) -> bool:
        """Whether to do what is not right, where there is a choice."""
        self.decisions.append(what)
        return len(self.decisions) in self.astray_at or self.random.random() < self.odd

    def text(self) -> str:
        if self.faults:
            state = self.random.getstate()
            self.make()
            faults = frozenset(self.fault() for _ in range(self.faults))
            self.random.setstate(state)
            self.begin(faults)
        return self.make()

    def fault(self) -> int:
        """One of the decisions: each kind is as likely as the others, however often it was made."""
        what = self.random.choice(sorted(set(self.decisions)))
        return self.random.choice([at for at, made in enumerate(self.decisions, 1) if made == what])

    def make(self) -> str:
        lines = [f"variant: {self.version.variant}", f"version: {self.version.version}"]
        sections = [f for k, f in self.view.butane["Config"].items() if k not in ("variant", "version")]
        if not self.astray("sections"):
            sections = [f for f in sections if (("Config",), f.key) not in self.forbidden]
            if 0 <= self.version.level.openshift < 23:
                sections = [f for f in sections if f.key != "grub"]  # it appends to a file
        wanted = self.random.sample(sections, self.random.randint(1, len(sections)))
        if self.version.level.openshift >= 0 and not self.astray("metadata"):
            metadata = next(f for f in sections if f.key == "metadata")
            wanted = [metadata, *(f for f in wanted if f is not metadata)]
        for section in wanted:
            lines += self.field("Config", section, 0)
        return "\n".join(lines) + "\n"

    def chain(self, path: Path) -> tuple[tuple[str, ...], str]:
        """For a path of the Ignition config: the structs down to its field, and the field's key."""
        structs = ["Config"]
        for name in path[:-1]:
            of = self.view.ignition[structs[-1]][str(name)].of
            assert isinstance(of, str)
            structs.append(of)
        return tuple(structs), self.view.ignition[structs[-1]][str(path[-1])].key

    def struct(self, of: str, indent: int) -> list[str]:
        self.inside.append(of)
        lines: list[str] = []
        left_out = set() if self.astray(of) else self.left_out(of)
        for field in self.view.butane[of].values():
            if (("Config", *self.inside), field.key) in self.forbidden:
                given = self.astray(f"{of} with {field.key}")
            elif field.key in left_out:
                continue
            elif self.needed(of, field):
                given = not self.astray(f"{of} without {field.key}")
            else:
                given = self.random.random() < self.density * (0.5 if indent > 6 else 1)
            if given:
                lines += self.field(of, field, indent)
        if self.random.random() < self.wild * 0.3:
            lines.append(" " * indent + self.random.choice(("bogus: 1", "Path: x", "contentz: {a: b}", "? [x]\n: y")))
        self.given.add(self.inside.pop())
        return lines or [" " * indent + "{}"]

    def needed(self, of: str, field: Field) -> bool:
        place = f"{of}.{field.key}"
        if place == "Tree.path":  # else its nodes and another tree's are the same
            return "Tree" in self.given
        return not field.optional or place in NEEDED or field.key in NEEDED

    def left_out(self, of: str) -> set[str]:
        """Fields that would contradict others."""
        out: set[str] = set()
        if "local" in self.given and not {"IgnitionConfig", "TLS"}.isdisjoint(self.inside):
            out.add("local")  # a list holds a thing once
        for group in EXCLUSIVE.get(of, ()):
            known = sorted(group & set(self.view.butane[of]))
            keep = self.random.choice([key for key in known if key not in out] or known)
            out |= set(known) - {keep}
        if of == "Resource" and ("source" in out or self.random.random() < 0.5):
            out.add("http_headers")
        if of == "BootDeviceLuks":
            out |= {"tang", "tpm2"} if self.cex else {"cex"}
            out -= {"cex"} if "tpm2" in out else {"tpm2"}
        if of == "BootDevice" and self.cex:
            out.add("mirror")
        return out

    def field(self, of: str, field: Field, indent: int) -> list[str]:
        pad, roll = " " * indent, self.random.random()
        self.fields.add((of, field.key))
        self.given.add(field.key)
        if roll < self.wild * 0.2:
            return [f"{pad}{field.key}: {self.random.choice(('~', '[]', '{}', 'word', '[[]]', '3'))}"]
        if field.shape is Shape.SCALAR:
            return self.scalar_field(of, field, pad)
        if field.shape is Shape.STRUCT:
            assert isinstance(field.of, str)
            if field.of == "Labels":
                return [f"{pad}{field.key}:", *self.labels(indent + 2)]
            return [f"{pad}{field.key}:", *self.struct(field.of, indent + 2)]
        lines = [f"{pad}{field.key}:"]
        for _ in range(self.random.choice(self.counts(of, field.key))):
            if isinstance(field.of, str):
                body = self.struct(field.of, indent + 4)
                lines.append(f"{pad}  - {body[0].lstrip()}")
                lines += body[1:]
            else:
                lines.append(f"{pad}  - {self.value(of, field.key, field.of)}")
        return lines

    def counts(self, of: str, key: str) -> tuple[int, ...]:
        """How many entries a list may have."""
        if self.odd and self.random.random() < self.odd:
            return (0, 1, 2, 2, 3)
        if of == "BootDeviceMirror":
            return (1,) if self.astray("mirrors") else (2, 3)
        only_core = self.version.level.openshift >= 0 and key == "users"
        return (1,) if only_core or key == "ssh_authorized_keys_local" else (1, 1, 2, 2, 3)

    def labels(self, indent: int) -> list[str]:
        chosen = self.random.sample(LABELS, self.random.randint(0, 3))
        if not self.astray("labels"):
            chosen = [LABELS[0], *(label for label in chosen if not label.startswith("machineconfiguration"))]
        return [" " * indent + label for label in chosen] or [" " * indent + "{}"]

    def scalar_field(self, of: str, field: Field, pad: str) -> list[str]:
        assert isinstance(field.of, Scalar)
        text = self.value(of, field.key, field.of)
        first, *rest = text.split("\n")
        return [f"{pad}{field.key}: {first}", *(pad + line for line in rest)]

    def value(self, of: str, key: str, kind: Scalar) -> str:
        place = f"{of}.{key}"
        self.count += 1
        right = RIGHT.get(place) or RIGHT.get(key)
        if self.version.level.openshift >= 0:
            right = OPENSHIFT.get(place) or right
        if not self.astray(place):
            if key == "inline" and "IgnitionConfig" in self.inside:
                timeouts = f'"timeouts": {{"httpTotal": {self.count}}}'
                return f"""'{{"ignition": {{"version": "{spec_version(self.version.level.spec)}", {timeouts}}}}}'"""
            if key == "source":
                return self.source()
            if key == "layout" and self.cex:
                return self.random.choice(("s390x-virt", "s390x-eckd"))
            if place == "OpenShift.kernel_arguments" and "rd.luks.key" not in self.given:
                self.given.add("rd.luks.key")
                return "rd.luks.key=/etc/luks/cex.key"
            if self.version.level.openshift >= 0 and place in OPENSHIFT:
                return self.random.choice(OPENSHIFT[place])
            if self.crowded and place in CROWDED and self.random.random() < 0.3:
                return self.random.choice(VALUES.get(place) or VALUES[key])
            if (template := FRESH.get(place)) and not (self.crowded and self.random.random() < 0.5):
                return template.format(self.count)
            return self.random.choice(right or VALUES.get(place) or VALUES.get(key) or BY_TYPE[kind][:2])
        if key == "inline" and "IgnitionConfig" in self.inside and self.random.random() < 0.9:
            return self.random.choice(EMBEDDED).replace("VERSION", spec_version(self.version.level.spec))
        pool = VALUES.get(place) or VALUES.get(key) or BY_TYPE[kind]
        if self.random.random() < self.wild:
            pool = BY_TYPE[kind]
        return self.random.choice([text for text in pool if not right or text not in right] or pool)

    def source(self) -> str:
        """A URL of its own, of a kind that the place allows."""
        scheme = self.random.choice(("https://example.com/a?b=", "http://[::1]:80/", "data:,"))
        if self.version.level.openshift >= 0 and "File" in self.inside:
            scheme = "data:,"
        if "Resource" in self.inside and scheme == "data:," and self.inside[-1] == "Resource":
            scheme = scheme if "File" in self.inside and self.version.level.openshift >= 0 else "https://example.com/"
        return f"{scheme}{self.count}"
