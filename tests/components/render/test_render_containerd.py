from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from firestorm.errors import RenderError
from firestorm.releases import Release
from firestorm.render import containerd_config, registry_hosts
from firestorm.spec.model import ClusterSpec, Mirror

MakeCluster = Callable[..., ClusterSpec]


@pytest.mark.parametrize(
    ("system", "runtime", "selinux"), [("flatcar", "runc", False), ("fcos", "runc", True), ("debian", "crun", False)]
)
def test_config(cluster: MakeCluster, release: Release, system: str, runtime: str, selinux: bool) -> None:
    spec = cluster(system)
    assert tomllib.loads(containerd_config(spec, spec.nodes[0], release)) == {
        "version": 2,
        "oom_score": -999,
        "plugins": {
            "io.containerd.grpc.v1.cri": {
                "sandbox_image": "registry.k8s.io/pause:3.10.2",
                "enable_selinux": selinux,
                "enable_unprivileged_ports": True,
                "enable_unprivileged_icmp": True,
                "containerd": {
                    "default_runtime_name": runtime,
                    "runtimes": {
                        runtime: {
                            "runtime_type": "io.containerd.runc.v2",
                            "options": {"BinaryName": f"/usr/bin/{runtime}", "SystemdCgroup": True},
                        }
                    },
                },
                "cni": {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"},
                "registry": {"config_path": "/etc/containerd/certs.d"},
            },
            "io.containerd.cri.v1.runtime": {"stats_collect_period": "10s"},
        },
    }


@pytest.mark.lab
@pytest.mark.parametrize("system", ["flatcar", "fcos", "debian"])
def test_the_real_containerd_reads_all_of_it(
    cluster: MakeCluster, release: Release, tmp_path: Path, system: str
) -> None:
    spec = cluster(system)
    config = tmp_path / "config.toml"
    config.write_text(containerd_config(spec, spec.nodes[0], release))
    said = subprocess.run(
        [os.environ["FIRESTORM_CONTAINERD"], "--config", str(config), "config", "dump"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "unknown" not in said.stderr
    plugins = tomllib.loads(said.stdout)["plugins"]
    runtime = plugins["io.containerd.cri.v1.runtime"]
    assert (runtime["stats_collect_period"], runtime["enable_unprivileged_ports"]) == ("10s", True)
    assert runtime["cni"]["bin_dirs"] == ["/opt/cni/bin"]
    name = runtime["containerd"]["default_runtime_name"]
    assert runtime["containerd"]["runtimes"][name]["options"]["BinaryName"] == f"/usr/bin/{name}"
    images = plugins["io.containerd.cri.v1.images"]
    assert images["pinned_images"]["sandbox"] == "registry.k8s.io/pause:3.10.2"
    assert images["registry"]["config_path"] == "/etc/containerd/certs.d"


@pytest.mark.parametrize(
    ("prefix", "url", "expected"),
    [
        ("registry.k8s.io", "http://10.17.0.1:5000", {"server": "http://10.17.0.1:5000"}),
        ("registry.k8s.io", "http://10.17.0.1:5000/", {"server": "http://10.17.0.1:5000"}),
        ("registry.k8s.io", "https://hub.example/v2/", {"server": "https://hub.example"}),
        ("ghcr.io", "hub.example", {"server": "https://hub.example"}),
        ("ghcr.io", "https://hub.example/k8s", {"server": "https://hub.example/v2/k8s", "override_path": True}),
        ("ghcr.io", "https://hub.example/v2/a/b/", {"server": "https://hub.example/v2/a/b", "override_path": True}),
    ],
)
def test_mirrors(cluster: MakeCluster, prefix: str, url: str, expected: dict[str, object]) -> None:
    spec = cluster(mirrors=(Mirror(prefix="https://dl.k8s.io", url="http://x"), Mirror(prefix=prefix, url=url)))
    [file] = registry_hosts(spec)
    assert (file.path, file.mode) == (f"/etc/containerd/certs.d/{prefix}/hosts.toml", 0o644)
    assert tomllib.loads(file.content) == expected | {"capabilities": ["pull", "resolve"]}


def test_a_part_of_a_registry_cannot_be_mirrored(cluster: MakeCluster) -> None:
    spec = cluster(mirrors=(Mirror(prefix="ghcr.io/flannel-io", url="http://10.17.0.1:5000"),))
    with pytest.raises(RenderError) as caught:
        registry_hosts(spec)
    assert str(caught.value) == (
        "mirrors['ghcr.io/flannel-io']: containerd redirects whole registries; "
        "name the registry's host alone, such as registry.k8s.io"
    )
