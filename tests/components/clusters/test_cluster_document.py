"""A cluster's document, before the specification is read from it."""

from __future__ import annotations

import json
from pathlib import Path

from firestorm import spec
from firestorm.clusters import document


def test_paths_of_a_cluster_file_become_absolute(tmp_path: Path) -> None:
    whole = {
        "os": {"name": "flatcar", "image": {"path": "disk.img", "sha256": "0"}},
        "controllers": {"snippets": ["a.bu", {"path": "/b.bu"}, {"name": "c", "content": "d"}]},
        "workers": [{"name": "w", "os": {"image": {"kernel": "k", "initrd": "i"}}}],
    }
    before = json.dumps(whole)
    assert document.absolute(whole, tmp_path) == {
        "os": {"name": "flatcar", "image": {"path": f"{tmp_path}/disk.img", "sha256": "0"}},
        "controllers": {"snippets": [f"{tmp_path}/a.bu", {"path": "/b.bu"}, {"name": "c", "content": "d"}]},
        "workers": [{"name": "w", "os": {"image": {"kernel": f"{tmp_path}/k", "initrd": f"{tmp_path}/i"}}}],
    }
    assert json.dumps(whole) == before


def test_the_cluster_file_is_remembered(home: Path, tmp_path: Path) -> None:
    assert document.load(home, None) == ({}, None)
    path = tmp_path / "cluster.yaml"
    path.write_text("name: mine\nworkers: []\n")
    given, source = document.load(home, str(path))
    assert given == {"name": "mine", "workers": []}
    assert source is not None
    document.remember(home, source)
    assert document.load(home, None)[0] == given
    assert document.whole("dev", given) == {"name": "dev", "workers": []}
    assert given["name"] == "mine"


def test_a_source_without_a_file_is_not_remembered(home: Path) -> None:
    document.remember(home, spec.Source())
    assert not (home / "cluster-file").exists()
