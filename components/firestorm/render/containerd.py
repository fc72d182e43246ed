"""containerd's configuration.

Version 2 of the format: containerd 1.7 reads it as it is, 2.x migrates it as it starts.
https://github.com/containerd/containerd/blob/main/docs/cri/config.md
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from firestorm.errors import RenderError
from firestorm.releases import Release, registry_mirrors
from firestorm.render.files import NodeFile
from firestorm.render.systems import SYSTEMS
from firestorm.spec.model import ClusterSpec, Node

CONFIG_PATH = "/etc/containerd/config.toml"
HOSTS_DIRECTORY = "/etc/containerd/certs.d"


def containerd_config(spec: ClusterSpec, node: Node, release: Release) -> str:
    """The config.toml of a node."""
    system = SYSTEMS[node.pool.os.name]
    runtime = system.runtime.rpartition("/")[2]
    cri = "io.containerd.grpc.v1.cri"
    return f"""version = 2
oom_score = -999

[plugins."{cri}"]
  sandbox_image = {_string(release.images.pause)}
  enable_selinux = {_boolean(system.selinux)}
  # Pods may bind ports below 1024 and ping without capabilities: each has a network namespace of its own.
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true

  [plugins."{cri}".containerd]
    default_runtime_name = {_string(runtime)}

    [plugins."{cri}".containerd.runtimes.{runtime}]
      runtime_type = "io.containerd.runc.v2"

      [plugins."{cri}".containerd.runtimes.{runtime}.options]
        BinaryName = {_string(system.runtime)}
        SystemdCgroup = true

  [plugins."{cri}".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"

  [plugins."{cri}".registry]
    config_path = {_string(HOSTS_DIRECTORY)}

# From 2.3 on, containerd asks the shim of every container each second what it has used, for statistics that the kubelet
# takes from cAdvisor. This is the kubelet's own interval; releases before 2.3 pass over it.
[plugins."io.containerd.cri.v1.runtime"]
  stats_collect_period = "10s"
"""


def registry_hosts(spec: ClusterSpec) -> tuple[NodeFile, ...]:
    """A hosts.toml for each mirrored registry: the mirror takes the registry's place, with no way back to it.

    https://github.com/containerd/containerd/blob/main/docs/hosts.md

    Raises RenderError for a prefix that names more than a registry's host.
    """
    return tuple(_hosts(registry, url) for registry, url in registry_mirrors(spec).items())


def _hosts(registry: str, url: str) -> NodeFile:
    registry = registry.rstrip("/")
    if not registry or "/" in registry:
        raise RenderError(
            f"mirrors[{registry!r}]: containerd redirects whole registries; "
            "name the registry's host alone, such as registry.k8s.io"
        )
    parts = urlsplit(url if "://" in url else f"https://{url}")
    # An image path goes behind the API's /v2, which containerd leaves out when told that the URL is complete.
    path = parts.path.strip("/").removeprefix("v2").strip("/")
    lines = [f"server = {_string(f'{parts.scheme}://{parts.netloc}' + (f'/v2/{path}' if path else ''))}"]
    lines.append('capabilities = ["pull", "resolve"]')
    if path:
        lines.append("override_path = true")
    content = "\n".join(lines) + "\n"
    return NodeFile(path=f"{HOSTS_DIRECTORY}/{registry}/hosts.toml", content=content, mode=0o644)


def _string(text: str) -> str:
    return json.dumps(text)


def _boolean(value: bool) -> str:
    return "true" if value else "false"
