"""A Pulumi engine of mocks that answers as the real providers would, and keeps what was registered with it."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from firestorm import images
from firestorm.pki.resource import ClusterPkiProvider
from firestorm.pki.token import BootstrapTokenProvider
from firestorm.platforms.libvirt import acceleration, capacity
from firestorm.spec.model import OsImage

_json_format: Any = importlib.import_module("google.protobuf.json_format")  # it has no types
DYNAMIC = "pulumi-python:dynamic/firestorm:"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # marks a secret on Pulumi's wire: pulumi.runtime.rpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A resource as the engine was told of it; `parent` and `dependencies` are names, `secrets` input properties."""

    type: str
    name: str
    parent: str
    dependencies: frozenset[str]
    inputs: dict[str, Any]
    secrets: frozenset[str]
    secret_outputs: frozenset[str]
    request: Any


@dataclass(slots=True)
class Engine(mocks.Mocks):
    """What reached the engine: resources in their order, lines of the log, exported outputs."""

    resources: list[Registered] = field(default_factory=list[Registered])
    warnings: list[str] = field(default_factory=list[str])
    infos: list[str] = field(default_factory=list[str])
    exports: dict[str, Any] = field(default_factory=dict[str, Any])

    def named(self, kind: str) -> dict[str, Registered]:
        """The resources of a type by name; a dynamic resource's type is its class' name."""
        return {item.name: item for item in self.resources if item.type in (kind, f"{DYNAMIC}{kind}")}

    def only(self, kind: str) -> Registered:
        (resource,) = self.named(kind).values()
        return resource

    def run(self, program: Callable[[], object]) -> None:
        """Run a program to the end of everything that it registers and exports."""

        def whole() -> pulumi.Output[None]:
            program()
            return pulumi.Output.from_input(None)

        test: Any = pulumi.runtime.test
        test(whole)()

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        match args.typ.removeprefix(DYNAMIC):
            case "ClusterPki":
                made = ClusterPkiProvider().create(args.inputs)
            case "BootstrapToken":
                made = BootstrapTokenProvider().create(args.inputs)
            case "ClusterReadiness":
                table = [{"name": node["name"], "role": node["role"]} for node in args.inputs["nodes"]]
                outputs = {**args.inputs, "node_table": table, "api_version": "v1.36.4", "seconds": {"booted": 1.0}}
                return "ready", outputs
            case "libvirt:index/domain:Domain":
                return str(uuid.uuid5(uuid.NAMESPACE_DNS, args.name)), args.inputs
            case _:
                return f"{args.name}-id", args.inputs
        return made.id, made.outs or {}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"nothing here asks a provider: {args.token}")


def start(monkeypatch: pytest.MonkeyPatch, directory: Path, *, project: str = "demo") -> Engine:
    """An engine in place of Pulumi's, images in place of downloads, and TCG and room in place of a look at the host."""
    engine = Engine()
    register: Any = mocks.MockMonitor.RegisterResource

    def record(self: mocks.MockMonitor, request: Any) -> Any:
        engine.resources.append(_registered(request))
        return register(self, request)

    def image(os: OsImage, cache: Path, **_options: Any) -> images.LocalImage:
        path = Path(os.path) if os.path else directory / f"{os.name}.qcow2"
        return images.LocalImage(
            name=f"{os.name}-{os.channel}-1-{os.arch}-0123456789ab",
            path=path,
            format="qcow2",
            sha256="0" * 64,
            version="1",
            virtual_size=2**30,
        )

    monkeypatch.setattr(mocks.MockMonitor, "RegisterResource", record)
    monkeypatch.setattr(images, "fetch", image)
    monkeypatch.setattr(acceleration, "choose", lambda _requested: "tcg")
    monkeypatch.setattr(capacity, "problems", lambda _spec: [])
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: engine.warnings.append(text))
    monkeypatch.setattr(pulumi.log, "info", lambda text, *_, **__: engine.infos.append(text))
    monkeypatch.setattr(pulumi, "export", engine.exports.__setitem__)
    mocks.set_mocks(engine, project=project, stack="demo", preview=False)
    return engine


def _registered(request: Any) -> Registered:
    inputs = _json_format.MessageToDict(request.object)
    return Registered(
        type=request.type,
        name=request.name,
        parent=_name(request.parent),
        dependencies=frozenset(_name(urn) for urn in request.dependencies),
        inputs=inputs,
        secrets=frozenset(name for name, value in inputs.items() if isinstance(value, dict) and _SECRET in str(value)),
        secret_outputs=frozenset(request.additionalSecretOutputs),
        request=request,
    )


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
