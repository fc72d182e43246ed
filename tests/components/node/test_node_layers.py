"""How layers are put together: a snippet's say, messages at their place, and the text a person reads."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from firestorm.errors import RenderError
from firestorm.node import Layer, compile_layers, preview_config
from firestorm.node.identity import PLACEHOLDER_TOKEN, node_layers
from firestorm.pki import Pki, request_for
from firestorm.spec.model import ClusterSpec
from tests.components.node.node_configs import MakeCluster, each_machine, files, node_of, text, units

GOLDENS = Path(__file__).parent / "goldens"
HEADER = "variant: flatcar\nversion: 1.1.0\n"


def snippet(cluster: MakeCluster, tmp_path: Path, content: str, name: str = "mine.bu") -> ClusterSpec:
    """A cluster whose worker has this snippet, written to a file."""
    file = tmp_path / name
    file.write_text(content)
    return cluster(workers=[{"snippets": [str(file)]}])


@each_machine
def test_a_snippet_is_merged_over_the_role(with_snippet: MakeCluster, system: str, role: str) -> None:
    spec = with_snippet(system)
    config = preview_config(spec, node_of(spec, role))
    assert text(config, "/etc/team/greeting") == "Hello\n"
    assert files(config)["/etc/team/note"]["mode"] == 0o600
    assert units(config)["greeting.service"]["enabled"] is True
    kubelet = units(config)["kubelet.service"]
    assert kubelet["dropins"] == [{"name": "50-team.conf", "contents": "[Service]\nEnvironment=TEAM=blue\n"}]
    assert kubelet["enabled"] is True
    assert kubelet["contents"].startswith("[Unit]\nDescription=kubelet")
    assert "team=blue" in text(config, "/etc/kubernetes/kubelet.env")


def test_a_snippet_can_replace_what_the_role_wrote(cluster: MakeCluster, tmp_path: Path) -> None:
    body = "storage: {files: [{path: /etc/sysctl.d/90-kubernetes.conf, mode: 0600, contents: {inline: 'a = 1'}}]}\n"
    spec = snippet(cluster, tmp_path, HEADER + body)
    config = preview_config(spec, node_of(spec, "worker"))
    assert text(config, "/etc/sysctl.d/90-kubernetes.conf") == "a = 1"
    assert files(config)["/etc/sysctl.d/90-kubernetes.conf"]["mode"] == 0o600
    assert "a = 1" not in text(preview_config(spec, node_of(spec, "controller")), "/etc/sysctl.d/90-kubernetes.conf")


def test_the_snippets_of_a_pool_are_merged_in_their_order(cluster: MakeCluster) -> None:
    def motd(content: str) -> dict[str, str]:
        body = f"storage: {{files: [{{path: /etc/motd, overwrite: true, contents: {{inline: {content}}}}}]}}\n"
        return {"name": content, "content": HEADER + body}

    spec = cluster(workers=[{"snippets": [motd("one"), motd("two")]}])
    assert text(preview_config(spec, node_of(spec, "worker")), "/etc/motd") == "two"


def test_a_mistake_in_a_snippet_is_told_at_its_own_place(cluster: MakeCluster, tmp_path: Path) -> None:
    spec = snippet(
        cluster,
        tmp_path,
        HEADER + "storage:\n  files:\n    - path: etc/motd\n" + "systemd:\n  units:\n    - name: nonsense\n",
    )
    with pytest.raises(RenderError) as caught:
        preview_config(spec, node_of(spec, "worker"))
    message = str(caught.value)
    places = re.findall(r"^(\S+): error: .*\((.+)\)$", message, re.MULTILINE)
    file = f"{tmp_path}/mine.bu"
    assert places == [(f"{file}:5:13", "$.storage.files.0.path"), (f"{file}:8:13", "$.systemd.units.0.name")]
    assert preview_config(spec, node_of(spec, "controller")).warnings == ()


def test_a_warning_about_a_snippet_is_handed_on(cluster: MakeCluster, tmp_path: Path) -> None:
    spec = snippet(cluster, tmp_path, HEADER + "storage: {filez: []}\n")
    (warning,) = preview_config(spec, node_of(spec, "worker")).warnings
    assert f"{tmp_path}/mine.bu:3:" in warning
    assert "filez" in warning


def test_every_layer_is_compiled_before_any_problem_is_told() -> None:
    layers = [
        Layer(name="one.bu", content=HEADER + "storage: {files: [{path: relative}]}\n"),
        Layer(name="two.bu", content=HEADER),
        Layer(name="three.bu", content=HEADER + "systemd: {units: [{name: nonsense}]}\n"),
    ]
    with pytest.raises(RenderError) as caught:
        compile_layers(layers)
    assert ["one.bu:3:" in str(caught.value), "two.bu" in str(caught.value), "three.bu:3:" in str(caught.value)] == [
        True,
        False,
        True,
    ]


def test_what_is_wrong_only_once_merged_names_the_layers() -> None:
    """Each is a config by itself; together, a file lies below a symbolic link, which Ignition refuses."""
    layers = [
        Layer(name="one.bu", content=HEADER + "storage: {files: [{path: /etc/a/b, contents: {inline: x}}]}\n"),
        Layer(name="two.bu", content=HEADER + "storage: {links: [{path: /etc/a, target: /x}]}\n"),
        Layer(name="three.bu", content=HEADER),
    ]
    with pytest.raises(RenderError, match=r"one\.bu, two\.bu, three\.bu"):
        compile_layers(layers)


def test_a_person_can_read_what_is_rendered(cluster: MakeCluster) -> None:
    """The stand-in's worker, whole. FIRESTORM_RECORD_GOLDENS=1 writes it anew and fails."""
    spec = cluster(
        mirrors={"registry.k8s.io": "http://10.17.0.1:5000"},
        workers=[{"labels": {"team": "blue"}, "taints": ["gpu=yes:NoSchedule"]}],
    )
    layers = node_layers(spec, node_of(spec, "worker"), Pki.placeholder(request_for(spec)), PLACEHOLDER_TOKEN)
    rendered = layers[-1]
    assert rendered.name == "demo-worker-0 (rendered)"
    # No text is folded into quotes, no mode is a decimal number.
    assert "\\n" not in rendered.content
    assert set(re.findall(r"^ {4}mode: (.+)$", rendered.content, re.MULTILINE)) == {"0400", "0644", "0700", "0755"}

    golden = GOLDENS / "debian-worker.bu"
    if os.environ.get("FIRESTORM_RECORD_GOLDENS"):
        golden.write_text(rendered.content)
        pytest.fail(f"{golden} was recorded: read it, then run again without FIRESTORM_RECORD_GOLDENS")
    assert rendered.content == golden.read_text()


def test_a_newer_snippet_is_not_undone_by_an_older_one(cluster: MakeCluster) -> None:
    """Butane fcos 1.7.0 is Ignition spec 3.6.0, 1.5.0 is 3.4.0: the config needs the newest of them."""

    def snippet(version: str, body: str) -> dict[str, str]:
        return {"name": f"{version}.bu", "content": f"variant: fcos\nversion: {version}\nstorage: {body}\n"}

    encrypted = "{luks: [{name: data, device: /dev/vdb, cex: {enabled: true}}]}"
    spec = cluster(
        "fcos", workers=[{"snippets": [snippet("1.7.0", encrypted), snippet("1.5.0", "{files: [{path: /etc/x}]}")]}]
    )
    config = preview_config(spec, node_of(spec, "worker"))
    assert config.ignition["ignition"] == {"version": "3.6.0"}
