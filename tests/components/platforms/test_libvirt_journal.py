"""The journal port: what libvirt is told of it, where its host end is, and that nothing else of it is in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from firestorm import Cluster, spec
from firestorm.platforms.libvirt.claim import holdings_of
from firestorm.platforms.libvirt.naming import LibvirtNames
from tests.components.platforms.test_libvirt_pool import transformed
from tests.components.pulumi_engine import start

# As the provider makes one: with the guest agent's channel, which no node has a use for.
DOMAIN = """<domain type='kvm'><name>demo-controller-0</name><features/><cpu/><devices>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<disk type='volume'><driver name='qemu' type='qcow2'/></disk>
</devices></domain>"""
HOME = "/var/lib/firestorm/clusters/demo/console"


def test_each_machine_has_a_port_to_named_pipes_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = start(monkeypatch, tmp_path)
    engine.run(lambda: Cluster("demo", {"name": "demo"}))
    for domain in engine.named("libvirt:index/domain:Domain").values():
        tree = transformed(DOMAIN, domain.inputs["xml"]["xslt"], tmp_path)
        [channel] = tree.findall("devices/channel")
        assert (channel.get("type"), channel.find("target").attrib, channel.find("source").attrib) == (  # type: ignore[union-attr]
            "pipe",
            {"type": "virtio", "name": "org.firestorm.journal.0"},
            {"path": f"{HOME}/{domain.inputs['name']}.journal"},
        )


def test_the_claim_owns_the_pipes_that_the_port_leads_to() -> None:
    cluster = spec.parse({"name": "demo"})
    names = LibvirtNames.of(cluster)
    holdings = holdings_of(cluster, names)
    assert holdings.pipes == tuple(
        f"{HOME}/{node}.journal.{end}" for node in ("demo-controller-0", "demo-worker-0") for end in ("in", "out")
    )
    assert not {*holdings.pipes} & {*holdings.files}
