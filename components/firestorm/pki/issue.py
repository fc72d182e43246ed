"""Issuing: a request and what was issued before, to what is needed now."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime

from firestorm.pki.model import KeyPair, Pki
from firestorm.pki.profiles import AUTHORITIES, leaf_profiles
from firestorm.pki.request import PkiRequest
from firestorm.pki.x509 import leaf_is_current, new_authority, new_leaf, new_signing_keys


def issue(request: PkiRequest, previous: Pki | None, now: datetime) -> Pki:
    """All keys and certificates of a cluster, `previous` ones wherever they still say what is asked for.

    A leaf is new when its subject, names, usage or issuer changed, or it did not exist; one that is not asked for any
    more is dropped. Another generation, or a cluster of another name, begins from nothing. Certificates are valid from
    one hour before `now` (an aware datetime); authorities for 10 years, leaves for 1 year. Apart from the randomness
    of keys and serial numbers this is a pure function.

    Raises PkiError if a name does not fit into a certificate.
    """
    if previous is not None and _origin(previous.request) != _origin(request):
        previous = None
    authorities: dict[str, KeyPair] = {
        name: previous.authority(name) if previous else new_authority(name, request.cluster, now)
        for name in AUTHORITIES
    }
    leaves: dict[str, KeyPair] = {}
    for name, profile in leaf_profiles(request).items():
        authority = authorities[profile.authority]
        existing = previous.leaves.get(name) if previous else None
        if existing is not None and leaf_is_current(existing, profile, authority):
            leaves[name] = existing
        else:
            leaves[name] = new_leaf(profile, authority, now)
    return Pki(
        request=request,
        authorities=authorities,
        leaves=leaves,
        service_account=previous.service_account if previous else new_signing_keys(),
        encryption_key=previous.encryption_key if previous else base64.b64encode(secrets.token_bytes(32)).decode(),
    )


def _origin(request: PkiRequest) -> tuple[str, int]:
    return request.cluster, request.generation
