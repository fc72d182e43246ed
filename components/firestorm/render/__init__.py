"""What nodes and the API server are given, as pure functions of a cluster, its PKI and its release."""

from firestorm.render.containerd import containerd_config, registry_hosts
from firestorm.render.files import NodeDirectory, NodeFile
from firestorm.render.kubeconfig import admin_kubeconfig, bootstrap_kubeconfig
from firestorm.render.kubelet import kubelet_config, kubelet_env
from firestorm.render.manifests import manifests
from firestorm.render.node import node_directories, node_files

__all__ = [
    "NodeDirectory",
    "NodeFile",
    "admin_kubeconfig",
    "bootstrap_kubeconfig",
    "containerd_config",
    "kubelet_config",
    "kubelet_env",
    "manifests",
    "node_directories",
    "node_files",
    "registry_hosts",
]
