"""The issued keys and certificates, as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from firestorm.errors import PkiError
from firestorm.pki.profiles import AUTHORITIES, Authority, leaf_profiles
from firestorm.pki.request import PkiRequest

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate (or, for the service account keys, a bare public key) and its private key, both PEM text."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    """Everything that `issue` made for `request`.

    `encryption_key` is the base64 of 32 random bytes, for the API server's secretbox provider.
    """

    request: PkiRequest
    authorities: Mapping[str, KeyPair]
    leaves: Mapping[str, KeyPair]
    service_account: KeyPair
    encryption_key: str

    def authority(self, name: Authority) -> KeyPair:
        """A certificate authority."""
        return self.authorities[name]

    def leaf(self, kind: str, node: str | None = None) -> KeyPair:
        """The leaf of this kind for this node (`leaf("apiserver", "demo-controller-0")`, `leaf("admin")`).

        Raises PkiError if the request it was issued for has no such node.
        """
        name = kind if node is None else f"{kind}/{node}"
        try:
            return self.leaves[name]
        except KeyError:
            raise PkiError(f"the PKI holds no certificate {name}: it was issued for other nodes") from None

    @classmethod
    def placeholder(cls, request: PkiRequest) -> Pki:
        """A stand-in with the same shape and no secret in it: equal for equal requests, on every machine.

        A text changes exactly when what the certificate says changes, or the generation. None is valid PEM or
        base64, so that a component refuses to start with one.
        """

        def text(kind: str, content: str) -> str:
            return f"firestorm placeholder {kind}, generation {request.generation}: {content}\n"

        def pair(content: str) -> KeyPair:
            return KeyPair(certificate=text("certificate", content), key=text("key", content))

        return cls(
            request=request,
            authorities={name: pair(f"CA {name} of {request.cluster}") for name in AUTHORITIES},
            leaves={name: pair(profile.describe()) for name, profile in leaf_profiles(request).items()},
            service_account=pair(f"service accounts of {request.cluster}"),
            encryption_key=text("key", f"encryption at rest of {request.cluster}").rstrip(),
        )

    def expiries(self) -> dict[str, datetime]:
        """When each certificate ends (UTC), by leaf name, and `ca/<name>` for the authorities.

        Raises PkiError for a placeholder, which has no certificates.
        """
        pairs = {f"ca/{name}": pair for name, pair in self.authorities.items()} | dict(self.leaves)
        try:
            return {
                name: x509.load_pem_x509_certificate(pair.certificate.encode()).not_valid_after_utc
                for name, pair in pairs.items()
            }
        except ValueError as error:
            raise PkiError(f"the PKI of cluster {self.request.cluster} holds an unreadable certificate") from error

    def to_json(self) -> str:
        """As one JSON text; it holds every private key."""

        def pairs(mapping: Mapping[str, KeyPair]) -> dict[str, Any]:
            return {name: pair(value) for name, value in mapping.items()}

        def pair(value: KeyPair) -> dict[str, str]:
            return {"certificate": value.certificate, "key": value.key}

        return json.dumps(
            {
                "format": _FORMAT,
                "request": self.request.to_dict(),
                "authorities": pairs(self.authorities),
                "leaves": pairs(self.leaves),
                "service_account": pair(self.service_account),
                "encryption_key": self.encryption_key,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Pki:
        """The Pki that `to_json` wrote. Raises PkiError if the text is not that."""

        def pairs(mapping: Mapping[str, Any]) -> dict[str, KeyPair]:
            return {name: pair(value) for name, value in mapping.items()}

        def pair(value: Mapping[str, Any]) -> KeyPair:
            return KeyPair(certificate=str(value["certificate"]), key=str(value["key"]))

        try:
            data = json.loads(text)
            if data["format"] != _FORMAT:
                raise ValueError(f"format {data['format']}, not {_FORMAT}")
            return cls(
                request=PkiRequest.from_dict(data["request"]),
                authorities=pairs(data["authorities"]),
                leaves=pairs(data["leaves"]),
                service_account=pair(data["service_account"]),
                encryption_key=str(data["encryption_key"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # The offending text may be a private key: the message names the error's type only.
            raise PkiError(
                f"the PKI bundle in the Pulumi state cannot be read ({type(error).__name__}); "
                "it was written by another version of Firestorm or edited by hand: restore the state from a backup"
            ) from None
