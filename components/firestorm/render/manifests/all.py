"""The cluster's own objects together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from firestorm.releases import Release
from firestorm.render.manifests.access import access
from firestorm.render.manifests.coredns import coredns
from firestorm.render.manifests.flannel import flannel
from firestorm.render.manifests.kube_proxy import kube_proxy
from firestorm.render.manifests.token import token_secret
from firestorm.spec.model import ClusterSpec


def manifests(
    spec: ClusterSpec, release: Release, token: str | None = None, now: datetime | None = None
) -> list[dict[str, Any]]:
    """Every object that makes a control plane a cluster, in the order in which they are to be applied.

    With a `token`, its Secret is among them and ends 24 hours after `now`. Raises RenderError for a token that is
    malformed or has no `now`.
    """
    return [
        *access(),
        *([] if token is None else [token_secret(token, now)]),
        *flannel(spec, release),
        *kube_proxy(spec, release),
        *coredns(spec, release),
    ]
