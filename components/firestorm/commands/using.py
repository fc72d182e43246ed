"""`firestorm up|plan|status|kubeconfig|exec|collect`: one cluster, and what is done with it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firestorm.clusters import Clusters, RunningCluster, document
from firestorm.clusters.environment import environment_of
from firestorm.commands.output import plain_record, print_json, print_table, say, time
from firestorm.commands.run import cannot_run
from firestorm.errors import ClusterError

NODE_COLUMNS = {
    "name": "NODE",
    "role": "ROLE",
    "address": "ADDRESS",
    "state": "STATE",
    "version": "KUBERNETES",
    "os_image": "OPERATING SYSTEM",
    "runtime": "CONTAINER RUNTIME",
}


def up(chosen: argparse.Namespace) -> int:
    from firestorm.clusters.known import DEFAULT_TTL

    clusters = Clusters()
    cluster = clusters.up(_args(clusters, chosen), name=chosen.name, ttl=chosen.ttl or DEFAULT_TTL, progress=say)
    _tell(clusters, cluster, {node.name: "Ready" for node in cluster.nodes}, chosen.output)
    return 0


def plan(chosen: argparse.Namespace) -> int:
    clusters = Clusters()
    print(clusters.plan(_args(clusters, chosen), chosen.name, progress=say))
    return 0


def status(chosen: argparse.Namespace) -> int:
    from firestorm.clusters.live import states

    clusters = Clusters()
    cluster = clusters.connect(_name(clusters, chosen.name))
    found = states(cluster.kubeconfig.read_text(), [node.name for node in cluster.nodes])
    _tell(clusters, cluster, found, chosen.output)
    return 0 if set(found.values()) <= {"Ready"} else 1


def kubeconfig(chosen: argparse.Namespace) -> int:
    clusters = Clusters()
    cluster = clusters.connect(_name(clusters, chosen.name))
    if chosen.path:
        print(cluster.kubeconfig)
    elif chosen.merge:
        from firestorm.clusters import kubeconfigs

        path = kubeconfigs.merge(cluster.kubeconfig)
        say(f"{path} has the context {kubeconfigs.context_of(cluster.name)} now, and uses it")
    else:
        print(cluster.kubeconfig.read_text(), end="")
    return 0


def exec_(chosen: argparse.Namespace) -> int:
    clusters = Clusters()
    cluster = clusters.connect(_name(clusters, chosen.name))
    if not chosen.argv:
        say("error: no command: write it after `--`, as in `firestorm exec -- kubectl get nodes`")
        return 2
    try:
        os.execvpe(chosen.argv[0], chosen.argv, environment_of(cluster))
    except OSError as error:
        return cannot_run(chosen.argv[0], error)


def collect(chosen: argparse.Namespace) -> int:
    from firestorm.clusters.evidence import collect

    clusters = Clusters()
    name = clusters.get(_name(clusters, chosen.name)).name
    summary = collect(clusters.home / name, chosen.into, say=say)
    print(summary.markdown(), end="")
    return 0


def _args(clusters: Clusters, chosen: argparse.Namespace) -> Mapping[str, Any] | Path:
    """The file that is named, else the one that the cluster was last described by, else nothing."""
    if chosen.spec is not None:
        return Path(chosen.spec)
    kept = document.note(clusters.life(chosen.name).home)
    return Path(kept.read_text()) if kept.exists() else {}


def _name(clusters: Clusters, given: str | None) -> str:
    """The cluster that is meant: the only one, where none is named. Raises ClusterError unless there is one."""
    if given is not None:
        return given
    names = [record.name for record in clusters.list()]
    if len(names) == 1:
        return names[0]
    raise ClusterError(
        f"which cluster is meant: {', '.join(names)}?" if names else "there is no cluster: `firestorm up` makes one"
    )


def _tell(clusters: Clusters, cluster: RunningCluster, states: Mapping[str, str], output: str) -> None:
    """The cluster and its nodes, for people or, as docs/commands.md describes it, for programs."""
    record, outputs = clusters.get(cluster.name), clusters.life(cluster.name).outputs()
    nodes = [{**node, "state": states.get(node["name"], "not in the cluster")} for node in outputs["nodes"]]
    if output == "json":
        rest = {"api": cluster.api_address, "kubeconfig": str(cluster.kubeconfig)}
        print_json({**plain_record(record), **rest, "nodes": nodes, "certificates": outputs["expires"]})
        return
    shown = {key: title for key, title in NODE_COLUMNS.items() if any(key in node for node in nodes)}
    print_table([tuple(shown.values()), *(tuple(str(node.get(key, "")) for key in shown) for node in nodes)])
    first, when = min(outputs["expires"].items(), key=lambda item: str(item[1]))
    print(f"\nAPI           {cluster.api_address}")
    print(f"kubeconfig    {cluster.kubeconfig}")
    print(f"certificates  the first to expire is {first}, on {when[:10]}")
    if record.expires is not None:
        print(f"expires       {'never: it is held' if record.held else time(record.expires)}")
