"""The fact tables: complete, well formed, each entry with its source."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from firestorm.errors import ReleaseError
from firestorm.releases import (
    OsFamily,
    OsLine,
    default_kubernetes,
    ignition_specs,
    kubernetes_minor,
    kubernetes_minors,
    kubernetes_versions,
    os_families,
    os_line,
)
from firestorm.releases.tables import checksum, cni_plugins, minor_of, numbers

LINES = [line for family in os_families().values() for line in family.lines]
SHA256 = re.compile(r"[0-9a-f]{64}")


def test_the_default_is_supported() -> None:
    assert default_kubernetes() in kubernetes_versions()


def test_three_minors_are_supported_newest_first() -> None:
    assert [minor.minor for minor in kubernetes_minors()] == ["1.36", "1.35", "1.34"]
    assert [version for version in kubernetes_versions() if minor_of(version) == "1.36"] == [
        "1.36.4",
        "1.36.3",
        "1.36.2",
        "1.36.1",
        "1.36.0",
    ]


def test_every_version_has_every_checksum_and_no_two_are_alike() -> None:
    sums = [
        checksum(file, version, arch)
        for version in kubernetes_versions()
        for file in ("kubelet", "kubectl")
        for arch in ("amd64", "arm64")
    ]
    sums += cni_plugins()[1].values()
    assert all(SHA256.fullmatch(value) for value in sums)
    assert len(set(sums)) == len(sums)


def test_every_version_has_its_minors_companions() -> None:
    for version in kubernetes_versions():
        minor = kubernetes_minor(version)
        assert numbers(version)[:2] == numbers(minor.minor)
        assert all(source.startswith("https://") for source in minor.source)


def test_an_unknown_minor_says_which_are_known() -> None:
    with pytest.raises(ReleaseError, match=r"^Kubernetes 1\.20\.0 is not in the release table, which knows 1\.36, "):
        kubernetes_minor("1.20.0")


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.name} {line.line}")
def test_a_line_is_consistent(line: OsLine) -> None:
    assert line.source
    for variant, version in line.butane.items():
        spec = ignition_specs()[variant][version]
        assert numbers(spec) <= numbers(line.ignition_spec)
        newer = [v for v, s in ignition_specs()[variant].items() if numbers(s) <= numbers(line.ignition_spec)]
        assert version == max(newer, key=numbers), "not the newest version that the line can read"
    assert {"/etc", "/opt", "/var"} <= set(line.writable)
    if line.release is not None:
        assert line.release.split(".")[0] == line.line


@pytest.mark.parametrize("family", os_families().values(), ids=lambda family: family.name)
def test_lines_stand_newest_first_and_serve_every_channel(family: OsFamily) -> None:
    assert all(numbers(newer.line) > numbers(older.line) for newer, older in pairwise(family.lines))
    for channel in family.channels:
        assert channel in os_line(family.name, channel, None).channels


@pytest.mark.parametrize(
    ("name", "channel", "version", "line"),
    [
        ("flatcar", "stable", None, "4593"),
        ("flatcar", "beta", None, "4757"),
        ("flatcar", "alpha", None, "4790"),
        ("flatcar", "lts", None, "4081"),
        ("flatcar", "stable", "4593.2.0", "4593"),
        ("flatcar", "beta", "4628.1.0", "4593"),
        ("flatcar", "stable", "9999.2.0", "4790"),
        ("fcos", "next", None, "44"),
        ("fcos", "stable", "43.20260101.3.0", "41"),
        ("fcos", "stable", "40.20241019.3.0", "40"),
        ("debian", "trixie", None, "13"),
    ],
)
def test_a_release_has_the_facts_of_its_line_or_of_the_one_before(
    name: str, channel: str, version: str | None, line: str
) -> None:
    assert os_line(name, channel, version).line == line


@pytest.mark.parametrize(
    ("name", "channel", "version", "message"),
    [
        ("plan9", "stable", None, "the operating system plan9 is unknown; known are flatcar, fcos, debian"),
        ("fcos", "beta", None, "Fedora CoreOS has no channel beta; it has stable, testing, next"),
        (
            "flatcar",
            "lts",
            "3510.3.0",
            "Flatcar 3510.3.0 is older than 4081, the oldest line in the release table",
        ),
    ],
)
def test_what_is_unknown_is_an_error(name: str, channel: str, version: str | None, message: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        os_line(name, channel, version)
    assert str(caught.value) == message


def test_the_facts_of_the_default_system() -> None:
    line = os_line("flatcar", "stable", None)
    assert (line.release, line.containerd, line.kernel, line.systemd, line.selinux) == (
        "4593.2.5",
        "2.1.5",
        "6.12.102",
        "257",
        "permissive",
    )
    assert (line.ignition, line.ignition_spec, line.butane_variant, line.butane_version) == (
        "2.24.0",
        "3.5.0",
        "flatcar",
        "1.1.0",
    )


def test_every_supported_containerd_runs_on_some_current_channel() -> None:
    """A Kubernetes that no default system can run would be useless."""
    for minor in kubernetes_minors():
        containerd = os_line("flatcar", "stable", None).containerd
        assert containerd is not None
        assert numbers(containerd) >= numbers(minor.containerd_minimum)
