"""A container registry over the lab's images: Debian's docker-registry, filled by skopeo, then served read-only."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firestorm_lab import containers, packages
from firestorm_lab.cache import Cache, Item, Workspace
from firestorm_lab.errors import LabError
from firestorm_lab.process import stop, tail

_PACKAGES = ("docker-registry", "skopeo")
_START_SECONDS = 20.0


def ensure(store: Cache) -> Path:
    """The registry's storage directory, holding every image under its repository and tag."""
    item = Item(name="registry", inputs={"oci": containers.layout_item().key, "recipe": "1"})
    found = store.find(item)
    if found is None:
        packages.require(_PACKAGES)
        layout = containers.ensure(store)

        def build(workspace: Workspace) -> None:
            fill(workspace, layout)

        found = store.ensure(item, build, "filling the registry")
    return found / "storage"


def configuration(storage: Path, address: str, *, read_only: bool) -> str:
    """docker-registry's settings, as YAML (JSON is a subset): https://distribution.github.io/distribution/about/configuration/"""
    settings = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "cache": {"blobdescriptor": "inmemory"},
            "filesystem": {"rootdirectory": str(storage)},
            "maintenance": {"readonly": {"enabled": read_only}, "uploadpurging": {"enabled": False}},
        },
        "http": {"addr": address},
    }
    return json.dumps(settings, indent=2) + "\n"


@contextmanager
def running(storage: Path, host: str, port: int, work: Path, *, read_only: bool) -> Iterator[subprocess.Popen[bytes]]:
    """A registry process that answers at host:port, ended with the context. Raises LabError when it does not start."""
    settings = work / f"registry-{port}.yml"
    settings.write_text(configuration(storage, f"{host}:{port}", read_only=read_only))
    log = work / f"registry-{port}.log"
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    with log.open("ab") as out:
        try:
            process = subprocess.Popen(
                ["docker-registry", "serve", str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise LabError(
                f"cannot run docker-registry: {error.strerror}; install the package docker-registry"
            ) from error
    try:
        _await(process, host, port, log)
        yield process
    finally:
        stop(process)


def _await(process: subprocess.Popen[bytes], host: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        connection = http.client.HTTPConnection(host, port, timeout=2)
        try:
            connection.request("GET", "/v2/")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    shown = "\n".join(f"    {line}" for line in tail(log, 5))
    raise LabError(f"the registry does not answer at {host}:{port}; its log is {log}:\n{shown}")


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def fill(workspace: Workspace, layout: containers.Layout) -> None:
    """Push every image of the layout into a registry whose storage is `workspace.out / "storage"`."""
    storage = workspace.out / "storage"
    storage.mkdir()
    host, port = "127.0.0.1", free_port()
    with running(storage, host, port, workspace.scratch, read_only=False):
        for name in layout.digests:
            repository = name.partition("/")[2]
            workspace.step.alive(f"pushing {name}")
            # As they are: skopeo would compress the layers, and so change their digests.
            copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false"]
            workspace.runner.run(
                [*copy, f"oci:{layout.path}:{name}", f"docker://{host}:{port}/{repository}"], timeout=300
            )
