"""Where an API is and how to be let in: a kubeconfig's current context, and TLS from it without a file on disk."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from dataclasses import dataclass

import yaml

from firestorm.errors import ReadinessError


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where the API is and how to be let in; from a kubeconfig's current context."""

    server: str
    ca: str | None
    certificate: str | None = None
    key: str | None = None
    token: str | None = None

    @classmethod
    def parse(cls, kubeconfig: str) -> Access:
        """Reads a kubeconfig with embedded data. Raises ReadinessError if it is not one."""
        try:
            config = yaml.safe_load(kubeconfig)
            contexts = {entry["name"]: entry["context"] for entry in config["contexts"]}
            context = contexts[config.get("current-context") or next(iter(contexts))]
            cluster = next(entry["cluster"] for entry in config["clusters"] if entry["name"] == context["cluster"])
            user = next(entry["user"] for entry in config["users"] if entry["name"] == context["user"])
            return cls(
                server=cluster["server"],
                ca=_decoded(cluster.get("certificate-authority-data")),
                certificate=_decoded(user.get("client-certificate-data")),
                key=_decoded(user.get("client-key-data")),
                token=user.get("token"),
            )
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, StopIteration, ValueError) as error:
            what = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else type(error).__name__
            raise ReadinessError(f"the admin kubeconfig cannot be used: it is not complete ({what})") from error

    def tls(self) -> ssl.SSLContext:
        """A context that trusts the cluster's CA alone and holds the client certificate. Nothing stays on disk."""
        context = ssl.create_default_context(cadata=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate and self.key:
            _load_chain(context, f"{self.certificate.strip()}\n{self.key.strip()}\n".encode())
        return context


def _decoded(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not base64 of a PEM document") from error


def _load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """OpenSSL reads keys from files only: an anonymous one in memory (Linux), else a private one for the moment."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("firestorm", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, pem)
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile(mode="wb") as file:  # created with mode 0600
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
