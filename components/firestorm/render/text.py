"""Data to YAML: block style, keys in the order given, long texts as literal blocks."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import yaml

_Base: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

TLS_MINIMUM = "VersionTLS12"

# For TLS 1.2: forward secrecy, AEAD, and ECDSA since every key of the cluster is one. TLS 1.3's suites are fixed in Go.
TLS_CIPHERS = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
)


class _Dumper(_Base):  # type: ignore[misc,valid-type]
    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(data: Mapping[str, Any]) -> str:
    """One YAML document. Equal data in equal order always give the same text."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=4096))


def encode(text: str) -> str:
    """Base64, as Kubernetes' `data` and kubeconfigs' `-data` fields want it."""
    return base64.b64encode(text.encode()).decode()


Flag: TypeAlias = str | int | bool | Sequence[str]


def flags(values: Mapping[str, Flag]) -> list[str]:
    """Command line flags: lists are joined with commas, booleans written as true and false."""
    return [f"--{name}={_flag(value)}" for name, value in values.items()]


def _flag(value: Flag) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    return ",".join(value)
