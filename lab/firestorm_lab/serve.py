"""The release mirror and the registry together, in the foreground."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

from firestorm_lab import mirror, registry
from firestorm_lab.cache import Cache
from firestorm_lab.errors import LabError


class _Printing(mirror.MirrorServer):
    def report(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def run(store: Cache, address: str, release_port: int, registry_port: int) -> None:
    """Serve on `address` alone until the process is told to end. Prints one line when both answer.

    Raises LabError when a port is taken or the registry ends by itself.
    """
    storage = registry.ensure(store)
    files, _ = mirror.ensure(store)
    with tempfile.TemporaryDirectory(prefix="firestorm-serve-") as name:
        work = Path(name)
        try:
            server = _Printing(files, address, release_port)
        except OSError as error:
            raise LabError(f"cannot serve on {address}:{release_port}: {error.strerror}") from error
        with server, registry.running(storage, address, registry_port, work, read_only=True) as process:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            print(
                f"ready: releases http://{address}:{server.port} registry http://{address}:{registry_port}", flush=True
            )
            while process.poll() is None:
                time.sleep(0.5)
            raise LabError(f"the registry ended by itself, with status {process.returncode}")
