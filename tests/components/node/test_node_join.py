"""The script that waits until a worker is let in: with a real curl, and a server on loopback that lets it in late."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import yaml

from firestorm.node import preview_config
from tests.components.node.node_configs import MakeCluster, node_of, text

KUBELET = "/etc/kubernetes/kubelet"


def test_a_worker_waits_until_its_token_is_accepted(cluster: MakeCluster, tmp_path: Path) -> None:
    spec = cluster()
    config = preview_config(spec, node_of(spec, "worker"))
    kubeconfig = text(config, f"{KUBELET}/bootstrap-kubeconfig")
    document = yaml.safe_load(kubeconfig)
    server, token = document["clusters"][0]["cluster"]["server"], document["users"][0]["user"]["token"]
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization", "")))
            self.send_response(401 if len(seen) < 3 else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    http = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        (tmp_path / "bootstrap-kubeconfig").write_text(
            kubeconfig.replace(server, f"http://127.0.0.1:{http.server_port}")
        )
        script = tmp_path / "join"
        script.write_text(text(config, "/opt/bin/firestorm-join").replace(KUBELET, str(tmp_path)))
        subprocess.run(["sh", str(script)], env=shims(tmp_path), check=True, timeout=30)
    finally:
        http.shutdown()
        http.server_close()

    assert seen == [("/apis/certificates.k8s.io/v1", f"Bearer {token}")] * 3
    told = (tmp_path / "arguments").read_text()
    assert told.count("--config -") == 1
    assert token not in told


def shims(directory: Path) -> dict[str, str]:
    """An environment in which curl writes down its arguments."""
    curl = shutil.which("curl")
    assert curl, "curl is needed (Debian package curl)"
    program = directory / "curl"
    program.write_text(f'#!/bin/sh\necho "$@" >>{directory}/arguments\nexec {curl} "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}
