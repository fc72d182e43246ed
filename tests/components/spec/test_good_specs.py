"""Good specifications: defaults, units, inheritance, and what is computed of them."""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path

import pytest

from firestorm.errors import SpecError
from firestorm.spec import (
    Artifact,
    ClusterSpec,
    HostFacts,
    Libvirt,
    Mirror,
    Network,
    NodePool,
    OsImage,
    Snippet,
    Source,
    Taint,
    load,
    parse,
)

FLATCAR = OsImage(name="flatcar", channel="stable")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me@example"

EVERYTHING = """\
name: prod
kubernetes: {version: v1.35.8}
os: {name: fcos, channel: testing}
domain: example.internal
network: {nodes: 10.64.0.0/22, pods: 10.128.0.0/16, services: 172.30.0.0/16, domain: prod.local}
controllers:
  cpus: 4
  memory: 8GiB
  disk: 40
  labels: {team: blue}
  taints: []
  snippets: [snippets/motd.bu]
workers:
  - name: general
    count: 2
    memory: 3072
    block: 2
  - name: gpu
    os: {name: flatcar, version: 4757.1.0}
    labels: {example.com/gpu: "yes", node.kubernetes.io/pool: gpu}
    taints: [gpu=yes:NoExecute, {key: spot, effect: PreferNoSchedule}]
    snippets: [{name: motd, content: "{variant: flatcar, version: 1.0.0}"}]
platform:
  libvirt: {uri: qemu+ssh://root@host/system, acceleration: kvm, api_port: 16443, state_dir: /srv, disk_cache: unsafe}
mirrors: {https://dl.k8s.io: http://mirror.test/k8s, registry.k8s.io: http://mirror.test:5000}
artifacts:
  - {name: kubelet, url: http://mirror.test/kubelet, sha256: KUBELET}
ssh_authorized_keys: [SSHKEY]
pki_generation: 3
ready_timeout: 1h
"""


def test_only_the_name_is_required() -> None:
    assert parse({"name": "dev"}) == ClusterSpec(
        name="dev",
        kubernetes="1.36.4",
        network=Network(
            nodes=ipaddress.IPv4Network("10.17.0.0/20"),
            pods=ipaddress.IPv4Network("10.20.0.0/14"),
            services=ipaddress.IPv4Network("10.3.0.0/16"),
        ),
        controllers=NodePool(
            name="controller",
            role="controller",
            count=1,
            cpus=2,
            memory=2048,
            disk=20,
            os=FLATCAR,
            block=0,
            taints=(Taint(key="node-role.kubernetes.io/control-plane"),),
        ),
        workers=(NodePool(name="worker", role="worker", count=1, cpus=2, memory=2048, disk=20, os=FLATCAR, block=1),),
        platform=Libvirt(uri="qemu:///system"),
    )


