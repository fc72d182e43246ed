"""The cluster's PKI as a Pulumi resource: a thin shell over `issue`, its secrets encrypted in the state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from firestorm.pki.issue import issue
from firestorm.pki.model import Pki
from firestorm.pki.request import PkiRequest
from firestorm.provider import Provider


class ClusterPkiProvider(Provider):
    """Keeps a Pki in the state. Nothing is issued unless the request changed."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        request = PkiRequest.from_dict(props["request"])
        return CreateResult(id_=f"{request.cluster}-pki", outs=_outputs(issue(request, None, datetime.now(UTC))))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        before, after = (PkiRequest.from_dict(props["request"]) for props in (_olds, _news))
        # `replaces` stays empty: a replacement would throw the certificate authorities away.
        return DiffResult(changes=before != after, replaces=[], stables=[], delete_before_replace=False)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        request = PkiRequest.from_dict(_news["request"])
        previous = Pki.from_json(_olds["bundle"])
        return UpdateResult(outs=_outputs(issue(request, previous, datetime.now(UTC))))


class ClusterPki(Resource, module="firestorm", name="ClusterPki"):
    """The keys and certificates of one cluster."""

    bundle: pulumi.Output[str]
    """`Pki.to_json()`, a secret."""
    expires: pulumi.Output[dict[str, str]]
    """When each certificate ends: `Pki.expiries()` with ISO 8601 dates."""

    def __init__(self, resource_name: str, request: PkiRequest, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(
            ClusterPkiProvider(),
            resource_name,
            {"request": request.to_dict(), "bundle": None, "expires": None},
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["bundle"])),
        )


def _outputs(pki: Pki) -> dict[str, Any]:
    return {
        "request": pki.request.to_dict(),
        "bundle": pki.to_json(),
        "expires": {name: end.isoformat() for name, end in pki.expiries().items()},
    }
