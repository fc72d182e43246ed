"""The Kubernetes API as far as readiness needs it: ask, apply, label, delete; every call bounded in time."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, cast

import httpx2
import msgspec
from lightkube import ApiError, Client, KubeConfig
from lightkube.codecs import resource_registry
from lightkube.config.models import Cluster as ServerConfig
from lightkube.config.models import User
from lightkube.core.exceptions import LoadResourceError
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.resources.apps_v1 import DaemonSet, Deployment
from lightkube.resources.core_v1 import Node, Pod
from lightkube.types import PatchType

from firestorm.errors import ReadinessError
from firestorm.readiness.access import Access
from firestorm.readiness.objects import daemon_set, deployment, is_finished, node_status, pod_status
from firestorm.readiness.observation import ApiState, NodeStatus, PodStatus, Workload

FIELD_MANAGER = "firestorm"
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
SYSTEM_NAMESPACES = ("kube-system", "kube-flannel")
Manifest = Mapping[str, Any]
Wait = Callable[[float], bool]
"""Pauses for so many seconds; False as soon as the wait is to end for good."""

_ABSENT = 404
# Answers of a server that is up, and has too much to do.
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_PATIENCE = 120.0

# Answers of a server that is still starting: namespaces and RBAC roles not yet there (403, 404), conflicting writes
# (409), and everything that asks for patience.
_RETRY = _BUSY | {401, 403, _ABSENT}
# What a write that was given up has taken, the server frees after a minute (IPAddress objects without their Service:
# pkg/registry/core/service/ipallocator/controller/repairip.go); it says so with 422.
_ALREADY_ALLOCATED = "provided IP is already allocated"
_WRITE = 30.0
"""Seconds for a request that writes: a write that is given up is done by halves. The server's own limit is a minute."""