def test_everything_at_once(tmp_path: Path) -> None:
    (tmp_path / "snippets").mkdir()
    (tmp_path / "snippets" / "motd.bu").write_text("variant: fcos\nversion: 1.6.0\n", encoding="utf-8")
    file = tmp_path / "cluster.yaml"
    file.write_text(EVERYTHING.replace("KUBELET", "AB" * 32).replace("SSHKEY", KEY), encoding="utf-8")
    fcos = OsImage(name="fcos", channel="testing")
    assert load(file) == ClusterSpec(
        name="prod",
        kubernetes="1.35.8",
        network=Network(
            nodes=ipaddress.IPv4Network("10.64.0.0/22"),
            pods=ipaddress.IPv4Network("10.128.0.0/16"),
            services=ipaddress.IPv4Network("172.30.0.0/16"),
            domain="prod.local",
        ),
        controllers=NodePool(
            name="controller",
            role="controller",
            count=1,
            cpus=4,
            memory=8192,
            disk=40,
            os=fcos,
            block=0,
            labels={"team": "blue"},
            snippets=(
                Snippet(
                    source="snippets/motd.bu",
                    content="variant: fcos\nversion: 1.6.0\n",
                    files_dir=str(tmp_path / "snippets"),
                ),
            ),
        ),
        workers=(
            NodePool(name="general", role="worker", count=2, cpus=2, memory=3072, disk=20, os=fcos, block=2),
            NodePool(
                name="gpu",
                role="worker",
                count=1,
                cpus=2,
                memory=2048,
                disk=20,
                os=OsImage(name="flatcar", channel="beta", version="4757.1.0"),
                block=1,
                labels={"example.com/gpu": "yes", "node.kubernetes.io/pool": "gpu"},
                taints=(
                    Taint(key="gpu", value="yes", effect="NoExecute"),
                    Taint(key="spot", effect="PreferNoSchedule"),
                ),
                snippets=(Snippet(source="motd", content="{variant: flatcar, version: 1.0.0}"),),
            ),
        ),
        platform=Libvirt(
            uri="qemu+ssh://root@host/system",
            acceleration="kvm",
            api_port=16443,
            state_dir="/srv",
            disk_cache="unsafe",
        ),
        domain="example.internal",
        mirrors=(
            Mirror(prefix="https://dl.k8s.io", url="http://mirror.test/k8s"),
            Mirror(prefix="registry.k8s.io", url="http://mirror.test:5000"),
        ),
        artifacts=(Artifact(name="kubelet", arch="amd64", url="http://mirror.test/kubelet", sha256="ab" * 32),),
        ssh_authorized_keys=(KEY,),
        pki_generation=3,
        ready_timeout=3600,
    )


def test_nodes_have_fixed_names_addresses_and_macs() -> None:
    spec = parse({"name": "dev", "workers": [{"name": "a", "count": 2}, {"name": "b"}]})
    assert [(node.name, node.role, str(node.address), node.mac) for node in spec.nodes] == [
        ("dev-controller-0", "controller", "10.17.0.10", "52:54:00:11:00:0a"),
        ("dev-a-0", "worker", "10.17.1.10", "52:54:00:11:01:0a"),
        ("dev-a-1", "worker", "10.17.1.11", "52:54:00:11:01:0b"),
        ("dev-b-0", "worker", "10.17.2.10", "52:54:00:11:02:0a"),
    ]


def test_a_named_block_keeps_a_pool_where_it_was() -> None:
    spec = parse({"name": "dev", "workers": [{"name": "b", "block": 2}, {"name": "c"}, {"name": "d"}]})
    assert {pool.name: pool.block for pool in spec.pools} == {"controller": 0, "b": 2, "c": 1, "d": 3}


def test_the_bridge_is_named_after_the_cluster() -> None:
    assert parse({"name": "dev"}).bridge == "fsef260e9a"


def test_the_own_bridge_is_no_foreign_network() -> None:
    host = HostFacts(routes=(("10.17.0.0/20", "fsef260e9a"), ("127.0.0.0/8", "lo"), ("0.0.0.0/0", "eth0")))
    assert parse({"name": "dev"}, host=host) == parse({"name": "dev"})


def test_null_means_the_default() -> None:
    assert parse({"name": "dev", "os": {"version": None}, "workers": None, "network": None}) == parse({"name": "dev"})


def test_a_cluster_without_workers() -> None:
    assert parse({"name": "dev", "workers": []}).workers == ()


@pytest.mark.parametrize(
    ("memory", "mebibytes"),
    [("2GiB", 2048), ("2Gi", 2048), ("3072MiB", 3072), ("3072 Mi", 3072), ("3072", 3072), (3072, 3072), (3072.0, 3072)],
)
def test_sizes(memory: object, mebibytes: int) -> None:
    assert parse({"name": "dev", "controllers": {"memory": memory}}).controllers.memory == mebibytes


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        ("disk", True),
        ("example.com/disk", True),
        ("notkubernetes.io/disk", True),
        ("topology.kubernetes.io/zone", True),
        ("node.kubernetes.io/anything", True),
        ("sub.node.kubernetes.io/anything", True),
        ("kubelet.kubernetes.io/anything", True),
        ("kubernetes.io/hostname", False),
        ("kubernetes.io/anything", False),
        ("node-role.kubernetes.io/control-plane", False),
        ("node-restriction.kubernetes.io/secure", False),
        ("topology.kubernetes.io/rack", False),
        ("k8s.io/anything", False),
        ("sub.k8s.io/anything", False),
    ],
)
def test_labels_that_a_kubelet_may_set(label: str, allowed: bool) -> None:
    """What NodeRestriction refuses is refused here, or the node would never join."""
    with contextlib.nullcontext() if allowed else pytest.raises(SpecError, match="kubelet"):
        assert parse({"name": "dev", "workers": [{"labels": {label: "x"}}]}).workers[0].labels == {label: "x"}


