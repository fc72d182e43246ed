"""The sealed config: a dynamic resource that keeps a node's Ignition config as it was when its machine was made.

A config holds certificates and a bootstrap token, which change while the machine that was booted with them lives on.
This resource hands on a new config only when the node's identity changes; until then it answers with the old one, and
nothing that depends on it (the Ignition volume, the disk, the machine) is replaced.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource

from firestorm.provider import Provider


class _Provider(Provider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(id_=props["identity"], outs={"identity": props["identity"], "content": props["content"]})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = _olds["identity"] != _news["identity"]
        return DiffResult(changes=changed, replaces=["identity"] if changed else [], delete_before_replace=False)


class SealedConfig(Resource, module="firestorm", name="SealedConfig"):
    """`content` (secret: an Ignition config as JSON) as it was when `identity` last changed."""

    content: pulumi.Output[str]
    identity: pulumi.Output[str]

    def __init__(
        self, name: str, identity: str, content: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(
            _Provider(),
            name,
            {"identity": identity, "content": pulumi.Output.secret(content)},
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["content"])),
        )
