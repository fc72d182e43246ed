"""Where Pulumi is taken from: a good one on PATH wins, an unfit one does not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from firestorm_lab import tools
from firestorm_lab.cache import Cache, Workspace

NAMES = ("pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-pulumi-python")


def programs(folder: Path, version: str, names: tuple[str, ...] = NAMES) -> None:
    folder.mkdir(parents=True)
    (folder / "pulumi").write_text(f"#!/bin/sh\necho {version}\n")
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
    for path in folder.iterdir():
        path.chmod(0o755)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """A cache that holds a finished provider and a finished bundle, on a machine that reaches no server."""
    store = Cache(root=tmp_path / "cache")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    monkeypatch.setattr("firestorm_lab.download.reachable", lambda url, timeout=0: False)

    def provider(workspace: Workspace) -> None:
        (workspace.out / "bin").mkdir()
        (workspace.out / "bin" / "pulumi-resource-libvirt").write_text("#!/bin/sh\n")

    store.ensure(tools.PROVIDER_MODULE.item(), provider)
    return store


@pytest.mark.parametrize("version", ["v3.200.0", "3.259.0", "v4.0.0-alpha.1"])
def test_a_recent_pulumi_on_path_is_used(
    store: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    programs(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin:/usr/local/go/bin")
    found = tools.ensure(store)
    assert (found.bin, found.origin["pulumi"]) == (tmp_path / "bin", "PATH")
    assert found.shell().splitlines() == [
        f'export PATH="{tmp_path}/bin:$PATH"',
        f'export PULUMI_HOME="{store.root}/pulumi-home"',
        "export PULUMI_SKIP_UPDATE_CHECK=true",
    ]


@pytest.mark.parametrize(
    ("version", "names"),
    [
        pytest.param("v3.199.9", NAMES, id="too old"),
        pytest.param("what?", NAMES, id="not a version"),
        pytest.param("v3.259.0", NAMES[:-1], id="without a helper"),
    ],
)
def test_an_unfit_one_is_passed_over(
    store: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, names: tuple[str, ...]
) -> None:
    bundle = store.ensure(tools.bundle_item(), lambda workspace: programs(workspace.out / "bin", "v3.259.0"))
    programs(tmp_path / "bin", version, names)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    found = tools.ensure(store)
    assert (found.bin, found.origin["pulumi"]) == (bundle / "bin", "cache (build)")


def test_the_caches_own_pulumi_on_path_is_no_other(store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = store.ensure(tools.bundle_item(), lambda workspace: programs(workspace.out / "bin", "v3.259.0"))
    monkeypatch.setenv("PATH", f"{bundle / 'bin'}:/usr/bin:/bin")
    assert tools.ensure(store).origin["pulumi"] == "cache (build)"


def test_the_provider_lies_where_pulumi_looks_and_follows_its_build(
    store: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(tmp_path / "bin", "v3.259.0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    target = store.root / "pulumi-home" / "plugins" / "resource-libvirt-v0.5.4" / "pulumi-resource-libvirt"
    target.parent.mkdir(parents=True)
    target.write_text("an older build")
    tools.ensure(store)
    built = store.path(tools.PROVIDER_MODULE.item()) / "bin" / "pulumi-resource-libvirt"
    assert target.samefile(built)
    assert sorted(path.name for path in target.parent.parent.iterdir()) == ["resource-libvirt-v0.5.4"]