@pytest.mark.parametrize(
    ("cluster", "pool", "expected"),
    [
        pytest.param({}, {}, OsImage(name="flatcar", channel="stable"), id="default"),
        pytest.param(
            {"channel": "beta"}, {"arch": "amd64"}, OsImage(name="flatcar", channel="beta"), id="channel is inherited"
        ),
        pytest.param(
            {"version": "4593.2.5"},
            {"name": "flatcar"},
            OsImage(name="flatcar", channel="stable", version="4593.2.5"),
            id="version is inherited by the same system",
        ),
        pytest.param(
            {"version": "4593.2.5"},
            {"channel": "beta"},
            OsImage(name="flatcar", channel="beta"),
            id="another channel takes its newest",
        ),
        pytest.param(
            {"version": "4757.1.0"}, {"name": "fcos"}, OsImage(name="fcos", channel="stable"), id="another system"
        ),
        pytest.param(
            {},
            {"version": "4081.3.10"},
            OsImage(name="flatcar", channel="lts", version="4081.3.10"),
            id="a version tells its channel",
        ),
        pytest.param(
            {},
            {"version": "9999.2.0"},
            OsImage(name="flatcar", channel="stable", version="9999.2.0"),
            id="a version newer than the table",
        ),
    ],
)
def test_a_pools_system_is_the_clusters_but_for_what_it_says(
    cluster: dict[str, str], pool: dict[str, str], expected: OsImage
) -> None:
    assert parse({"name": "dev", "os": cluster, "workers": [{"os": pool}]}).workers[0].os == expected


def test_an_image_of_ones_own(tmp_path: Path) -> None:
    for name in ("image.qcow2", "vmlinuz", "initrd"):
        (tmp_path / name).touch()
    image = {
        "path": "image.qcow2",
        "sha256": "0A" * 32,
        "kernel": "vmlinuz",
        "initrd": str(tmp_path / "initrd"),
        "kernel_arguments": ["console=ttyS0"],
    }
    spec = parse(
        {"name": "dev", "os": {"name": "debian", "image": image}, "workers": [{"os": {"name": "flatcar"}}]},
        source=Source(directory=tmp_path),
    )
    assert spec.controllers.os == OsImage(
        name="debian",
        channel="trixie",
        path=str(tmp_path / "image.qcow2"),
        sha256="0a" * 32,
        kernel=str(tmp_path / "vmlinuz"),
        initrd=str(tmp_path / "initrd"),
        kernel_arguments=("console=ttyS0",),
    )
    assert spec.workers[0].os == FLATCAR


def test_a_patch_release_beyond_the_table_needs_its_kubelet() -> None:
    artifact = {"name": "kubelet", "url": "https://mirror.test/kubelet", "sha256": "0" * 64}
    spec = parse({"name": "dev", "kubernetes": {"version": "1.36.99"}, "artifacts": [artifact]})
    assert spec.kubernetes == "1.36.99"


def test_the_stand_in_takes_flatcars_snippets(tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").touch()
    snippet = {"name": "a", "content": "{variant: flatcar, version: 1.1.0}"}
    spec = parse(
        {
            "name": "dev",
            "os": {"name": "debian", "image": {"path": "disk.qcow2"}},
            "workers": [{"snippets": [snippet]}],
        },
        source=Source(directory=tmp_path),
    )
    assert spec.workers[0].snippets == (Snippet(source="a", content=snippet["content"]),)
