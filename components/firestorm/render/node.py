"""All that is rendered for one machine."""

from __future__ import annotations

from firestorm.pki import Pki
from firestorm.releases import Release
from firestorm.render import containerd, kubelet
from firestorm.render.control_plane import control_plane_files
from firestorm.render.files import (
    APISERVER,
    AUDIT_DIRECTORY,
    CONTROL_PLANE,
    CONTROLLER_MANAGER,
    ETCD,
    ETCD_DATA_DIRECTORY,
    FLEX_VOLUME_DIRECTORY,
    KUBELET,
    MANIFESTS_DIRECTORY,
    VOLUME_PLUGIN_DIRECTORY,
    WAITING_DIRECTORY,
    NodeDirectory,
    NodeFile,
)
from firestorm.render.kubeconfig import bootstrap_kubeconfig, component_kubeconfig
from firestorm.spec.model import ClusterSpec, Node


def node_files(spec: ClusterSpec, node: Node, pki: Pki, release: Release, token: str) -> tuple[NodeFile, ...]:
    """The files of a machine, a pure function of its arguments. `token` is used by workers only.

    Raises PkiError if `pki` was not issued for this node, RenderError for a mirror that containerd cannot follow.
    """
    return (
        NodeFile(path=kubelet.CONFIG_PATH, content=kubelet.kubelet_config(spec, node), mode=0o644),
        NodeFile(path=kubelet.ENV_PATH, content=kubelet.kubelet_env(node), mode=0o644),
        *_kubelet_credentials(spec, node, pki, token),
        NodeFile(path=containerd.CONFIG_PATH, content=containerd.containerd_config(spec, node, release), mode=0o644),
        *containerd.registry_hosts(spec),
        *(control_plane_files(spec, node, pki, release) if node.role == "controller" else ()),
    )


def node_directories(spec: ClusterSpec, node: Node) -> tuple[NodeDirectory, ...]:
    """The directories of a machine whose owner or mode matters, parents first."""
    directories = [
        NodeDirectory(path="/etc/kubernetes", mode=0o755),
        NodeDirectory(path=KUBELET.directory, mode=0o700),
        NodeDirectory(path=VOLUME_PLUGIN_DIRECTORY, mode=0o755),
    ]
    if node.role == "controller":
        directories += [NodeDirectory(path=path, mode=0o700) for path in (MANIFESTS_DIRECTORY, WAITING_DIRECTORY)]
        directories += [
            NodeDirectory(path=path, mode=0o700, uid=owner.uid, gid=owner.uid)
            for path, owner in (
                *((component.directory, component) for component in CONTROL_PLANE),
                (ETCD_DATA_DIRECTORY, ETCD),
                (AUDIT_DIRECTORY, APISERVER),
                (FLEX_VOLUME_DIRECTORY, CONTROLLER_MANAGER),
            )
        ]
    return tuple(directories)


def _kubelet_credentials(spec: ClusterSpec, node: Node, pki: Pki, token: str) -> tuple[NodeFile, ...]:
    serving = pki.leaf("kubelet-server", node.name)
    if node.role == "controller":
        user = f"system:node:{node.name}"
        name, kubeconfig = "kubeconfig", component_kubeconfig(spec, node, pki, user, "kubelet-client")
    else:
        name, kubeconfig = "bootstrap-kubeconfig", bootstrap_kubeconfig(spec, pki, token)
    return (
        KUBELET.file("ca.crt", pki.authority("kubernetes").certificate),
        KUBELET.file("server.crt", serving.certificate),
        KUBELET.file("server.key", serving.key),
        KUBELET.file(name, kubeconfig),
    )
