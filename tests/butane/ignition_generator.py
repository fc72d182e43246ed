"""Random Ignition configs from the field table: valid but for rare accidents, with names from small pools."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from firestorm_butane import validate
from firestorm_butane.schema import Field, Level, Scalar, Shape, spec_version, view

POOLS: Mapping[str, tuple[Any, ...]] = {
    "path": ("/a", "/b", "/c"),
    "name": ("a.service", "b.service", "c.service"),
    "Dropin.name": ("1.conf", "2.conf"),
    "device": ("/dev/a", "/dev/b"),
    "Raid.devices": ("/dev/a", "/dev/b", "/dev/c"),
    "format": ("ext4", "xfs"),
    "Raid.level": ("raid1",),
    "spares": (0,),
    "label": ("x", "y"),
    "source": ("https://example.com/a", "https://example.com/b"),
    "url": ("https://tang-a", "https://tang-b"),
    "pin": ("tpm2",),
    "hash": ("sha512-" + "0" * 128,),
    "guid": ("01234567-89AB-CDEF-EDCB-A98765432101",),
    "typeGuid": ("01234567-89AB-CDEF-EDCB-A98765432101",),
    "number": (0, 1, 2),
    "startMiB": (0,),
    "sizeMiB": (10, 20),
    "mode": (0o600, 0o644, 0o1777),
    "httpProxy": ("http://proxy",),
    "httpsProxy": ("https://proxy",),
    "advertisement": ("{}",),
    "compression": ("gzip", ""),
    "contents": ("[Install]\nWantedBy=x\n", ""),
}
DEFAULTS: Mapping[Scalar, tuple[Any, ...]] = {
    Scalar.STR: ("one", "two"),
    Scalar.INT: (0, 1),
    Scalar.BOOL: (True, False),
}


class ConfigGenerator:
    """Names come from small pools so that two configs have some in common."""

    def __init__(self, minor: int, seed: int) -> None:
        self.random = random.Random(f"merge {minor} {seed}")
        self.view = view(Level(minor))
        self.minor = minor

    def make(self) -> dict[str, Any]:
        made = self.struct("Config")
        made.setdefault("ignition", {})["version"] = spec_version(self.minor)
        return made

    def struct(self, of: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, field in self.view.ignition[of].items():
            needed = not field.optional and field.shape is Shape.SCALAR
            needed = needed or name in ("thumbprint", "level", "target", "source", "format", "pin", "config")
            if needed or self.random.random() < 0.4:
                made[name] = self.value(of, name, field)
        return self.consistent(of, made)

    def value(self, of: str, name: str, field: Field) -> Any:
        if field.shape is Shape.LIST:
            items = [self.one(of, name, field) for _ in range(self.random.randint(0, 3))]
            return list({json.dumps(i, sort_keys=True): i for i in items}.values()) if not field.appended else items
        return self.one(of, name, field)

    def one(self, of: str, name: str, field: Field) -> Any:
        if isinstance(field.of, str):
            return self.struct(field.of)
        if field.of is Scalar.BOOL:
            return self.random.choice(DEFAULTS[field.of])
        return self.random.choice(POOLS.get(f"{of}.{name}") or POOLS.get(name) or DEFAULTS[field.of])

    def consistent(self, of: str, made: dict[str, Any]) -> dict[str, Any]:
        """Without the contradictions that Ignition refuses."""
        if of in ("NodeUser", "NodeGroup") and len(made) > 1:
            made.pop("name")
        if of == "File" and not made.get("contents"):
            made.pop("overwrite", None)
        if of == "Clevis" and made.get("custom"):
            made = {"custom": made["custom"]}
        if of == "Luks":
            made.pop("cex", None)
            made["device"] = "/dev/a"
        if of == "Partition":
            made.pop("shouldExist", None)
            made.setdefault("label", "x")
        if of == "Raid":
            made["devices"] = ["/dev/a"] + [d for d in made.get("devices", []) if d != "/dev/a"]
        return made


def valid(minor: int, seed: int) -> dict[str, Any]:
    """The first valid config from a seed on."""
    return next(c for c in (ConfigGenerator(minor, seed * 1000 + i).make() for i in range(1000)) if validate(c).ok)
