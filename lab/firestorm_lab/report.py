"""What `make up` and `make status` print of a cluster."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from firestorm.pki import parse_expires
from firestorm.platforms.libvirt import acceleration

STAND_IN = "the nodes run the stand-in OS made of Debian packages: what is tried here, is tried on that"
_COLUMNS = {
    "name": "node",
    "role": "role",
    "address": "address",
    "state": "state",
    "version": "Kubernetes",
    "os_image": "operating system",
    "kernel": "kernel",
    "runtime": "container runtime",
}
_WORDS = {"kvm": "KVM", "tcg": "TCG, QEMU's emulation"}
_NARROW, _WIDE = 60, 140


def cluster(outputs: Mapping[str, Any], config: Mapping[str, Any], kubeconfig: Path, states: Mapping[str, str]) -> str:
    """The nodes' table, and below it what a user of the cluster needs.

    `outputs` are the stack's, `config` is its configuration, `states` has a word for each node.
    """
    name, end = min(parse_expires(outputs["expires"]).items(), key=lambda item: item[1])
    libvirt = config["firestorm:platform"]["libvirt"]
    accelerator = acceleration.find(libvirt.get("acceleration", "auto"))
    lines = [
        table([{**node, "state": states.get(node["name"], "gone")} for node in outputs["nodes"]]).rstrip(),
        f"API           {outputs['apiAddress']}",
        f"kubeconfig    {kubeconfig}",
        f"certificates  the first to expire is {name}, on {end:%Y-%m-%d}",
        f"machines      under {_WORDS[accelerator.kind]}: {accelerator.reason}",
    ]
    if config["firestorm:os"]["name"] == "debian":
        lines.append(f"image         {STAND_IN}")
    return "\n".join(lines)


def table(nodes: Sequence[Mapping[str, str]]) -> str:
    """The nodes' table."""
    shown = {key: title for key, title in _COLUMNS.items() if any(key in node for node in nodes)}
    drawn = Table(*(shown or {"name": "node"}).values())
    for node in nodes:
        drawn.add_row(*(node.get(column, "") for column in shown))
    console = Console(width=None if sys.stdout.isatty() and Console().width >= _NARROW else _WIDE)
    with console.capture() as capture:
        console.print(drawn)
    return capture.get()
