"""What the lab holds, as data for programs: paths, official URLs, hashes."""

from __future__ import annotations

from typing import Any

from firestorm_lab import components, containers, image, mirror, registry, tools
from firestorm_lab.cache import Cache


def collect(store: Cache) -> dict[str, Any]:
    """Everything, built if need be; paths are absolute."""
    found = tools.ensure(store)
    system = image.ensure(store)
    described = system.description()
    files, releases = mirror.ensure(store)
    programs = components.ensure(store).programs
    layout = containers.ensure(store)
    return {
        "cache": str(store.root),
        "tools": {"bin": str(found.bin), "pulumi_home": str(found.home), "origin": found.origin},
        "image": {
            "name": "debian",
            "version": described["version"],
            "path": str(system.disk),
            "sha256": described["sha256"]["disk.qcow2"],
            "kernel": str(system.kernel),
            "initrd": str(system.initrd),
            "kernel_arguments": described["kernel_arguments"],
        },
        "kubernetes": components.KUBERNETES,
        "artifacts": [
            {"name": file.name, "arch": mirror.ARCH, "url": file.url, "sha256": file.sha256}
            for file in releases
            if file.name in ("kubelet", "cni-plugins")
        ],
        "mirrors": {
            "releases": {"https://dl.k8s.io": "/dl.k8s.io", "https://github.com": "/github.com"},
            "registries": sorted({name.partition("/")[0] for name in layout.digests}),
        },
        "release_files": str(files),
        "registry": str(registry.ensure(store)),
        "images": layout.digests,
        "programs": {name: str(path) for name, path in programs.items()},
    }
