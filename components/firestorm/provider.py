"""What all of Firestorm's dynamic resource providers share, and the Pulumi engine as it is seen from inside one.

Pulumi's Python SDK serves dynamic providers by `pulumi.dynamic.__main__`: it passes a provider neither the resource's
URN nor the engine's log, turns every exception into a traceback, and answers the engine's Cancel by doing nothing.
What is missing is taken here, and only here, from that server's frame and the plugin protocol (provider.proto,
engine.proto). Outside of such a server, and should the SDK change, each function does nothing and says so by its value.
"""

from __future__ import annotations

import functools
import importlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from pulumi.dynamic import ConfigureRequest, ResourceProvider

from firestorm.errors import FirestormError

P = ParamSpec("P")
R = TypeVar("R")

CANCELLED = threading.Event()
"""Set when the engine asked its providers to stop (Ctrl-C in `pulumi up`)."""

_SERVICER = "DynamicResourceProviderServicer"
_PATIENCE = 5.0
"""Seconds between looks whether the engine is still there, and for one message to it."""


@dataclass(frozen=True, slots=True)
class Call:
    """The engine's request that is being served on this thread."""

    urn: str
    context: Any
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when the request is over, also because the engine has died."""

    @classmethod
    def current(cls) -> Call | None:
        """The request that this thread serves; None outside of a dynamic provider's server."""
        frame = sys._getframe(1)
        while frame is not None:
            local = frame.f_locals
            if type(local.get("self")).__name__ == _SERVICER and "context" in local and "request" in local:
                call = cls(str(getattr(local["request"], "urn", "")), local["context"])
                if not call.context.add_callback(call.ended.set):
                    call.ended.set()
                return call
            if frame.f_back is None:
                break
            frame = frame.f_back
        return None

    def fail_with(self, message: str) -> None:
        """Makes the server end this request with `message` instead of the traceback that it is about to give."""
        abort = self.context.abort
        self.context.abort = lambda code, _details: abort(code, message)


def plain_errors(method: Callable[P, R]) -> Callable[P, R]:
    """For a provider's methods: a FirestormError reaches the user as its message, without a traceback."""

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except FirestormError as error:
            if (call := Call.current()) is not None:
                call.fail_with(str(error))
            raise

    return wrapper


_METHODS = ("check", "diff", "create", "read", "update", "delete")


class Provider(ResourceProvider):
    """Base of the providers: in every subclass each method has `plain_errors`, and the process ends with its engine.

    A subclass holds no data. Then the state shows a pickled reference to its class, which never changes with it, in
    the clear.
    """

    serialize_as_secret_always = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in _METHODS:
            if name in cls.__dict__:
                setattr(cls, name, plain_errors(cls.__dict__[name]))

    def configure(self, req: ConfigureRequest) -> None:
        """Called once per process, before the first request is served: the engine's word to stop may come with that."""
        watch_cancellation()
        end_with_engine()


class EngineLog:
    """The engine's log for one resource. Statuses show live in the resource's row, and leave nothing in the summary."""

    def __init__(self, call: Call | None) -> None:
        self._urn = call.urn if call else ""
        self._stub: Any = None
        address = engine_address()
        if call is not None and address is not None:
            from pulumi.runtime.proto import engine_pb2_grpc

            self._stub = engine_pb2_grpc.EngineStub(_grpc().insecure_channel(address))

    def status(self, text: str) -> None:
        """Shows `text` as what the resource is doing."""
        if self._stub is None:
            return
        from pulumi.runtime.proto import engine_pb2

        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=text, urn=self._urn, ephemeral=True)
        try:
            self._stub.Log(request, timeout=_PATIENCE)
        except _grpc().RpcError:
            self._stub = None  # a display that fails must not fail the update


def _grpc() -> Any:
    return importlib.import_module("grpc")


def engine_address() -> str | None:
    """host:port of the engine; None outside of a dynamic provider's server."""
    if not hasattr(sys.modules.get("__main__"), _SERVICER) or len(sys.argv) < 2:
        return None
    return sys.argv[1]


def watch_cancellation() -> None:
    """Has CANCELLED set once the engine cancels its providers. More than one call is fine."""
    servicer = getattr(sys.modules.get("__main__"), _SERVICER, None)
    cancel = getattr(servicer, "Cancel", None)
    if cancel is not None:
        # The server has bound the method already; its code can still be exchanged.
        cancel.__code__ = _cancel.__code__


def _cancel(self: Any, request: Any, context: Any) -> Any:
    # Runs with the globals of pulumi.dynamic.__main__, hence the imports.
    from importlib import import_module

    from firestorm.provider import CANCELLED

    CANCELLED.set()
    return import_module("google.protobuf.empty_pb2").Empty()


def end_with_engine() -> None:
    """Ends this provider's process when its engine has died: nothing else would, and `pulumi up` may be killed.

    More than one call is fine.
    """
    address = engine_address()
    if address is None or any(thread.name == _WATCHER for thread in threading.enumerate()):
        return
    host, _, port = address.rpartition(":")
    threading.Thread(target=_outlive, args=(host, int(port)), name=_WATCHER, daemon=True).start()


_WATCHER = "firestorm-engine-watcher"


def _outlive(host: str, port: int) -> None:
    refused = 0
    while refused < 2:
        time.sleep(_PATIENCE)
        try:
            socket.create_connection((host, port), timeout=_PATIENCE).close()
            refused = 0
        except ConnectionRefusedError:
            refused += 1
        except OSError:
            pass
    os._exit(1)
