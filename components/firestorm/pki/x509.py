"""One key or certificate at a time, by RFC 5280 and, for names, RFC 6125."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firestorm.errors import PkiError
from firestorm.pki.model import KeyPair
from firestorm.pki.profiles import Profile

AUTHORITY_LIFETIME = timedelta(days=3652)
LEAF_LIFETIME = timedelta(days=365)
BACKDATE = timedelta(hours=1)  # for nodes whose clock is behind

_USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


def new_authority(name: str, cluster: str, now: datetime) -> KeyPair:
    """A self-signed certificate authority that may sign leaves only (path length 0)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"{name}-ca", (cluster,))
    not_before = now.astimezone(UTC).replace(microsecond=0) - BACKDATE
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + BACKDATE + AUTHORITY_LIFETIME)
    )
    for extension, critical in _authority_extensions(key.public_key()):
        builder = builder.add_extension(extension, critical)
    return _pair(builder.sign(key, hashes.SHA256()), key)


def new_leaf(profile: Profile, authority: KeyPair, now: datetime) -> KeyPair:
    """A new key and its certificate. It never outlives its authority.

    Raises PkiError if the profile's common name does not fit into a certificate.
    """
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    key = ec.generate_private_key(ec.SECP256R1())
    start = now.astimezone(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(profile.common_name, profile.organizations))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - BACKDATE)
        .not_valid_after(min(start + LEAF_LIFETIME, issuer.not_valid_after_utc))
    )
    for extension, critical in _leaf_extensions(profile, key.public_key(), issuer):
        builder = builder.add_extension(extension, critical)
    return _pair(builder.sign(_private_key(authority), hashes.SHA256()), key)


def leaf_is_current(pair: KeyPair, profile: Profile, authority: KeyPair) -> bool:
    """Whether the certificate says what the profile asks for and is by this very authority; its age is no matter."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
        issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    except ValueError:
        return False
    public_key = certificate.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        return False
    expected = [(value, critical) for value, critical in _leaf_extensions(profile, public_key, issuer)]
    return (
        certificate.subject == _name(profile.common_name, profile.organizations)
        and certificate.issuer == issuer.subject
        and [(extension.value, extension.critical) for extension in certificate.extensions] == expected
    )


def new_signing_keys() -> KeyPair:
    """A bare key pair for signing service account tokens; `certificate` holds the public key (PKIX PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(certificate=public.decode(), key=_key_pem(key))


def _authority_extensions(public_key: ec.EllipticCurvePublicKey) -> Iterable[tuple[x509.ExtensionType, bool]]:
    yield x509.BasicConstraints(ca=True, path_length=0), True
    yield _key_usage(signs_certificates=True), True
    yield x509.SubjectKeyIdentifier.from_public_key(public_key), False


def _leaf_extensions(
    profile: Profile, public_key: ec.EllipticCurvePublicKey, issuer: x509.Certificate
) -> Iterable[tuple[x509.ExtensionType, bool]]:
    issuer_key = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    yield x509.BasicConstraints(ca=False, path_length=None), True
    yield _key_usage(signs_certificates=False), True
    yield x509.ExtendedKeyUsage([_USAGES[usage] for usage in profile.usages]), False
    yield x509.SubjectKeyIdentifier.from_public_key(public_key), False
    yield x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), False
    if profile.names or profile.addresses:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in profile.names]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in profile.addresses]
        yield x509.SubjectAlternativeName(names), False


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str, organizations: tuple[str, ...]) -> x509.Name:
    if not 1 <= len(common_name) <= 64:
        raise PkiError(
            f"certificate name {common_name!r} has {len(common_name)} characters, and X.509 (RFC 5280, appendix A) "
            "allows 64; shorten the cluster's or the pool's name"
        )
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _private_key(pair: KeyPair) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pair.key.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError("a certificate authority's key is not an ECDSA key; it was not made by Firestorm")
    return key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(), key=_key_pem(key))


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    # SEC 1 ("EC PRIVATE KEY"): the form that every Go component reads, older service account parsers included.
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
