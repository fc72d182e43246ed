"""The frame of the static pods: one component, its own user, its own files, nothing else of the node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from firestorm.render.files import Component


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Where the component answers for its health on 127.0.0.1; `alive` also tells when it has started."""

    scheme: Literal["HTTP", "HTTPS"]
    port: int
    alive: str
    ready: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A directory of the node, at the same path in the pod."""

    name: str
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticPod:
    """A control plane component as the kubelet runs it. `cpu` and `memory` are requests, in Kubernetes' notation.

    `capabilities` are kept of the container's bounding set although no process gets them.
    """

    component: Component
    image: str
    flags: Sequence[str]
    check: Check
    cpu: str
    memory: str
    mounts: tuple[Mount, ...] = ()
    capabilities: tuple[str, ...] = ()
    selinux: bool = False

    def manifest(self) -> dict[str, Any]:
        """The Pod object."""
        component = self.component
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": component.name,
                "namespace": "kube-system",
                "labels": {"component": component.name, "tier": "control-plane"},
            },
            "spec": {
                "hostNetwork": True,
                # As admission would set it: graceful node shutdown orders pods by the number.
                "priorityClassName": "system-node-critical",
                "priority": 2000001000,
                "enableServiceLinks": False,
                "securityContext": self._security(),
                "containers": [self._container()],
                "volumes": [
                    {"name": mount.name, "hostPath": {"path": mount.path, "type": "Directory"}}
                    for mount in self._all_mounts()
                ],
            },
        }

    def _security(self) -> dict[str, Any]:
        security: dict[str, Any] = {
            "runAsNonRoot": True,
            "runAsUser": self.component.uid,
            "runAsGroup": self.component.uid,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        if self.selinux:
            # The node's files keep the labels that the policy gives them, which container_t may not read.
            security["seLinuxOptions"] = {"type": "spc_t"}
        return security

    def _container(self) -> dict[str, Any]:
        capabilities: dict[str, list[str]] = {"drop": ["ALL"]}
        if self.capabilities:
            capabilities["add"] = list(self.capabilities)
        return {
            "name": self.component.name,
            "image": self.image,
            "command": [self.component.name, *self.flags],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": capabilities,
            },
            "resources": {"requests": {"cpu": self.cpu, "memory": self.memory}},
            # A quarter of an hour to start: on a starved, emulated machine, killing what is slow only makes it slower.
            "startupProbe": self._probe(self.check.alive, period=5, timeout=5, failures=180),
            "livenessProbe": self._probe(self.check.alive, period=15, timeout=15, failures=8),
            "readinessProbe": self._probe(self.check.ready, period=10, timeout=15, failures=3),
            "volumeMounts": [
                {"name": mount.name, "mountPath": mount.path} | ({"readOnly": True} if mount.read_only else {})
                for mount in self._all_mounts()
            ],
        }

    def _probe(self, path: str, *, period: int, timeout: int, failures: int) -> dict[str, Any]:
        return {
            "httpGet": {"scheme": self.check.scheme, "host": "127.0.0.1", "port": self.check.port, "path": path},
            "periodSeconds": period,
            "timeoutSeconds": timeout,
            "failureThreshold": failures,
        }

    def _all_mounts(self) -> tuple[Mount, ...]:
        return (Mount(name="config", path=self.component.directory, read_only=True), *self.mounts)
