"""`firestorm doctor`: this host, looked at before a cluster is made."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from firestorm.clusters import site
from firestorm.clusters.doctor import examine, healthy
from firestorm.commands.described import described
from firestorm.commands.output import print_json

_MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}


def run(chosen: argparse.Namespace) -> int:
    """0 if nothing keeps a cluster from coming up, else 1."""
    checks = examine(described(chosen.spec), served=bool(site.load().inside))
    if chosen.output == "json":
        print_json([asdict(check) for check in checks])
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            print(f"{_MARKS[check.result]} {check.name:{width}}  {check.found}")
            if check.remedy:
                print(f"  {'':{width}}  → {check.remedy}")
    return 0 if healthy(checks) else 1
