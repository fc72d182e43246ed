"""What of a secret value has to be hidden: the values of a state are documents, of which only parts are secret.

A value of which nothing is known is secret line by line. Of what Firestorm itself makes, more is known: a PKI bundle,
an Ignition config, a kubeconfig and manifests are mostly public text, which evidence cannot do without; their keys,
tokens and passwords are hidden, and what a user's own unreadable file holds.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from firestorm_butane.contents import ContentsError, contents
from firestorm_butane.secrecy import FIELDS, is_secret_file

SHORTEST = 4
"""Characters: what is shorter cannot be told from other text."""

_SECRET_NAME = re.compile(
    r"(?:[-_.]key|[a-z]Key|token|password|passwd|passphrase|secret|credentials?)(?:-data)?$", re.IGNORECASE
)
_WORDS = frozenset({"true", "false", "null", "none"})
_SECRET_LOOKS = re.compile(r"(?=.*\d)(?![/$])\S{8,}")
_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(.*?)(?:-----END|\Z)", re.DOTALL)
_ASSIGNED = re.compile(r"^[\s\-]*[\"']?(?P<key>[\w.\-]+)[\"']?\s*[:=]\s*[\"']?(?P<value>[^\s\"',]+)", re.MULTILINE)
_BOOTSTRAP = re.compile(r"\b[a-z0-9]{6}\.([a-z0-9]{16})\b")
_TOKEN = re.compile(r"(?<![\w+/=.-])(?=[\w+/-]*[A-Z])(?=[\w+/-]*[a-z])(?=[\w+/-]*\d)[\w+/-]{24,}={0,2}(?![\w+/])")
_OURS = "/etc/kubernetes/"


def needles(values: Iterable[str]) -> frozenset[str]:
    """The texts that must not appear, out of secret values: none has a line break, none is shorter than SHORTEST."""
    found = (needle.strip() for value in values for needle in _value(value))
    return frozenset(needle for needle in found if len(needle) >= SHORTEST and needle.lower() not in _WORDS)


def _value(value: str) -> Iterator[str]:
    if value.lstrip()[:1] in ("{", "["):
        try:
            document = json.loads(value)
        except ValueError:
            pass
        else:
            yield from _json(document)
            return
    if "PRIVATE KEY-----" in value or "BEGIN CERTIFICATE" in value or re.search(r"^kind: Config$", value, re.MULTILINE):
        yield from _document(value)
    else:
        yield from _lines(value)


def _json(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("ignition"), Mapping) and "version" in value["ignition"]:
            yield from _ignition(value)
        elif value.get("kind") == "Secret":
            yield from _kubernetes_secret(value)
        else:
            for name, item in value.items():
                yield from _json(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from _json(item, key)
    elif isinstance(value, str):
        yield from _leaf(key, value)


def _leaf(key: str, text: str) -> Iterator[str]:
    if "-----BEGIN" in text:
        yield from _document(text)
    elif _SECRET_NAME.search(key):
        yield from _lines(text)
    else:
        yield from _document(text)


def _lines(text: str) -> Iterator[str]:
    """A value of which nothing is known."""
    yield from text.splitlines()
    yield from _BOOTSTRAP.findall(text)
    if "-----BEGIN" in text:
        yield from _document(text)


def _document(text: str) -> Iterator[str]:
    """Text that is public but for what looks secret in it."""
    for block in _PRIVATE.findall(text.replace("\\n", "\n")):
        yield from block.splitlines()
        yield _encoded(text)
    for match in _ASSIGNED.finditer(text):
        value = match["value"]
        if _SECRET_NAME.search(match["key"]) and _SECRET_LOOKS.fullmatch(value) and not _is_certificate(value):
            yield value
            yield from _decoded(value)
    yield from _BOOTSTRAP.findall(text)
    for token in _TOKEN.findall(text):
        if "-----BEGIN" not in text and not _is_certificate(token):
            yield token
            yield from _decoded(token)


def _encoded(text: str) -> str:
    """A PEM text as it stands in kubeconfigs and Secrets."""
    return base64.b64encode(text.encode()).decode()


def _decoded(token: str) -> Iterator[str]:
    inner = _base64(token)
    if "-----BEGIN" in inner:
        yield from _document(inner)
    elif inner.isprintable():
        yield from _lines(inner)


def _is_certificate(token: str) -> bool:
    inner = _base64(token)
    return "-----BEGIN CERTIFICATE" in inner and "PRIVATE KEY" not in inner


def _base64(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _kubernetes_secret(secret: Mapping[str, Any]) -> Iterator[str]:
    tokens = secret.get("type") == "bootstrap.kubernetes.io/token"
    for name, text in (secret.get("stringData") or {}).items():
        if not tokens or name == "token-secret":
            yield from _value(str(text))
    for name, text in (secret.get("data") or {}).items():
        if not tokens or name == "token-secret":
            yield str(text)
            yield from _value(_base64(str(text)))


def _ignition(config: Mapping[str, Any]) -> Iterator[str]:
    yield from _fields(config)
    for file in _list(config, "storage", "files"):
        for resource in (file.get("contents") or {}, *(file.get("append") or ())):
            yield from _file(file, resource)
    for unit in _list(config, "systemd", "units"):
        for part in (unit, *(unit.get("dropins") or ())):
            yield from _document(part.get("contents") or "")
    ignition = config["ignition"].get("config") or {}
    for resource in (*(ignition.get("merge") or ()), ignition.get("replace") or {}):
        yield from _value(_text(resource) or "")


def _list(config: Mapping[str, Any], section: str, name: str) -> list[Mapping[str, Any]]:
    return list((config.get(section) or {}).get(name) or ())


def _fields(value: Any) -> Iterator[str]:
    """Fields that are secret wherever they stand: password hashes, key files, headers."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in FIELDS:
                yield from _strings(item)
            else:
                yield from _fields(item)
    elif isinstance(value, list):
        for item in value:
            yield from _fields(item)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "source" in value:
            yield from (_text(value) or "").splitlines()
        for key, item in value.items():
            if key not in ("name", "compression", "verification"):
                yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def _file(file: Mapping[str, Any], resource: Mapping[str, Any]) -> Iterator[str]:
    text = _text(resource)
    if text is None:
        return
    if not is_secret_file(file, text.encode()):
        yield from _document(text)
        return
    head, _, body = str(resource.get("source")).partition(",")
    if head.endswith(";base64"):  # percent-encoded, most of it is readable: what it encodes is hidden in that form too
        yield body
    yield from _document(text) if str(file.get("path", "")).startswith(_OURS) else _lines(text)


def _text(resource: Mapping[str, Any]) -> str | None:
    """What a resource holds in itself; None if it is fetched from elsewhere, or is no text."""
    try:
        data = contents(resource)
        return None if data is None else data.decode()
    except (ContentsError, UnicodeDecodeError):
        return None
