"""Who may reach a cluster's volumes: Ignition configs hold keys, and the provider lets everybody read their files."""

from __future__ import annotations

import grp
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firestorm import Cluster
from tests.components.pulumi_engine import start

DEBIAN, FEDORA = {"libvirt-qemu": 64055}, {"qemu": 107}
POOL = "<pool type='dir'><name>firestorm-demo</name><target><path>/volumes</path></target></pool>"


@pytest.mark.parametrize(
    ("platform", "groups", "mode", "group"),
    [
        pytest.param({"api_port": 6443}, DEBIAN, 0o700, 0, id="a private libvirt's QEMU is root"),
        pytest.param({}, DEBIAN, 0o710, 64055, id="the group that QEMU has on Debian may pass"),
        pytest.param({}, FEDORA, 0o710, 107, id="the group that QEMU has on Fedora may pass"),
        pytest.param({}, {}, 0o711, 0, id="unknown: everybody may pass, and root alone list"),
        pytest.param({"uri": "qemu+ssh://root@far/system"}, DEBIAN, 0o711, 0, id="another host has other groups"),
    ],
)
def test_only_qemu_reaches_the_volumes(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    platform: dict[str, Any],
    groups: dict[str, int],
    mode: int,
    group: int,
) -> None:
    monkeypatch.setattr(grp, "getgrnam", lambda name: SimpleNamespace(gr_gid=groups[name]))
    engine = start(monkeypatch, tmp_path)
    engine.run(lambda: Cluster("demo", {"name": "demo", "platform": {"libvirt": platform}}))  # type: ignore[typeddict-item]

    pool = transformed(POOL, engine.only("libvirt:index/pool:Pool").inputs["xml"]["xslt"], tmp_path)

    assert int(pool.findtext("target/permissions/mode", ""), 8) == mode
    assert pool.findtext("target/permissions/owner") == "0"
    assert pool.findtext("target/permissions/group") == str(group)
    assert pool.findtext("target/path") == "/volumes"


def transformed(xml: str, stylesheet: str, directory: Path) -> ET.Element:
    """What libvirt is given: the provider calls xsltproc in the same way."""
    program = shutil.which("xsltproc")
    assert program, "xsltproc is needed (Debian package xsltproc)"
    (directory / "pool.xsl").write_text(stylesheet)
    (directory / "pool.xml").write_text(xml)
    argv = [program, "--nomkdir", "--nonet", "--nowrite", "pool.xsl", "pool.xml"]
    return ET.fromstring(subprocess.check_output(argv, cwd=directory, timeout=20))
