"""URLs as the reference sees them.

Sources: RFC 3986 in the reading of Go's ``net/url``; RFC 2397 for data URLs; Amazon's form of ARNs.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

from . import messages as m
from .messages import Problem

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_PORT = re.compile(r"(?::[0-9]*)?")
_USERINFO = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
# ASCII that a host may not hold, other than escaped.
_NO_HOST = re.compile(r"[\x00-\x20#/?@\\^`{|}\x7f]")
_HOST_ESCAPE = re.compile(r"%(?:[0-7][0-9a-fA-F])")


class UrlError(ValueError):
    """Not a URL."""


@dataclass(frozen=True, slots=True)
class Url:
    scheme: str
    opaque: str
    query: str


def parse_url(url: str) -> Url:
    """The parts of a URL that checks look at.

    Raises:
        UrlError: what is wrong.
    """
    url, _, fragment = url.partition("#")
    if _CONTROL.search(url):
        raise UrlError("it holds a control character")
    _check_escapes(fragment)
    if url == "*":
        return Url("", "", "")
    scheme, rest = "", url
    if url.startswith(":"):
        raise UrlError("the scheme is missing")
    if match := _SCHEME.match(url):
        scheme, rest = match[1].lower(), url[match.end() :]
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return Url(scheme, rest, query)
        if ":" in rest.partition("/")[0]:
            raise UrlError("a colon in the first part of a relative path")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, rest = rest[2:].partition("/")
        rest = slash + rest
        _check_authority(scheme, authority)
    _check_escapes(rest)
    return Url(scheme, "", query)


def _check_escapes(part: str) -> None:
    if match := _ESCAPE.search(part):
        raise UrlError(f"invalid escape {part[match.start() : match.start() + 3]!r}")


def _check_authority(scheme: str, authority: str) -> None:
    user, at, host = authority.rpartition("@")
    if at:
        if not _USERINFO.fullmatch(user):
            raise UrlError("invalid user information")
        _check_escapes(user)
    bracket = host.rfind("[")
    if bracket > 0:
        raise UrlError("invalid address in brackets")
    if bracket == 0:
        _check_address(host)
        return
    colon = host.find(":")
    if colon >= 0:
        if host.rfind(":") != colon and scheme not in ("http", "https"):
            colon = host.rfind(":")
        if not _PORT.fullmatch(host[colon:]):
            raise UrlError(f"invalid port {host[colon:]!r}")
    _check_host(host)


def _check_host(host: str) -> None:
    _check_escapes(host)
    for match in _HOST_ESCAPE.finditer(host):
        if match[0] != "%25":
            raise UrlError(f"invalid escape {match[0]!r} in the host")
    if _NO_HOST.search(host):
        raise UrlError("invalid character in the host")


def _check_address(host: str) -> None:
    end = host.rfind("]")
    if end < 0:
        raise UrlError("']' is missing in the host")
    if not _PORT.fullmatch(host[end + 1 :]):
        raise UrlError(f"invalid port {host[end + 1 :]!r}")
    address, zone, name = host[1:end].partition("%25")
    _check_host(address)
    _check_escapes(name)
    if zone and not name:
        raise UrlError("the zone is empty")
    import ipaddress  # rarely needed and slow to load

    try:
        ipaddress.IPv6Address(address)
    except ValueError as exc:
        raise UrlError("invalid address in brackets") from exc


# -- what Ignition fetches ---------------------------------------------------------------------------------------------

_SCHEMES = ("http", "https", "tftp", "s3", "data")


def check_source(url: str, spec: int) -> Problem | None:
    """What is wrong with the source of a resource under Ignition 3.``spec``.0."""
    try:
        parsed = parse_url(url)
    except UrlError as exc:
        return m.BAD_URL.fill(detail=str(exc))
    known = [*_SCHEMES, *(["gs"] if spec >= 2 else []), *(["arn"] if spec >= 4 else [])]
    if parsed.scheme not in known:
        return m.BAD_SCHEME.fill(scheme=parsed.scheme, known=", ".join(known))
    if parsed.scheme == "data":
        return _check_data(url)
    if parsed.scheme == "arn" and not _is_s3_arn(f"arn:{parsed.opaque}"):
        return m.BAD_ARN
    if parsed.scheme in ("s3", "arn") and _empty_version_id(parsed.query):
        return m.BAD_VERSION_ID
    return None


def _empty_version_id(query: str) -> bool:
    """Whether the first ``versionId`` of a query has no value; parts that cannot be decoded are passed over."""
    for part in query.split("&"):
        if ";" in part or not part or _ESCAPE.search(part):
            continue
        key, _, value = part.partition("=")
        if _unescape(key.replace("+", " ")) == b"versionId":
            return not value
    return False


def _unescape(text: str) -> bytes:
    return re.sub(rb"%([0-9a-fA-F]{2})", lambda h: bytes([int(h[1], 16)]), text.encode())


def _is_s3_arn(arn: str) -> bool:
    sections = arn.split(":", 5)
    if len(sections) < 6 or sections[2] != "s3":
        return False
    parts = arn.count("/") + 1
    return parts >= (3 if sections[5].startswith("accesspoint/") else 2)


_TOKEN = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]"
_TYPES = ("text", "image", "audio", "video", "application", "message", "multipart")
_MEDIA = re.compile(rf"({_TOKEN}+)/{_TOKEN}*")
_PARAMETER = re.compile(rf';({_TOKEN}+)=({_TOKEN}+|"(?:[\x00-!#-\[\]-\x7f]|\\[\x00-\x7f])*")')
_DATA = re.compile(r"[!$-;=?-Z_a-z~%]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\n]*")


def _check_data(url: str) -> Problem | None:
    rest = url.removeprefix("data:")
    if rest is url or rest == url:
        return m.BAD_DATA_URL.fill(detail="the scheme must be in lower case")
    if not rest.startswith((";", ",")):
        media = _MEDIA.match(rest)
        if media is None:
            return m.BAD_DATA_URL.fill(detail="invalid media type")
        if not media[1].startswith(_TYPES) and not media[1].startswith(("x-", "X-")):
            return m.BAD_DATA_URL.fill(detail=f"unknown media type {media[1]!r}")
        rest = rest[media.end() :]
    while parameter := _PARAMETER.match(rest):
        rest = rest[parameter.end() :]
        if not parameter[2].startswith('"') and _ESCAPE.search(parameter[2]):
            return m.BAD_DATA_URL.fill(detail="invalid escape in a parameter")
    if rest.startswith(";base64,"):
        return _check_base64(rest[8:])
    if not rest.startswith(","):
        return m.BAD_DATA_URL.fill(detail="the comma before the data is missing or misplaced")
    data = rest[1:]
    if not _DATA.fullmatch(data):
        return m.BAD_DATA_URL.fill(detail="a character of the data must be percent-encoded")
    if _ESCAPE.search(data):
        return m.BAD_DATA_URL.fill(detail="invalid escape in the data")
    return None


def _check_base64(data: str) -> Problem | None:
    if not _BASE64.fullmatch(data):
        return m.BAD_DATA_URL.fill(detail="a character is not base64")
    try:
        binascii.a2b_base64(data.replace("\n", ""), strict_mode=True)
    except binascii.Error as exc:
        return m.BAD_DATA_URL.fill(detail=f"base64: {str(exc).lower()}")
    return None


def check_tang(url: str) -> Problem | None:
    """What is wrong with the URL of a Tang server."""
    try:
        scheme = parse_url(url).scheme
    except UrlError as exc:
        return m.BAD_URL.fill(detail=str(exc))
    if scheme not in ("http", "https"):
        return m.BAD_SCHEME.fill(scheme=scheme, known="http or https")
    return None
