"""Labels on libvirt objects: given by the stylesheets, read and changed by virsh."""

from __future__ import annotations

import shutil
import subprocess
import xml.etree.ElementTree as ET
from importlib import resources
from pathlib import Path

import pytest

from firestorm.platforms.libvirt import labels
from firestorm.platforms.libvirt.resources import _stylesheet
from firestorm.platforms.libvirt.virsh import Virsh
from tests.components.platforms.libvirt_place import domain_xml, network_xml

GIVEN = {"id": "4f", "owner": 'a "team" <a&b> {x}', "expires": "never"}
CHANGED = {"id": "4f", "expires": "2026-11-25T12:00:00+00:00", "note": "<ü>"}


def transformed(xml: str, stylesheet: str, directory: Path) -> str:
    """What libvirt is given: the provider calls xsltproc in the same way."""
    program = shutil.which("xsltproc")
    assert program, "xsltproc is needed (Debian package xsltproc)"
    (directory / "it.xsl").write_text(stylesheet)
    (directory / "it.xml").write_text(xml)
    argv = [program, "--nomkdir", "--nonet", "--nowrite", "it.xsl", "it.xml"]
    return subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=True, timeout=20).stdout


@pytest.mark.parametrize(
    ("name", "xml", "values"),
    [
        ("network.xsl", network_xml("n", bridge="b0"), {}),
        ("domain.xsl", domain_xml("d"), {"console": "/c", "journal": "/j", "cache": "none"}),
    ],
    ids=["network", "domain"],
)
def test_stylesheets_add_what_can_be_read(tmp_path: Path, name: str, xml: str, values: dict[str, str]) -> None:
    text = transformed(xml, _stylesheet(name, GIVEN, **values), tmp_path)
    assert labels.found(ET.fromstring(text)) == GIVEN
    bare = transformed(xml, _stylesheet(name, {}, **values), tmp_path)
    assert labels.found(ET.fromstring(bare)) == {}
    assert "metadata" not in bare
    assert "@metadata@" in (resources.files("firestorm.platforms.libvirt") / name).read_text()


def test_other_metadata_stays() -> None:
    tree = ET.fromstring(f'<d><metadata><x xmlns="urn:other"/>{labels.element(GIVEN)}</metadata></d>')
    text = labels.relabelled(tree, CHANGED)
    assert labels.found(ET.fromstring(text)) == CHANGED
    assert ET.fromstring(text).find("metadata/{urn:other}x") is not None
    assert labels.found(ET.fromstring(labels.relabelled(ET.fromstring("<d/>"), GIVEN))) == GIVEN


@pytest.mark.lab
def test_labels_of_a_domain_and_a_network(virsh: Virsh, tmp_path: Path) -> None:
    for command, xml in (
        ("net-define", network_xml("labelled", bridge="lab0", prefix="10.78.0")),
        ("define", domain_xml("labelled", description="firestorm:labelled")),
    ):
        path = tmp_path / f"{command}.xml"
        path.write_text(xml.replace("<name>", f"{labels.metadata(GIVEN)}<name>", 1))
        virsh.run(command, str(path))
    try:
        virsh.run("net-start", "labelled")
        [network] = [network for network in virsh.networks() if network.name == "labelled"]
        domain = virsh.domain("labelled")
        assert domain is not None
        assert (domain.labels, network.labels) == (GIVEN, GIVEN)
        virsh.label_domain("labelled", CHANGED)
        virsh.label_network("labelled", CHANGED)
        domain = virsh.domain("labelled")
        assert domain is not None
        assert domain.labels == CHANGED
        tree = ET.fromstring(virsh.run("net-dumpxml", "--inactive", "labelled"))
        assert labels.found(tree) == CHANGED
        assert next(net for net in virsh.networks() if net.name == "labelled").uuid == network.uuid
    finally:
        virsh.destroy_network("labelled")
        virsh.undefine_network("labelled")
        virsh.undefine_domain("labelled")
