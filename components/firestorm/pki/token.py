"""Bootstrap tokens: what a new worker's kubelet shows once, to ask for its client certificate.

https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from firestorm.provider import Provider

TOKEN_PATTERN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")

_ALPHABET = string.ascii_lowercase + string.digits


def new_token() -> str:
    """A random token: a public identifier of 6 characters, a dot and a secret of 16."""
    return f"{_text(6)}.{_text(16)}"


class BootstrapTokenProvider(Provider):
    """Makes a token, and another one whenever the machines that need one change."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        outputs = _outputs(props["nodes"])
        # The identifier half of a token is public by design; the resource's id has to stay the same over updates.
        return CreateResult(id_=f"bootstrap-token-{_text(6)}", outs=outputs)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changes = _olds.get("nodes") != _news.get("nodes")
        return DiffResult(changes=changes, replaces=[], stables=[], delete_before_replace=False)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(outs=_outputs(_news["nodes"]))


class BootstrapToken(Resource, module="firestorm", name="BootstrapToken"):
    """A token for the machines in `nodes` (node name to machine identity).

    A token is of use for 24 hours, so each change of a machine brings a fresh one; machines that exist keep running
    on the certificate that an earlier token brought them.
    """

    token: pulumi.Output[str]
    """The token, a secret."""
    issued: pulumi.Output[str]
    """When it was made (ISO 8601, UTC): the beginning of its life."""

    def __init__(
        self,
        resource_name: str,
        nodes: pulumi.Input[Mapping[str, pulumi.Input[str]]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            BootstrapTokenProvider(),
            resource_name,
            {"nodes": nodes, "token": None, "issued": None},
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["token"])),
        )


def _outputs(nodes: Mapping[str, str]) -> dict[str, Any]:
    return {"nodes": dict(nodes), "token": new_token(), "issued": datetime.now(UTC).replace(microsecond=0).isoformat()}


def _text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
