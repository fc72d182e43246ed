"""Syntaxes of other systems, as predicates and parsers without messages."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import SplitResult, urlsplit

#: RFC 1123 label, as Kubernetes checks it.
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
#: The name part of a label or taint key, and a label value (apimachinery, util/validation).
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SSH_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


def is_dns_label(text: str) -> bool:
    return _DNS_LABEL.fullmatch(text) is not None


def is_dns_name(text: str) -> bool:
    """An RFC 1123 subdomain."""
    return len(text) <= 253 and all(is_dns_label(label) for label in text.split("."))


def is_qualified_name(text: str) -> bool:
    """A Kubernetes label or taint key: a name of up to 63 characters, with a DNS name and a slash before it or not."""
    prefix, slash, name = text.rpartition("/")
    return _QUALIFIED.fullmatch(name) is not None and (is_dns_name(prefix) if slash else True)


def is_label_value(text: str) -> bool:
    return text == "" or _QUALIFIED.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """64 lowercase hexadecimal digits."""
    return _SHA256.fullmatch(text) is not None


def split_url(text: str) -> SplitResult | None:
    """The parts of a URL, None if it is none or has blanks, a bad port or a bad address."""
    if any(character.isspace() or not character.isprintable() for character in text):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme else None


def is_http_url(text: str) -> bool:
    """An http or https URL with a host."""
    parts = split_url(text)
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


def is_registry_host(text: str) -> bool:
    """A registry as image references name it: a host with a dot, a port, or "localhost"."""
    host, colon, port = text.partition(":")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        return False
    return is_dns_name(host) and (bool(colon) or "." in host or host == "localhost")


def is_ssh_public_key(text: str) -> bool:
    """An OpenSSH public key line, whose base64 part names the same type as its first word (RFC 4253, section 6.6)."""
    parts = text.split(maxsplit=2)
    if len(parts) < 2 or parts[0] not in _SSH_TYPES or "\n" in text.strip():
        return False
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        return False
    name = parts[0].encode()
    return blob[:4] == len(name).to_bytes(4, "big") and blob[4 : 4 + len(name)] == name and len(blob) > 4 + len(name)
