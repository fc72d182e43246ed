"""Machines frozen together, on a real libvirt: paused for it, switched off, and begun again from there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import checkpoints, private
from firestorm.platforms.libvirt.virsh import Virsh
from tests.components.platforms.libvirt_place import Place, domain_xml

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]
DOMAINS = ("one", "two")


def run_guests(virsh: Virsh, directory: Path, kind: str) -> None:
    """Two machines that find nothing to boot on their disks of this `kind`."""
    for name in DOMAINS:
        disk = directory / f"{name}.{kind}"
        subprocess.run(["qemu-img", "create", "-q", "-f", kind, disk, "16M"], check=True, timeout=20)
        driver = f"<driver name='qemu' type='{kind}'/><source file='{disk}'/><target dev='vda' bus='virtio'/>"
        xml = domain_xml(name).replace("<devices>", f"<devices><disk type='file' device='disk'>{driver}</disk>")
        (directory / "definition.xml").write_text(xml)
        virsh.run("define", str(directory / "definition.xml"))
        virsh.run("start", name)


def states(virsh: Virsh) -> dict[str, str]:
    return {domain.name: domain.state for domain in virsh.domains()}


def test_they_go_on_from_there_also_after_libvirt_has_rested(place: Place, tmp_path: Path) -> None:
    virsh = Virsh(uri=place.start().uri)
    run_guests(virsh, tmp_path, "qcow2")
    assert not checkpoints.taken(virsh, DOMAINS)
    checkpoints.take(virsh, DOMAINS)
    assert checkpoints.taken(virsh, DOMAINS)
    assert states(virsh) == dict.fromkeys(DOMAINS, "running")
    virsh.destroy_domain("one")
    checkpoints.switch_off(virsh, DOMAINS)
    assert states(virsh) == dict.fromkeys(DOMAINS, "shut off")

    assert {line.split()[1] for line in private.rest(place.name, place.state_dir)} == {"libvirtd", "virtlogd"}
    found = private.status(place.name, place.state_dir)
    assert (found.exists, found.running) == (True, False)
    assert private.rest(place.name, place.state_dir) == ()
    assert place.start().uri == virsh.uri

    assert checkpoints.taken(virsh, DOMAINS)
    checkpoints.restore(virsh, DOMAINS)
    assert states(virsh) == dict.fromkeys(DOMAINS, "running")
    checkpoints.restore(virsh, DOMAINS)  # also of machines that run
    assert states(virsh) == dict.fromkeys(DOMAINS, "running")


def test_a_disk_that_cannot_hold_it_is_said_and_the_machines_go_on(place: Place, tmp_path: Path) -> None:
    virsh = Virsh(uri=place.start().uri)
    run_guests(virsh, tmp_path, "raw")
    with pytest.raises(PlatformError, match="snapshot"):
        checkpoints.take(virsh, DOMAINS)
    assert states(virsh) == dict.fromkeys(DOMAINS, "running")
    assert not checkpoints.taken(virsh, DOMAINS)
