"""`firestorm list|down|extend|hold|gc`: the clusters that `firestorm.clusters` keeps on this host."""

from __future__ import annotations

import argparse

from firestorm.clusters import Clusters
from firestorm.commands.output import RECORD_COLUMNS, plain_record, print_json, print_table, record_row, say


def list_(chosen: argparse.Namespace) -> int:
    clusters = Clusters().list()
    if chosen.output == "json":
        print_json([plain_record(one) for one in clusters])
    elif clusters:
        print_table([RECORD_COLUMNS, *map(record_row, clusters)])
    else:
        say("no clusters")
    return 0


def down(chosen: argparse.Namespace) -> int:
    ended = Clusters().down(chosen.name, progress=say)
    print("\n".join(f"ended {one}" for one in ended) or f"nothing of {chosen.name} was there")
    return 0


def extend(chosen: argparse.Namespace) -> int:
    print_table([RECORD_COLUMNS, record_row(Clusters().extend(chosen.name, chosen.ttl))])
    return 0


def hold(chosen: argparse.Namespace) -> int:
    print_table([RECORD_COLUMNS, record_row(Clusters().hold(chosen.name, on=not chosen.off))])
    return 0


def gc(chosen: argparse.Namespace) -> int:
    report = Clusters().gc(dry_run=chosen.dry_run, progress=say)
    for found in report.found:
        print(f"{'would end' if chosen.dry_run else 'found'} {found.name}: {found.reason}")
    for text in report.removed:
        print(f"ended {text}")
    for text in report.failed:
        say(f"error: {text}")
    if not (report.found or report.removed or report.failed):
        print("nothing to end")
    return 1 if report.failed else 0
