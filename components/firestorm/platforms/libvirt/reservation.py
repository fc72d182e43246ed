"""A node's fixed address: a DHCP reservation in the cluster's libvirt network, as a resource of its own.

The Pulumi provider can make one as part of a domain, but reads it back from the leases, which do not exist yet when a
machine has just been powered on: every second run would find a change. https://libvirt.org/formatnetwork.html#addressing
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource

from firestorm.platforms.libvirt.virsh import Virsh
from firestorm.provider import Provider
from firestorm.spec.model import Node

_FIELDS = ("uri", "network", "mac", "name", "ip")


def reserve(props: dict[str, Any]) -> None:
    """Make the reservation; whatever else the network has for this name, MAC or address gives way to it."""
    virsh, wanted = Virsh(uri=props["uri"]), _entry(props)
    for entry in _entries(virsh, props["network"]):
        if entry == wanted:
            return
        if any(entry[key] == wanted[key] for key in wanted):
            _change(virsh, props["network"], "delete", entry)
    _change(virsh, props["network"], "add-last", wanted)


def release(props: dict[str, Any]) -> None:
    """Take the reservation back, if it is there."""
    virsh, wanted = Virsh(uri=props["uri"]), _entry(props)
    if any(network.name == props["network"] for network in virsh.networks()) and wanted in _entries(
        virsh, props["network"]
    ):
        _change(virsh, props["network"], "delete", wanted)


class _Provider(Provider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        reserve(props)
        return CreateResult(id_=f"{props['network']}/{props['name']}", outs={key: props[key] for key in _FIELDS})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = [key for key in _FIELDS if _olds.get(key) != _news.get(key)]
        return DiffResult(changes=bool(changed), replaces=changed, delete_before_replace=True)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        release(_props)


class Reservation(Resource, module="firestorm", name="Reservation"):
    """The address and the name that `network` gives to the machine with this node's MAC."""

    def __init__(
        self, name: str, uri: str, network: pulumi.Input[str], node: Node, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        properties = {"uri": uri, "network": network, "mac": node.mac, "name": node.name, "ip": str(node.address)}
        super().__init__(_Provider(), name, properties, opts)


def _entry(props: dict[str, Any]) -> dict[str, str]:
    return {key: str(props[key]).lower() for key in ("mac", "name", "ip")}


def _entries(virsh: Virsh, network: str) -> list[dict[str, str]]:
    root = ET.fromstring(virsh.run("net-dumpxml", network))
    return [
        {key: host.get(key, "").lower() for key in ("mac", "name", "ip")} for host in root.findall("./ip/dhcp/host")
    ]


def _change(virsh: Virsh, network: str, command: str, entry: dict[str, str]) -> None:
    host = ET.tostring(ET.Element("host", entry), encoding="unicode")
    virsh.run("net-update", network, command, "ip-dhcp-host", host, "--live", "--config")
