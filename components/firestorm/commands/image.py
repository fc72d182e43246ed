"""`firestorm image list|fetch|prune`: the cache of base images."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from firestorm import images
from firestorm.commands.described import described
from firestorm.commands.output import print_json, print_table, say, time
from firestorm.images.console import ConsoleProgress


def list_(chosen: argparse.Namespace) -> int:
    found = [(path, path.stat()) for path in sorted(images.default_cache().glob("*.qcow2"))]
    rows = [(path, status.st_size, time(datetime.fromtimestamp(status.st_mtime, UTC))) for path, status in found]
    if chosen.output == "json":
        print_json(
            [{"name": path.name, "path": str(path), "bytes": size, "fetched": when} for path, size, when in rows]
        )
    elif rows:
        print_table(
            [("IMAGE", "MIB", "FETCHED"), *((path.name, f"{size / 2**20:.0f}", when) for path, size, when in rows)]
        )
    else:
        say("no images")
    return 0


def fetch(chosen: argparse.Namespace) -> int:
    asked = {"name": chosen.os, "channel": chosen.channel, "version": chosen.pinned, "arch": chosen.arch}
    given = {key: value for key, value in asked.items() if value is not None}
    cluster = described(chosen.spec, {"os": given} if given else None)
    servers = images.Servers(mirrors=cluster.mirrors)
    for image in dict.fromkeys(pool.os for pool in cluster.pools):
        with ConsoleProgress() as progress:
            found = images.fetch(image, images.default_cache(), servers=servers, progress=progress)
        print(found.path)
    return 0


def prune(chosen: argparse.Namespace) -> int:
    removed = images.prune(images.default_cache(), chosen.keep)
    print("\n".join(f"removed {name}" for name in removed) or "nothing to remove")
    return 0