class Cluster:
    """One cluster's API. Use it as a context manager; it holds open connections."""

    def __init__(self, access: Access, *, timeout: float = 5.0) -> None:
        """`timeout` bounds every single request that reads, in seconds."""
        try:
            transport = httpx2.HTTPTransport(verify=access.tls())
        except ssl.SSLError as error:
            raise ReadinessError("the admin kubeconfig cannot be used: its certificates cannot be read") from error
        limit = httpx2.Timeout(timeout)
        headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
        # trust_env=False: proxies of the environment must not see this cluster's traffic.
        self._http = httpx2.Client(
            base_url=access.server, transport=transport, timeout=limit, headers=headers, trust_env=False
        )
        config = KubeConfig.from_one(cluster=ServerConfig(server=access.server), user=User(token=access.token))
        self._kube, self._writer = (
            Client(config=config, timeout=bound, field_manager=FIELD_MANAGER, trust_env=False, transport=transport)
            for bound in (limit, httpx2.Timeout(timeout, read=max(timeout, _WRITE)))
        )

    @classmethod
    def from_kubeconfig(cls, kubeconfig: str, *, timeout: float = 5.0) -> Cluster:
        """The cluster of a kubeconfig's text. Raises ReadinessError if the text is no usable kubeconfig."""
        return cls(Access.parse(kubeconfig), timeout=timeout)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._kube.close()
        self._writer.close()
        self._http.close()

    def readyz(self) -> ApiState:
        """Whether the API server says that it is ready, and if not, why."""
        try:
            answer = self._http.get("/readyz", params={"verbose": ""})
        except httpx2.HTTPError as error:
            return ApiState(error=_network_error(error), refused=_is_certificate_error(error))
        if answer.status_code == 200:
            return ApiState(ready=True)
        if answer.status_code in (401, 403):
            return ApiState(error=f"it answered {answer.status_code} to the admin certificate", refused=True)
        failed = [line.split(" ")[0].removeprefix("[-]") for line in answer.text.splitlines() if line.startswith("[-]")]
        return ApiState(error=f"readyz answered {answer.status_code}" + (f": {', '.join(failed)}" if failed else ""))

    def state(self) -> ApiState:
        """The API's whole state: readiness first, then nodes, system pods and their workloads."""
        try:
            ready = self.readyz()
            if not ready.ready:
                return ready
            return ApiState(ready=True, nodes=self.nodes(), pods=self.pods(), workloads=self.workloads())
        except (httpx2.HTTPError, msgspec.ValidationError) as error:
            return ApiState(error=_network_error(error))

    def get(self, path: str) -> str:
        """The answer to a GET request, whatever its status. Raises httpx2.HTTPError if there is none."""
        return self._http.get(path).text

    def reaches_kubelet(self, node: str) -> bool:
        """Whether the API server gets an answer from a node's kubelet."""
        try:
            return self._http.get(f"/api/v1/nodes/{node}/proxy/healthz").text == "ok"
        except httpx2.HTTPError:
            return False

    def version(self) -> str:
        """The API server's version, such as v1.36.4; empty if it does not say."""
        try:
            return str(self._http.get("/version").raise_for_status().json().get("gitVersion", ""))
        except (httpx2.HTTPError, ValueError):
            return ""

    def nodes(self) -> tuple[NodeStatus, ...]:
        return tuple(sorted((node_status(node) for node in self._kube.list(Node)), key=lambda node: node.name))

    def pods(self, namespaces: Iterable[str] = SYSTEM_NAMESPACES) -> tuple[PodStatus, ...]:
        """The pods of the system namespaces that are meant to run: neither finished nor being deleted."""
        pods = [pod for namespace in namespaces for pod in self._kube.list(Pod, namespace=namespace)]
        alive = [pod for pod in pods if not is_finished(pod)]
        return tuple(sorted((pod_status(pod) for pod in alive), key=lambda pod: pod.key))

    def workloads(self, namespaces: Iterable[str] = SYSTEM_NAMESPACES) -> tuple[Workload, ...]:
        found: list[Workload] = []
        for namespace in namespaces:
            found += [daemon_set(item) for item in self._kube.list(DaemonSet, namespace=namespace)]
            found += [deployment(item) for item in self._kube.list(Deployment, namespace=namespace)]
        return tuple(found)

    def apply(
        self,
        manifests: Iterable[Manifest],
        *,
        patience: float = 300.0,
        wait: Wait | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Server-side apply of every manifest, in order, as field manager "firestorm", taking over conflicting fields.

        Answers of a server that is still starting are retried for `patience` seconds in all; `wait(seconds)` pauses and
        returns False to give up. Raises ReadinessError naming the manifest and the server's words.
        """
        deadline = clock() + patience
        for manifest in manifests:
            while (problem := self._try_apply(manifest)) is not None:
                text, final = problem
                if final or clock() >= deadline or not (wait or _sleep)(1.0):
                    raise ReadinessError(_apply_message(manifest, text))

    def _try_apply(self, manifest: Manifest) -> tuple[str, bool] | None:
        """None if applied, else the server's words and whether trying again is pointless."""
        metadata = manifest.get("metadata") or {}
        try:
            resource = self._resource(str(manifest["apiVersion"]), str(manifest["kind"]))
            self._writer.patch(
                resource,
                metadata["name"],
                cast(Any, dict(manifest)),
                namespace=metadata.get("namespace"),
                patch_type=PatchType.APPLY,
                field_manager=FIELD_MANAGER,
                force=True,
            )
        except KeyError as error:
            return f"it has no {error.args[0]}", True
        except ApiError as error:
            text = error.status.message or str(error)
            return text, error.response.status_code not in _RETRY and _ALREADY_ALLOCATED not in text
        except LoadResourceError as error:
            return str(error), False
        except httpx2.HTTPStatusError as error:
            return _network_error(error), error.response.status_code not in _RETRY
        except httpx2.HTTPError as error:
            return _network_error(error), False
        except msgspec.ValidationError:
            return None  # applied; only the echo is of a shape that this client does not know
        return None

    def _resource(self, version: str, kind: str) -> Any:
        """The class that addresses a kind: a built-in one, or one made from what the server says about it."""
        try:
            return resource_registry.load(version, kind)
        except LoadResourceError:
            pass
        group, _, plain = version.rpartition("/")
        answer = self._http.get(f"/apis/{version}" if group else f"/api/{version}")
        listed = answer.json().get("resources", []) if answer.status_code == 200 else []
        for resource in listed:
            if resource["kind"] == kind and "/" not in resource["name"]:
                create = create_namespaced_resource if resource["namespaced"] else create_global_resource
                return create(group, plain, kind, resource["name"])
        raise LoadResourceError(f"the server does not know {kind} of {version}")

    def becomes_ready(self, patience: float = _PATIENCE, wait: Wait | None = None) -> bool:
        """Whether the API is ready, or is so within `patience` seconds."""
        deadline = time.monotonic() + patience
        while not self.readyz().ready:
            if time.monotonic() >= deadline or not (wait or _sleep)(1.0):
                return False
        return True

    def label_control_plane(self, names: Iterable[str], wait: Wait | None = None) -> None:
        """Gives the nodes that exist the control plane's role label, which no kubelet may give itself."""
        for name in names:
            patch = cast(Any, {"metadata": {"labels": {CONTROL_PLANE_LABEL: ""}}})
            _settle(partial(self._writer.patch, Node, name, patch, patch_type=PatchType.MERGE), wait)

    def delete_nodes(self, names: Iterable[str], wait: Wait | None = None) -> None:
        """Deletes the Node objects of machines that are gone; absent ones are fine."""
        for name in names:
            _settle(partial(self._writer.delete, Node, name), wait)

    def delete_pods_of(self, names: Iterable[str], wait: Wait | None = None) -> None:
        """Deletes the pods bound to machines that are gone, at once: no kubelet is left that could end them."""
        for name in names:
            _settle(partial(self._delete_pods_of, name), wait)

    def _delete_pods_of(self, node: str) -> None:
        for pod in self._writer.list(Pod, namespace="*", fields={"spec.nodeName": node}):
            metadata = pod.metadata
            if metadata is not None and metadata.name is not None:
                try:
                    self._writer.delete(Pod, metadata.name, namespace=metadata.namespace, grace_period=0)
                except ApiError as error:
                    if error.response.status_code != _ABSENT:
                        raise


def _settle(call: Callable[[], object], wait: Wait | None) -> None:
    """Do what may be done twice, again until a busy server has done it; what it is about may be absent.

    Raises ReadinessError when the server refuses, or does not answer for `_PATIENCE` seconds.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            call()
            return
        except ApiError as error:
            if error.response.status_code == _ABSENT:
                return
            problem = ReadinessError(f"the API refused: {error.status.message or error}")
            problem.__cause__ = error
            final = error.response.status_code not in _BUSY
        except httpx2.HTTPError as error:
            problem = ReadinessError(f"the API does not answer: {_network_error(error)}")
            problem.__cause__ = error
            final = _is_certificate_error(error)
        if final or time.monotonic() >= deadline or not (wait or _sleep)(1.0):
            raise problem


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return True


def _apply_message(manifest: Manifest, text: str) -> str:
    metadata = manifest.get("metadata") or {}
    name = "/".join(part for part in (metadata.get("namespace"), metadata.get("name")) if part)
    subject = f"{manifest.get('kind', 'manifest')} {name}".strip()
    return f"cluster: {subject} cannot be applied: {text}\n  step:   manifests"


def _is_certificate_error(error: Exception) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _network_error(error: Exception) -> str:
    if _is_certificate_error(error):
        return "its certificate is not signed by this cluster's CA"
    if isinstance(error, httpx2.ConnectTimeout):
        return "no connection within the time limit"
    if isinstance(error, httpx2.TimeoutException):
        return "no answer within the time limit"
    return str(error) or type(error).__name__
