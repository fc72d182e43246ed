"""The stand-in OS in a cluster: its image, and what its machines download from servers beside them, as a site's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from firestorm.clusters.site import Site

RELEASE_PORT, REGISTRY_PORT = 8080, 5000
_IMAGE_KEYS = ("path", "sha256", "kernel", "initrd", "kernel_arguments")
_ARTIFACT_KEYS = ("name", "arch", "sha256")  # the official URLs, mirrored
_SIZES = {"memory": "3GiB", "disk": "10GiB"}


def site(found: Mapping[str, Any], python: str) -> Site:
    """A site whose clusters run the stand-in OS, with the image and the artifacts that `found` (see `facts`) has, on
    small machines; `python` runs its servers."""
    serve = (python, "-m", "firestorm_lab", "serve", "--address", "{address}")
    ports = ("--release-port", str(RELEASE_PORT), "--registry-port", str(REGISTRY_PORT))
    return Site(
        cluster={
            "controllers": {"cpus": 2, **_SIZES},
            # An emulated machine of one processor does the same with half of the host's time: nothing in it waits for
            # another processor, which may not be running just then.
            "workers": [{"name": "worker", "count": 1, "cpus": 1, **_SIZES}],
            "os": {"name": "debian", "image": {key: found["image"][key] for key in _IMAGE_KEYS}},
            "artifacts": [{key: artifact[key] for key in _ARTIFACT_KEYS} for artifact in found["artifacts"]],
            "mirrors": {
                **{
                    prefix: f"http://{{address}}:{RELEASE_PORT}{folder}"
                    for prefix, folder in found["mirrors"]["releases"].items()
                },
                **dict.fromkeys(found["mirrors"]["registries"], f"http://{{address}}:{REGISTRY_PORT}"),
            },
            "platform": {"libvirt": {"disk_cache": "unsafe"}},
        },
        inside=(*serve, *ports),
    )


def site_file(found: Mapping[str, Any], python: str) -> str:
    """The same as the text of a site file."""
    made = site(found, python)
    return yaml.safe_dump({"cluster": dict(made.cluster), "inside": list(made.inside)}, sort_keys=False)
