"""The Secret behind a bootstrap token."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from firestorm.errors import RenderError
from firestorm.render.manifests.access import BOOTSTRAP_GROUP
from firestorm.render.manifests.objects import SYSTEM_NAMESPACE, Object, metadata
from firestorm.render.text import encode

TOKEN_LIFETIME = timedelta(hours=24)

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")


def token_secret(token: str, now: datetime | None) -> Object:
    """The Secret that makes `token` valid for 24 hours from `now`, for joining nodes and nothing else.

    https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#bootstrap-token-secret-format
    """
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise RenderError("a bootstrap token has 6 characters, a dot and 16 more, each of a-z or 0-9; this one has not")
    if now is None:
        raise RenderError("a bootstrap token needs the time at which its life begins")
    identifier, secret = match.groups()
    end = (now.astimezone(UTC) + TOKEN_LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ")
    data = {
        "token-id": identifier,
        "token-secret": secret,
        "expiration": end,
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": BOOTSTRAP_GROUP,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(f"bootstrap-token-{identifier}", SYSTEM_NAMESPACE),
        "type": "bootstrap.kubernetes.io/token",
        "data": {key: encode(value) for key, value in data.items()},
    }
