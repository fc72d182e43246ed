"""Claims on a real libvirt: what is taken is refused, what is ours is swept, what is not stays."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import claim as claims
from firestorm.platforms.libvirt.sweep import Claim, Swept, claim_conflicts, is_local, sweep, sweep_strays
from firestorm.platforms.libvirt.virsh import Virsh
from tests.components.platforms.libvirt_place import domain_xml, network_xml

OURS = "firestorm:blue"


class Bench:
    """Defines things in the shared libvirt, and forgets them all at the end."""

    def __init__(self, virsh: Virsh, directory: Path) -> None:
        self.virsh = virsh
        self.home = directory / "clusters" / "blue"
        self.claim = Claim(
            description=OURS,
            domains=("blue-0", "blue-1"),
            networks=(("blue", "10.79.0.1"),),
            pool="blue",
            pool_path=str(self.home / "volumes"),
            files=(str(self.home / "console/blue-0.log"), str(self.home / "console/blue-1.log")),
            directories=(str(self.home / "console"), str(self.home), str(self.home.parent)),
        )
        self._definition = directory / "definition.xml"

    def _apply(self, command: str, xml: str) -> None:
        self._definition.write_text(xml)
        self.virsh.run(command, str(self._definition))

    def domain(self, name: str, description: str, *, start: bool = False) -> None:
        self._apply("define", domain_xml(name, description=description))
        if start:
            self.virsh.run("start", name)

    def network(self, name: str, prefix: str, *, start: bool = False) -> None:
        self._apply("net-define", network_xml(name, bridge=f"br-{name}", prefix=prefix))
        if start:
            self.virsh.run("net-start", name)

    def pool(self, name: str, path: Path, *volumes: str) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._apply("pool-define", f"<pool type='dir'><name>{name}</name><target><path>{path}</path></target></pool>")
        if volumes:
            self.virsh.run("pool-start", name)
        for volume in volumes:
            self.virsh.run("vol-create-as", name, volume, "1M", "--format", "qcow2")

    def console(self, name: str, text: str) -> Path:
        path = self.home / "console" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def all(self) -> dict[str, list[str]]:
        return {
            "domains": sorted(f"{domain.name} {domain.state}" for domain in self.virsh.domains()),
            "networks": sorted(network.name for network in self.virsh.networks()),
            "pools": sorted(pool.name for pool in self.virsh.pools()),
        }

    def clear(self) -> None:
        for domain in self.virsh.domains():
            if domain.active:
                self.virsh.destroy_domain(domain.name)
            self.virsh.undefine_domain(domain.name)
        for network in self.virsh.networks():
            if network.active:
                self.virsh.destroy_network(network.name)
            self.virsh.undefine_network(network.name)
        for pool in self.virsh.pools():
            if pool.active:
                self.virsh.destroy_pool(pool.name)
            self.virsh.undefine_pool(pool.name)


@pytest.fixture
def bench(virsh: Virsh, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(virsh, tmp_path)
    yield bench
    bench.clear()
    assert bench.all() == {"domains": [], "networks": [], "pools": []}


@pytest.mark.lab
def test_a_free_way(bench: Bench) -> None:
    bench.domain("green-0", "firestorm:green")
    bench.console("blue-0", "")  # as a run leaves it that is killed while it makes its claim
    assert claim_conflicts(bench.virsh.uri, bench.claim) == []


@pytest.mark.lab
def test_everything_that_is_taken_is_told(bench: Bench) -> None:
    bench.domain("blue-0", "")
    bench.domain("blue-1", OURS, start=True)
    bench.network("blue", "10.80.0")
    bench.network("green", "10.79.0")
    bench.pool("blue", bench.home / "elsewhere")
    bench.pool("green", bench.home / "volumes", "somebody.qcow2")
    console = bench.console("blue-1", "booting")
    uri = bench.virsh.uri
    assert claim_conflicts(uri, bench.claim) == [
        "a domain blue-1 exists already (running, described as 'firestorm:blue'): choose another cluster name, or "
        f"remove it with `virsh -c '{uri}' undefine --nvram blue-1`",
        "a domain blue-0 exists already (shut off, without a description): choose another cluster name, or "
        f"remove it with `virsh -c '{uri}' undefine --nvram blue-0`",
        f"a network blue exists already: choose another cluster name, or remove it with `virsh -c '{uri}' "
        "net-undefine blue`",
        "the network green has the address 10.79.0.1 of the cluster's own: choose another node network, or remove "
        "that one",
        f"a storage pool blue exists already: choose another cluster name, or remove it with `virsh -c '{uri}' "
        "pool-undefine blue`",
        f"the storage pool green uses {bench.home}/volumes already: remove it, or name another path",
        f"{bench.home}/volumes/somebody.qcow2 exists already: remove it if nobody needs it, or choose another cluster "
        "name",
        f"{console} exists already: remove it if nobody needs it, or choose another cluster name",
    ]


@pytest.mark.lab
def test_what_a_cluster_leaves_is_swept_and_nothing_else(bench: Bench, tmp_path: Path) -> None:
    bench.domain("blue-0", OURS, start=True)
    bench.domain("blue-1", OURS)  # as the provider leaves one that could not start
    bench.domain("green-0", "firestorm:green", start=True)
    bench.network("blue", "10.79.0", start=True)
    bench.network("green", "10.81.0")
    bench.pool("blue", bench.home / "volumes", "blue-0.qcow2", "two words.qcow2")
    bench.pool("green", tmp_path / "green", "green-0.qcow2")
    for name in ("blue-0", "green-0"):
        bench.console(name, "booting")

    swept = sweep(bench.virsh.uri, bench.claim)

    assert swept.kept == ()
    assert sorted(swept.removed) == sorted(
        [
            "domain blue-0",
            "domain blue-1",
            "network blue",
            "volume blue/blue-0.qcow2",
            "volume blue/two words.qcow2",
            "storage pool blue",
            f"file {bench.home}/console/blue-0.log",
            f"directory {bench.home}/volumes",
        ]
    )
    assert bench.all() == {"domains": ["green-0 running"], "networks": ["green"], "pools": ["green"]}
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*.*"))] == [
        "clusters/blue/console/green-0.log",
        "definition.xml",
        "green/green-0.qcow2",
    ]
    assert sweep(bench.virsh.uri, bench.claim) == Swept(removed=(), kept=())


@pytest.mark.lab
def test_files_of_a_pool_that_libvirt_forgot(bench: Bench, tmp_path: Path) -> None:
    bench.pool("blue", bench.home / "volumes", "blue-0.qcow2")
    bench.virsh.destroy_pool("blue")
    bench.virsh.undefine_pool("blue")
    assert sweep(bench.virsh.uri, bench.claim).removed == (
        f"file {bench.home}/volumes/blue-0.qcow2",
        f"directory {bench.home}/volumes",
        f"directory {bench.home}",
        f"directory {bench.home.parent}",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["definition.xml"]


@pytest.mark.lab
def test_a_stopped_pool_is_swept_with_its_volumes(bench: Bench) -> None:
    bench.pool("blue", bench.home / "volumes", "blue-0.qcow2")
    bench.virsh.destroy_pool("blue")
    assert sweep(bench.virsh.uri, bench.claim).removed[:2] == ("volume blue/blue-0.qcow2", "storage pool blue")
    bench.pool("blue", bench.home / "volumes")
    (bench.home / "volumes").rmdir()
    assert sweep(bench.virsh.uri, bench.claim).removed[:1] == ("storage pool blue",)


@pytest.mark.lab
def test_what_bears_our_names_but_is_not_ours_stays(bench: Bench, tmp_path: Path) -> None:
    bench.domain("blue-0", "firestorm:other", start=True)
    bench.network("blue", "10.82.0", start=True)
    bench.pool("blue", tmp_path / "theirs", "theirs.qcow2")
    (bench.home / "console" / "blue-0.log").mkdir(parents=True)
    before = bench.all()
    assert sweep(bench.virsh.uri, bench.claim) == Swept(
        removed=(),
        kept=(
            "domain blue-0: it is not this cluster's (described as 'firestorm:other')",
            "network blue: it is not this cluster's (its address: 10.82.0.1)",
            f"storage pool blue: it is not this cluster's (its path: {tmp_path}/theirs)",
            f"{bench.home}/console/blue-0.log: it is a directory, and none was made here",
        ),
    )
    assert bench.all() == before
    assert (tmp_path / "theirs" / "theirs.qcow2").exists()


@pytest.mark.lab
def test_strays_go_and_what_the_state_knows_stays(bench: Bench) -> None:
    bench.domain("blue-0", OURS, start=True)
    bench.domain("blue-1", OURS)
    bench.network("blue", "10.79.0", start=True)
    bench.pool("blue", bench.home / "volumes", "blue-0.qcow2", "blue-0.ign", "blue-1.qcow2")
    uuids = {item.name: item.uuid for item in bench.virsh.domains()}
    [network], [pool] = bench.virsh.networks(), bench.virsh.pools()
    volumes = bench.home / "volumes"
    known = [uuids["blue-0"], network.uuid, pool.uuid, f"{volumes}/blue-0.qcow2", f"{volumes}/blue-0.ign;0-1"]

    assert sweep_strays(bench.virsh.uri, bench.claim, known) == Swept(
        removed=("domain blue-1", "volume blue/blue-1.qcow2"), kept=()
    )
    assert bench.all() == {"domains": ["blue-0 running"], "networks": ["blue"], "pools": ["blue"]}
    assert sweep_strays(bench.virsh.uri, bench.claim, known) == Swept(removed=(), kept=())
    assert sweep_strays(bench.virsh.uri, bench.claim, []).removed == (
        "domain blue-0",
        "network blue",
        "volume blue/blue-0.ign",
        "volume blue/blue-0.qcow2",
        "storage pool blue",
    )


@pytest.mark.lab
def test_a_claim_from_its_first_day_to_its_last(bench: Bench, tmp_path: Path) -> None:
    props = claims.inputs_of(bench.virsh.uri, bench.claim)
    props["pipes"] = [str(bench.home / "console" / "blue-0.journal.in")]
    first = claims.claim({**props, "domains": ["blue-0"], "files": props["files"][:1]})
    assert sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "clusters").rglob("*")) == [
        "clusters/blue",
        "clusters/blue/console",
        "clusters/blue/console/blue-0.journal.in",
        "clusters/blue/console/blue-0.log",
    ]
    assert stat.filemode((bench.home / "console" / "blue-0.journal.in").stat().st_mode) == "prw-------"
    assert (bench.home / "console").stat().st_mode & 0o777 == 0o700
    assert bench.home.stat().st_mode & 0o777 == 0o711
    bench.console("blue-0", "booting")
    bench.domain("blue-0", OURS, start=True)
    bench.network("blue", "10.79.0", start=True)

    second = claims.extend(first, props)  # a machine more: what exists already is no conflict
    assert (bench.home / "console" / "blue-1.log").read_text() == ""
    bench.domain("blue-1", OURS)
    third = claims.extend(second, {**props, "domains": ["blue-0"], "files": props["files"][:1]})
    assert {key: third["owned"][key] for key in ("domains", "files")} == {
        "domains": ["blue-0", "blue-1"],
        "files": props["files"],
    }

    assert claims.release(third) == ()
    assert bench.all() == {"domains": [], "networks": [], "pools": []}
    assert [path.name for path in tmp_path.iterdir()] == ["definition.xml"]


@pytest.mark.lab
def test_a_claim_on_what_is_taken_makes_nothing(bench: Bench, tmp_path: Path) -> None:
    bench.domain("blue-0", "")
    with pytest.raises(PlatformError, match=r"^a domain blue-0 exists already") as caught:
        claims.claim(claims.inputs_of(bench.virsh.uri, bench.claim))
    assert len(str(caught.value).splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["definition.xml"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (False, [])),
        ({"domains": ["blue-0", "blue-1", "blue-2"]}, (True, [])),
        ({"files": ["/f"]}, (True, [])),
        ({"pipes": ["/p"]}, (True, [])),
        ({"networks": [["blue", "10.79.9.1"]]}, (True, [])),
        ({"uri": "qemu:///system"}, (True, ["uri"])),
        ({"description": "firestorm:red", "pool_path": "/p"}, (True, ["description", "pool_path"])),
    ],
)
def test_what_a_changed_claim_means(change: dict[str, Any], expected: tuple[bool, list[str]]) -> None:
    news = claims.inputs_of(
        "qemu+unix:///system?socket=/s", Claim(description=OURS, domains=("blue-0",), networks=(("blue", "10.79.0.1"),))
    )
    diff: Callable[[str, dict[str, Any], dict[str, Any]], Any] = claims._Provider().diff
    result = diff("id", {**news, "owned": {}}, {**news, **change})
    assert (result.changes, result.replaces) == expected


@pytest.mark.parametrize(
    ("uri", "local"),
    [
        ("qemu:///system", True),
        ("qemu+unix:///system?socket=/a", True),
        ("qemu+ssh://root@far/system", False),
        ("qemu+tcp://127.0.0.1:16509/system", False),
    ],
)
def test_which_libvirt_is_on_this_machine(uri: str, local: bool) -> None:
    assert is_local(uri) is local


def test_a_claim_from_before_there_were_pipes() -> None:
    props = claims.inputs_of("qemu:///system", Claim(description=OURS, files=("/f",)))
    del props["pipes"]
    assert claims.holdings_from(props) == Claim(description=OURS, files=("/f",))
