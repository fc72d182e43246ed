"""The Cluster component before an engine of mocks: what it declares, in which order, and what it keeps secret."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.provider.experimental.analyzer import Analyzer

from firestorm import Cluster, ClusterArgs
from firestorm.config import args_from_config
from tests.components.pulumi_engine import Engine, start

SNIPPET = "variant: flatcar\nversion: 1.1.0\nstorage: {files: [{path: /etc/motd, contents: {inline: Hello}}]}\n"
ARGS: ClusterArgs = {
    "name": "demo",
    "workers": [
        {"name": "worker", "count": 2, "snippets": [{"name": "motd.bu", "content": SNIPPET}]},
        {"name": "large", "memory": "8GiB", "cpus": 4},
    ],
}
NODES = ["demo-controller-0", "demo-worker-0", "demo-worker-1", "demo-large-0"]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    return start(monkeypatch, tmp_path)


@pytest.fixture
def demo(engine: Engine) -> Engine:
    """The engine after the program that declares ARGS."""

    def program() -> None:
        cluster = Cluster("demo", ARGS)
        for name in ("kubeconfig", "api_address", "nodes", "expires", "seconds"):
            pulumi.export(name, getattr(cluster, name))

    engine.run(program)
    return engine


def test_everything_that_a_cluster_is_made_of(demo: Engine) -> None:
    volumes = {f"demo-{pool}-base" for pool in ("controller", "worker", "large")} | {f"{name}-root" for name in NODES}
    expected = {
        "firestorm:index:Cluster": {"demo"},
        "ClusterPki": {"demo-pki"},
        "BootstrapToken": {"demo-bootstrap-token"},
        "SealedConfig": {f"{name}-config" for name in NODES},
        "LibvirtClaim": {"demo-claim"},
        "Reservation": {f"{name}-address" for name in NODES},
        "pulumi:providers:libvirt": {"demo-libvirt"},
        "libvirt:index/pool:Pool": {"demo-pool"},
        "libvirt:index/network:Network": {"demo-network"},
        "libvirt:index/volume:Volume": volumes,
        "libvirt:index/ignition:Ignition": {f"{name}-ignition" for name in NODES},
        "libvirt:index/domain:Domain": set(NODES),
        "ClusterReadiness": {"demo-ready"},
    }
    assert {kind: set(demo.named(kind)) for kind in expected} == expected
    declared = [item for item in demo.resources if item.type != "pulumi:pulumi:Stack"]
    assert len(declared) == sum(map(len, expected.values()))
    assert {item.name for item in declared if item.parent != "demo"} == {"demo"}


def test_nothing_of_libvirt_comes_before_the_claim(demo: Engine) -> None:
    """The claim refuses names that are taken and, deleted last, sweeps what a killed run left."""
    ours = [item for item in demo.resources if item.type.startswith(("libvirt:", "pulumi:providers:libvirt"))]
    assert len(ours) == 2 + 1 + 7 + 4 + 4
    assert [item.name for item in ours if "demo-claim" not in item.dependencies] == []
    assert demo.only("LibvirtClaim").dependencies == frozenset()


def test_readiness_waits_for_every_machine(demo: Engine) -> None:
    ready = demo.only("ClusterReadiness")
    assert set(NODES) <= ready.dependencies
    assert [node["name"] for node in ready.inputs["nodes"]] == NODES
    assert ready.inputs["timeout"] == 1800


def test_volumes_are_named_by_the_identity_that_readiness_knows(demo: Engine) -> None:
    identities = {node["name"]: node["identity"] for node in demo.only("ClusterReadiness").inputs["nodes"]}
    volumes = demo.named("libvirt:index/volume:Volume")
    ignitions = demo.named("libvirt:index/ignition:Ignition")
    for name in NODES:
        assert volumes[f"{name}-root"].inputs["name"] == f"{name}-{identities[name][:12]}.qcow2"
        assert ignitions[f"{name}-ignition"].inputs["name"] == f"{name}-{identities[name][:12]}.ign"
    assert len(set(identities.values())) == 4


def test_every_node_has_its_own_address_in_the_clusters_network(demo: Engine) -> None:
    addresses = {name: item.inputs for name, item in demo.named("Reservation").items()}
    assert addresses["demo-worker-1-address"]["name"] == "demo-worker-1"
    assert addresses["demo-worker-1-address"]["ip"] == "10.17.1.11"
    machines = demo.named("libvirt:index/domain:Domain")
    for name in NODES:
        (interface,) = machines[name].inputs["networkInterfaces"]
        assert interface["mac"].lower() == addresses[f"{name}-address"]["mac"]
        assert addresses[f"{name}-address"]["network"] == interface["networkName"] == "firestorm-demo"


def test_what_holds_keys_is_a_secret(demo: Engine) -> None:
    assert demo.only("ClusterPki").secret_outputs == {"bundle"}
    assert demo.only("BootstrapToken").secret_outputs == {"token"}
    ready = demo.only("ClusterReadiness")
    assert {"kubeconfig", "manifests"} <= ready.secrets
    for name in NODES:
        assert "content" in demo.named("SealedConfig")[f"{name}-config"].secrets
        ignition = demo.named("libvirt:index/ignition:Ignition")[f"{name}-ignition"]
        assert "content" in ignition.secrets
        assert "content" in ignition.secret_outputs


def test_no_key_is_registered_in_the_clear(demo: Engine) -> None:
    leaking = []
    for item in demo.resources:
        plain = {name: value for name, value in item.inputs.items() if name not in item.secrets}
        if "PRIVATE KEY" in str(plain) or "client-key-data" in str(plain):
            leaking.append(item.name)
    assert leaking == []
    # The question finds keys where they are, as secrets, so it can be answered with yes.
    assert "client-key-data" in str(demo.only("ClusterReadiness").inputs)


def test_the_outputs(demo: Engine) -> None:
    seen: dict[str, Any] = {}

    def program() -> None:
        for name in demo.exports:
            demo.exports[name].apply(lambda value, name=name: seen.__setitem__(name, value))

    demo.run(program)
    assert set(seen) == {"kubeconfig", "api_address", "nodes", "expires", "seconds"}
    kubeconfig = yaml.safe_load(seen["kubeconfig"])
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://10.17.0.10:6443" == seen["api_address"]
    assert [node["name"] for node in seen["nodes"]] == NODES
    assert {"admin", "ca/kubernetes", "ca/etcd", "ca/front-proxy"} <= seen["expires"].keys()
    assert demo.infos == ["machines run under tcg"]
    assert demo.warnings == []


def test_all_that_is_wrong_is_said_before_any_resource_exists(engine: Engine) -> None:
    wrong: Any = {"name": "Demo!", "workers": [{"count": -1}, {"name": "b", "memory": "64MiB"}], "wrokers": []}
    with pytest.raises(pulumi.RunError) as caught:
        engine.run(lambda: Cluster("demo", wrong))
    message = str(caught.value)
    assert [line.split(":")[0] for line in message.splitlines()] == [
        "name",
        "workers[0].count",
        "workers[1].memory",
        "wrokers",
    ]
    assert [item.name for item in engine.resources] == []


def test_a_snippet_that_does_not_compile_is_said_before_any_resource_exists(engine: Engine) -> None:
    broken = "variant: flatcar\nversion: 1.1.0\nstorage: {files: [{path: motd}]}\n"
    args: ClusterArgs = {
        "name": "demo",
        "controllers": {"snippets": [{"name": "one.bu", "content": broken}]},
        "workers": [{"snippets": [{"name": "two.bu", "content": broken}]}],
    }
    with pytest.raises(pulumi.RunError) as caught:
        engine.run(lambda: Cluster("demo", args))
    assert "demo-controller-0:\none.bu:3:26: error" in str(caught.value)
    assert "demo-worker-0:\ntwo.bu:3:26: error" in str(caught.value)
    assert [item.name for item in engine.resources] == []


@pytest.mark.parametrize("platform", [None, "libvirt", [], {"libvirt": None}, {"libvirt": "qemu:///system"}])
def test_a_platform_of_a_wrong_form_is_no_traceback(engine: Engine, platform: Any) -> None:
    args: Any = {"name": "demo", "platform": platform}
    if platform is None or platform == {"libvirt": None}:  # null is the default
        engine.run(lambda: Cluster("demo", args))
        assert "demo-ready" in engine.named("ClusterReadiness")
    else:
        with pytest.raises(pulumi.RunError, match="platform"):
            engine.run(lambda: Cluster("demo", args))


def test_a_warning_about_a_snippet_is_said_once(engine: Engine) -> None:
    snippet = {"name": "motd.bu", "content": "variant: flatcar\nversion: 1.1.0\nstorage: {filez: []}\n"}
    args: Any = {"name": "demo", "workers": [{"count": 3, "snippets": [snippet]}]}
    engine.run(lambda: Cluster("demo", args))
    assert len(engine.warnings) == 1
    assert "motd.bu:3:" in engine.warnings[0]


def test_configuration_is_the_same_document(engine: Engine) -> None:
    pulumi.runtime.set_all_config(
        {"firestorm:workers": '[{"name": "big", "count": 2}]', "firestorm:pki_generation": "3"}
    )
    try:
        args = args_from_config(pulumi.Config("firestorm"), name="dev")
    finally:
        pulumi.runtime.set_all_config({})
    assert args == {"name": "dev", "workers": [{"name": "big", "count": 2}], "pki_generation": 3}


def test_pulumis_analyzer_can_serve_the_component() -> None:
    """As tests/components/spec/test_args_for_pulumi.py, with the component itself."""
    assert list(inspect.signature(Cluster.__init__).parameters) == ["self", "name", "args", "opts"]
    analyzed = Analyzer("firestorm").analyze([Cluster])
    definition = analyzed["component_definitions"]["Cluster"]
    assert {name for name, inputs in definition.inputs.items() if not inputs.optional} == {"name"}
    assert set(definition.outputs) == {"kubeconfig", "apiAddress", "nodes", "expires", "seconds"}
