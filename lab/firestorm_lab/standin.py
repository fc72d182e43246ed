"""The stand-in OS in a development cluster: its image, and what its machines download from servers beside them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firestorm.platforms.libvirt import private

RELEASE_PORT, REGISTRY_PORT = 8080, 5000
_IMAGE_KEYS = ("path", "sha256", "kernel", "initrd", "kernel_arguments")
_ARTIFACT_KEYS = ("name", "arch", "sha256")  # the official URLs, mirrored
_SIZES = {"cpus": 2, "memory": "3GiB", "disk": "10GiB"}


def serve(name: str, address: str, log: Path) -> None:
    """Have the release mirror and the registry run inside the private libvirt `name`, until that is ended."""
    command = [sys.executable, "-m", "firestorm_lab", "serve", "--address", address]
    command += ["--release-port", str(RELEASE_PORT), "--registry-port", str(REGISTRY_PORT)]
    private.run_inside(name, command, label="mirror", log=log, environment=dict(os.environ))


def complete(whole: Mapping[str, Any], found: Mapping[str, Any], address: str) -> dict[str, Any]:
    """The document with the image and the artifacts that `found` (see `facts`) has, mirrored by `address`; small
    machines where it has none."""
    return {
        "controllers": _SIZES,
        "workers": [{"name": "worker", "count": 1, **_SIZES}],
        **whole,
        "os": {"name": "debian", "image": {key: found["image"][key] for key in _IMAGE_KEYS}},
        "artifacts": [{key: artifact[key] for key in _ARTIFACT_KEYS} for artifact in found["artifacts"]],
        "mirrors": {
            **{
                prefix: f"http://{address}:{RELEASE_PORT}{folder}"
                for prefix, folder in found["mirrors"]["releases"].items()
            },
            **dict.fromkeys(found["mirrors"]["registries"], f"http://{address}:{REGISTRY_PORT}"),
        },
    }
