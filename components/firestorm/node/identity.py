"""A node's config, and the identity that decides when its machine is replaced.

The identity is the hash of the config rendered with placeholders where keys, certificates and the bootstrap token go.
It is a function of the spec alone: known at the first preview, before any key exists, and unmoved by a renewed
certificate or a new token, which therefore never replace a machine.
"""

from __future__ import annotations

import hashlib
import json

from firestorm.node.compile import NodeConfig, compile_layers
from firestorm.node.layers import Layer, NodeContent, layers
from firestorm.pki import Pki, request_for
from firestorm.releases import Release, RemoteFile, lookup
from firestorm.render import node_directories, node_files
from firestorm.spec.model import ClusterSpec, Node

PLACEHOLDER_TOKEN = "000000.0000000000000000"


def node_layers(spec: ClusterSpec, node: Node, pki: Pki, token: str) -> tuple[Layer, ...]:
    """The Butane documents of `node`."""
    release = lookup(spec, node.pool.os.arch)
    content = NodeContent(
        files=node_files(spec, node, pki, release, token=token),
        directories=node_directories(spec, node),
        remote=_remote(release),
    )
    return layers(spec, node, content)


def node_config(spec: ClusterSpec, node: Node, pki: Pki, token: str) -> NodeConfig:
    """The Ignition config of `node`, with its secrets. Raises RenderError."""
    return compile_layers(node_layers(spec, node, pki, token))


def preview_config(spec: ClusterSpec, node: Node) -> NodeConfig:
    """The Ignition config of `node` with placeholders for its secrets. Raises RenderError."""
    return node_config(spec, node, Pki.placeholder(request_for(spec)), PLACEHOLDER_TOKEN)


def identity(spec: ClusterSpec, node: Node, config: NodeConfig, image: str) -> str:
    """The identity of `node`, whose `preview_config` is `config` and whose image is called `image`: 64 hex digits.

    Whatever makes a new disk is part of it, so that the machine on that disk gets a fresh token to join with: the
    config and the disk's size, which libvirt's provider cannot change in place. Memory and processors are not: a
    machine is made anew around its disk for them.

    A worker's image is part of it, so that a new image rolls the workers. A controller's is not: controllers are
    never replaced because an image moved on.
    """
    material = {
        "ignition": config.ignition,
        "disk": node.pool.disk,
        "image": image if node.role == "worker" else None,
        "generation": spec.pki_generation,
    }
    return hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()


def _remote(release: Release) -> dict[str, tuple[RemoteFile, int]]:
    return {
        "/opt/bin/kubelet": (release.kubelet, 0o755),
        "/opt/cni/cni-plugins.tgz": (release.cni_plugins, 0o644),
    }
