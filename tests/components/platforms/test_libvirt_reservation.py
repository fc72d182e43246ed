"""Addresses of nodes in a libvirt network, before a network that answers net-update as libvirt does."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import reservation

URI = "qemu+unix:///system?socket=/s"
MAC, NAME, IP = "52:54:00:00:01:0a", "demo-worker-0", "10.17.1.10"
PROPS = {"uri": URI, "network": "firestorm-demo", "mac": MAC, "name": NAME, "ip": IP}
OURS = {"mac": MAC, "name": NAME, "ip": IP}
OTHER = {"mac": "52:54:00:00:01:0b", "name": "demo-worker-1", "ip": "10.17.1.11"}


@dataclass
class Network:
    """Stands for `Virsh` on a libvirt with one network.

    As libvirt (network_conf.c, virNetworkDefUpdateIPDHCPHost), it refuses a host that shares a MAC, a name or an
    address with another one, and to delete one that is not there.
    """

    hosts: list[dict[str, str]]
    exists: bool = True
    updates: list[str] = field(default_factory=list[str])

    def __call__(self, *, uri: str) -> Network:
        assert uri == URI
        return self

    def networks(self) -> tuple[SimpleNamespace, ...]:
        return (SimpleNamespace(name="default"), *([SimpleNamespace(name="firestorm-demo")] if self.exists else []))

    def run(self, command: str, network: str, *arguments: str) -> str:
        assert network == "firestorm-demo"
        if not self.exists:
            raise PlatformError("Network not found")
        if command == "net-dumpxml":
            hosts = "".join(ET.tostring(ET.Element("host", host), encoding="unicode") for host in self.hosts)
            return f"<network><ip address='10.17.0.1'><dhcp><range start='a' end='b'/>{hosts}</dhcp></ip></network>"
        assert command == "net-update"
        action, section, xml, *scope = arguments
        assert (section, scope) == ("ip-dhcp-host", ["--live", "--config"])  # now, and after a restart of the network
        host = dict(ET.fromstring(xml).attrib)
        if action == "delete":
            if host not in self.hosts:
                raise PlatformError("couldn't locate a matching dhcp host entry")
            self.hosts.remove(host)
        else:
            assert action == "add-last"
            if any(host[key] == other[key] for key in host for other in self.hosts):
                raise PlatformError("there is an existing dhcp host entry")
            self.hosts.append(host)
        self.updates.append(action)
        return ""


def network(monkeypatch: pytest.MonkeyPatch, *hosts: dict[str, str], exists: bool = True) -> Network:
    made = Network(hosts=[dict(host) for host in hosts], exists=exists)
    monkeypatch.setattr(reservation, "Virsh", made)
    return made


def test_a_node_gets_its_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = network(monkeypatch, OTHER)
    reservation.reserve(PROPS)
    reservation.reserve(PROPS)
    reservation.reserve({**PROPS, "mac": MAC.upper()})
    assert found.hosts == [OTHER, OURS]
    assert found.updates == ["add-last"]


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([{**OURS, "ip": "10.17.1.99"}], id="another address"),
        pytest.param([{**OURS, "mac": "52:54:00:00:00:99"}], id="another MAC"),
        pytest.param([{**OURS, "name": "demo-old-0"}], id="another name"),
        pytest.param(
            [
                {"mac": MAC, "name": "a", "ip": "10.17.1.97"},
                {"mac": "52:54:00:00:00:98", "name": NAME, "ip": "10.17.1.98"},
                {"mac": "52:54:00:00:00:99", "name": "c", "ip": IP},
            ],
            id="three that each share one thing",
        ),
    ],
)
def test_what_is_in_the_way_gives_way_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, before: list[dict[str, str]]
) -> None:
    found = network(monkeypatch, *before, OTHER)
    reservation.reserve(PROPS)
    assert found.hosts == [OTHER, OURS]


def test_a_reservation_is_taken_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = network(monkeypatch, OURS, OTHER)
    reservation.release(PROPS)
    reservation.release(PROPS)
    assert found.hosts == [OTHER]


def test_one_that_was_given_to_another_since_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = {**OURS, "ip": "10.17.1.99"}
    found = network(monkeypatch, newer)
    reservation.release(PROPS)
    assert found.hosts == [newer]


def test_a_network_that_is_gone_took_its_reservations_along(monkeypatch: pytest.MonkeyPatch) -> None:
    network(monkeypatch, exists=False)
    reservation.release(PROPS)
    with pytest.raises(PlatformError, match="Network not found"):
        reservation.reserve(PROPS)


def test_the_resource_from_its_first_day_to_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    found = network(monkeypatch)
    provider = reservation._Provider()
    made = provider.create({**PROPS, "__provider": "pickled"})
    assert (made.id, made.outs) == ("firestorm-demo/demo-worker-0", PROPS)
    assert found.hosts == [OURS]
    provider.delete(made.id, {**PROPS})
    assert found.hosts == []


@pytest.mark.parametrize("change", [{}, {"ip": "10.17.1.99"}, {"uri": "qemu:///system", "mac": "52:54:00:00:00:99"}])
def test_any_change_makes_it_anew_the_old_one_first(change: dict[str, Any]) -> None:
    result = reservation._Provider().diff("id", PROPS, {**PROPS, **change})
    assert (result.changes, result.replaces) == (bool(change), list(change))
    assert result.delete_before_replace
