"""The site file."""

from __future__ import annotations

from pathlib import Path

import pytest

from firestorm.clusters import site
from firestorm.clusters.site import Site
from firestorm.errors import SpecError

TEXT = """
cluster:
  os: {name: flatcar, image: {path: disk.img, sha256: "0"}}
  mirrors: {registry.k8s.io: "http://{address}:5000"}
  platform: {libvirt: {disk_cache: unsafe, state_dir: /srv}}
inside: [serve, --address, "{address}", --port=5000]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(TEXT)
    return path


def test_it_is_under_what_a_cluster_says(file: Path) -> None:
    found = site.parse_file(file)
    given = {"name": "dev", "mirrors": {"dl.k8s.io": "http://m"}, "platform": {"libvirt": {"state_dir": "/mine"}}}
    assert found.under(given, "10.0.0.1") == {
        "name": "dev",
        "os": {"name": "flatcar", "image": {"path": str(file.parent / "disk.img"), "sha256": "0"}},
        "mirrors": {"registry.k8s.io": "http://10.0.0.1:5000", "dl.k8s.io": "http://m"},
        "platform": {"libvirt": {"disk_cache": "unsafe", "state_dir": "/mine"}},
    }
    assert found.command("10.0.0.1") == ["serve", "--address", "10.0.0.1", "--port=5000"]


def test_another_os_has_nothing_of_the_sites(file: Path) -> None:
    found = site.parse_file(file)
    assert found.under({"os": {"name": "fcos"}}, "a")["os"] == {"name": "fcos"}
    image = {"path": str(file.parent / "disk.img"), "sha256": "0"}
    assert found.under({"os": {"channel": "beta"}}, "a")["os"] == {"name": "flatcar", "image": image, "channel": "beta"}


def test_where_it_is(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(site.VARIABLE, raising=False)
    assert site.load() == Site()
    place = tmp_path / "config" / "firestorm" / "site.yaml"
    place.parent.mkdir(parents=True)
    place.write_text("inside: [serve]\n")
    assert site.load() == Site(inside=("serve",))
    monkeypatch.setenv(site.VARIABLE, str(file))
    assert site.load() == site.parse_file(file)
    monkeypatch.setenv(site.VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(SpecError, match="cannot be read"):
        site.load()


def test_every_problem_at_once(file: Path) -> None:
    file.write_text("clusters: {}\ncluster: 5\ninside: serve --all\n")
    with pytest.raises(SpecError) as caught:
        site.parse_file(file)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{file}:1:1: clusters: is no field of a site file; use cluster or inside",
        f"{file}:2:1: cluster: must be a map; write fields of a cluster.yaml below it",
        f"{file}:3:1: inside: must be a list of words; write it like [serve, --quiet]",
    ]
