"""What all dynamic providers have in common, by a server simulated here; the real one is in readiness' tests."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pulumi.dynamic import CreateResult, ResourceProvider

from firestorm import provider
from firestorm.errors import PlatformError, ReadinessError
from firestorm.node import sealed
from firestorm.pki import resource as pki_resource
from firestorm.pki import token
from firestorm.platforms.libvirt import claim, reservation
from firestorm.readiness import resource as readiness_resource


class Context:
    """Stands for grpc's context of one request."""

    def __init__(self) -> None:
        self.aborted = ""
        self.over: list[Any] = []

    def add_callback(self, callback: Any) -> bool:
        self.over.append(callback)
        return True

    def abort(self, _code: object, details: str) -> None:
        self.aborted = details


class DynamicResourceProviderServicer:
    """Calls a provider the way that pulumi.dynamic's server does."""

    def Create(self, request: Any, context: Context, work: Any) -> None:  # noqa: N802
        try:
            work()
        except Exception:
            context.abort("UNKNOWN", "Traceback (most recent call last): ...")


@provider.plain_errors
def refuse() -> None:
    raise ReadinessError("dev-worker-0: it broke\n  step:   x")


@provider.plain_errors
def crash() -> None:
    raise ValueError("a bug")


ERRORS = [(refuse, "dev-worker-0: it broke\n  step:   x"), (crash, "Traceback (most recent call last): ...")]


@pytest.mark.parametrize(("work", "shown"), ERRORS, ids=["deliberate", "bug"])
def test_deliberate_errors_lose_their_traceback(work: Any, shown: str) -> None:
    context = Context()
    DynamicResourceProviderServicer().Create(None, context, work)
    assert context.aborted == shown


def test_the_request_in_progress_is_found() -> None:
    class Request:
        urn = "urn:pulumi:dev::x::y::z"

    context, found = Context(), list[provider.Call | None]()
    DynamicResourceProviderServicer().Create(Request(), context, lambda: found.append(provider.Call.current()))
    (call,) = found
    assert call is not None
    assert (call.urn, call.ended.is_set()) == ("urn:pulumi:dev::x::y::z", False)
    context.over[0]()
    assert call.ended.is_set()


class Refusing(provider.Provider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        raise PlatformError(props["why"])


def test_every_method_of_a_provider_has_plain_errors() -> None:
    context = Context()
    DynamicResourceProviderServicer().Create(None, context, lambda: Refusing().create({"why": "no room"}))
    assert context.aborted == "no room"
    with pytest.raises(PlatformError, match="no room"):
        Refusing().create({"why": "no room"})


PROVIDERS = [
    pki_resource.ClusterPkiProvider,
    token.BootstrapTokenProvider,
    sealed._Provider,
    claim._Provider,
    reservation._Provider,
    readiness_resource.ReadinessProvider,
]


@pytest.mark.parametrize("kind", PROVIDERS, ids=lambda kind: str(kind.__module__))
def test_all_providers_are_of_this_base_and_end_with_their_engine(
    kind: type[ResourceProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[bool] = []
    monkeypatch.setattr(provider, "end_with_engine", lambda: watched.append(True))
    made = kind()
    assert isinstance(made, provider.Provider)
    made.configure(Any)  # type: ignore[arg-type]
    assert watched == [True]
    assert not made.serialize_as_secret_always


def test_outside_of_a_server_there_is_no_engine() -> None:
    assert provider.Call.current() is None
    assert provider.engine_address() is None
    provider.end_with_engine()
    provider.EngineLog(None).status("nobody sees this")
    assert threading.active_count() == len(threading.enumerate())
    assert not any(thread.name == "firestorm-engine-watcher" for thread in threading.enumerate())
    with pytest.raises(ReadinessError, match="it broke"):
        refuse()
