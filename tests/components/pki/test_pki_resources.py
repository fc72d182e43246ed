"""The dynamic resources: their provider's methods by themselves, and what they register with the engine."""

from __future__ import annotations

import base64
import dataclasses
import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pulumi
import pytest
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime import mocks

from firestorm.errors import PkiError
from firestorm.pki import Pki, PkiNode, PkiRequest
from firestorm.pki.resource import ClusterPki, ClusterPkiProvider
from firestorm.pki.token import BootstrapToken, BootstrapTokenProvider


@pytest.fixture
def created(demo: PkiRequest) -> dict[str, Any]:
    result = ClusterPkiProvider().create({"request": demo.to_dict()})
    assert result.id == "demo-pki"
    assert result.outs is not None
    return result.outs


@pytest.fixture
def extended(demo: PkiRequest) -> PkiRequest:
    return dataclasses.replace(demo, nodes=(*demo.nodes, PkiNode(name="demo-worker-1", address="10.17.1.11")))


def test_create_issues_a_pki(demo: PkiRequest, created: dict[str, Any]) -> None:
    assert created.keys() == {"request", "bundle", "expires"}
    assert created["request"] == demo.to_dict()
    pki = Pki.from_json(created["bundle"])
    assert pki.request == demo
    assert created["expires"] == {name: end.isoformat() for name, end in pki.expiries().items()}
    days = (datetime.fromisoformat(created["expires"]["admin"]) - datetime.now(UTC)).total_seconds() / 86400
    assert days == pytest.approx(365, abs=0.01)


def test_nothing_changes_for_an_equal_request(demo: PkiRequest, created: dict[str, Any]) -> None:
    news = demo.to_dict()
    news["generation"] = 1.0  # Pulumi's wire format
    result = ClusterPkiProvider().diff("demo-pki", created, {"request": news})
    assert (result.changes, result.replaces) == (False, [])


def test_a_changed_request_updates_and_never_replaces(created: dict[str, Any], extended: PkiRequest) -> None:
    provider = ClusterPkiProvider()
    news = {"request": extended.to_dict()}
    result = provider.diff("demo-pki", created, news)
    assert (result.changes, result.replaces) == (True, [])

    outs = provider.update("demo-pki", created, news).outs
    assert outs is not None
    before, after = Pki.from_json(created["bundle"]), Pki.from_json(outs["bundle"])
    assert outs["request"] == extended.to_dict()
    assert after.leaves.keys() - before.leaves.keys() == {"kubelet-server/demo-worker-1"}
    assert {name: after.leaves[name] for name in before.leaves} == before.leaves
    assert after.authorities == before.authorities


def test_an_update_without_a_readable_bundle_fails_instead_of_starting_over(extended: PkiRequest) -> None:
    with pytest.raises(PkiError, match="the PKI bundle in the Pulumi state cannot be read"):
        ClusterPkiProvider().update("demo-pki", {"bundle": "{}"}, {"request": extended.to_dict()})


def test_a_token_is_new_whenever_its_machines_change() -> None:
    provider = BootstrapTokenProvider()
    first = provider.create({"nodes": {"a": "1"}})
    assert first.outs is not None
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", first.outs["token"])
    assert first.outs["token"][:6] not in first.id
    assert abs(datetime.fromisoformat(first.outs["issued"]) - datetime.now(UTC)).total_seconds() < 60

    assert provider.diff(first.id, first.outs, {"nodes": {"a": "1"}}).changes is False
    changed = provider.diff(first.id, first.outs, {"nodes": {"a": "2"}})
    assert (changed.changes, changed.replaces) == (True, [])
    second = provider.update(first.id, first.outs, {"nodes": {"a": "2"}})
    assert second.outs is not None
    assert second.outs["nodes"] == {"a": "2"}
    assert second.outs["token"] != first.outs["token"]


@pytest.mark.parametrize("provider", [ClusterPkiProvider(), BootstrapTokenProvider()])
def test_a_provider_is_pickled_by_reference(provider: ResourceProvider) -> None:
    text = serialize_provider(provider)
    assert len(text) < 200
    assert type(pickle.loads(base64.b64decode(text))) is type(provider)


class Engine(mocks.Mocks):
    """Answers registrations as the providers would."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        kinds = {
            "pulumi-python:dynamic/firestorm:ClusterPki": ClusterPkiProvider,
            "pulumi-python:dynamic/firestorm:BootstrapToken": BootstrapTokenProvider,
        }
        result = kinds[args.typ]().create(args.inputs)
        return result.id, result.outs or {}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that reach the engine."""
    requests: list[Any] = []
    original: Any = mocks.MockMonitor.RegisterResource

    def record(self: mocks.MockMonitor, request: Any) -> Any:
        requests.append(request)
        return original(self, request)

    monkeypatch.setattr(mocks.MockMonitor, "RegisterResource", record)
    mocks.set_mocks(Engine(), preview=False)
    return requests


def run(program: Callable[[], pulumi.Output[None]]) -> None:
    """Run a Pulumi program to the end of all its outputs."""
    test: Any = pulumi.runtime.test
    test(program)()


def test_the_pki_reaches_the_engine_as_a_secret(registered: list[Any], demo: PkiRequest) -> None:
    seen: list[Any] = []

    def program() -> pulumi.Output[None]:
        resource = ClusterPki("pki", demo)
        return pulumi.Output.all(resource.bundle, resource.expires).apply(seen.extend)

    run(program)
    bundle, expires = seen
    assert Pki.from_json(bundle).request == demo
    assert expires["ca/etcd"] == Pki.from_json(bundle).expiries()["ca/etcd"].isoformat()
    [request] = [request for request in registered if request.name == "pki"]
    assert list(request.additionalSecretOutputs) == ["bundle"]
    assert request.type == "pulumi-python:dynamic/firestorm:ClusterPki"


def test_the_token_reaches_the_engine_as_a_secret(registered: list[Any]) -> None:
    seen: list[str] = []

    def program() -> pulumi.Output[None]:
        return BootstrapToken("token", {"worker": pulumi.Output.from_input("identity")}).token.apply(seen.append)

    run(program)
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", seen[0])
    [request] = [request for request in registered if request.name == "token"]
    assert list(request.additionalSecretOutputs) == ["token"]
    assert dict(request.object["nodes"]) == {"worker": "identity"}
