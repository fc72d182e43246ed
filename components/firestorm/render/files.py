"""Files and directories as a node gets them, and the control plane components that own some."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFile:
    """A file: absolute path, UTF-8 text, permission bits, numeric owner and group."""

    path: str
    content: str
    mode: int
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDirectory:
    """A directory: absolute path, permission bits, numeric owner and group."""

    path: str
    mode: int
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A control plane component: it runs as `uid` (and the same gid), and only its pod mounts `directory`.

    The ids lie above what the operating systems' packages and users take (system accounts end at 999, people begin at
    1000 and are few on a node).
    """

    name: str
    uid: int

    @property
    def directory(self) -> str:
        return f"/etc/kubernetes/{self.name}"

    def path(self, name: str) -> str:
        """The path of one of its files."""
        return f"{self.directory}/{name}"

    def file(self, name: str, content: str) -> NodeFile:
        """A file that it alone can read."""
        return NodeFile(path=self.path(name), content=content, mode=0o400, uid=self.uid, gid=self.uid)


KUBELET = Component(name="kubelet", uid=0)
ETCD = Component(name="etcd", uid=2000)
APISERVER = Component(name="kube-apiserver", uid=2001)
CONTROLLER_MANAGER = Component(name="kube-controller-manager", uid=2002)
SCHEDULER = Component(name="kube-scheduler", uid=2003)
CONTROL_PLANE = (ETCD, APISERVER, CONTROLLER_MANAGER, SCHEDULER)

MANIFESTS_DIRECTORY = "/etc/kubernetes/manifests"
#: Static pods that end when they find no API server: control-plane.service moves them on when it answers.
WAITING_DIRECTORY = "/etc/kubernetes/control-plane"
ETCD_DATA_DIRECTORY = "/var/lib/etcd"
AUDIT_DIRECTORY = "/var/log/kubernetes/kube-apiserver"
VOLUME_PLUGIN_DIRECTORY = "/var/lib/kubelet/volumeplugins"
FLEX_VOLUME_DIRECTORY = CONTROLLER_MANAGER.path("flexvolume")
