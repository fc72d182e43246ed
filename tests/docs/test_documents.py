"""What README, docs and examples show is run, or held against what it speaks of."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import firestorm_butane
from firestorm import spec
from firestorm.node import preview_config
from firestorm.pki import request_for
from firestorm.pki.profiles import AUTHORITIES, leaf_profiles
from firestorm.pki.x509 import AUTHORITY_LIFETIME, LEAF_LIFETIME
from firestorm.releases.tables import os_families
from firestorm.render.files import CONTROL_PLANE
from firestorm.spec.document import DOCUMENT, ListOf, MapOf, Record, Type
from tests.components.node.node_configs import directories, files
from tests.components.pulumi_engine import start
from tests.docs.documents import (
    OTHERS,
    TREE,
    Block,
    all_blocks,
    anchors,
    blocks,
    documents,
    generated,
    links,
    regenerate,
)

LANGUAGES = {"python", "yaml", "sh", "text"}
GENERATORS = ("firestorm.spec.reference", "firestorm.releases.reference")
TARGETS = set(re.findall(r"^([a-z]+):.*## ", (TREE / "Makefile").read_text(), re.MULTILINE))


def name(document: Path) -> str:
    return str(document.relative_to(TREE))


each_document = pytest.mark.parametrize("document", documents(), ids=name)


def each_block(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", all_blocks(*languages), ids=lambda block: block.place)


def test_the_documents_are_there() -> None:
    names = {name(document) for document in documents()}
    wanted = ("ci", "cluster", "commands", "development", "images", "nodes", "security", "troubleshooting")
    assert {"README.md", "CHANGELOG.md", *(f"docs/{topic}.md" for topic in wanted)} <= names
    assert {f"examples/{example}/README.md" for example in ("ci", "dev", "stack", "butane")} <= names


@each_document
def test_every_block_has_a_language_that_is_checked(document: Path) -> None:
    if name(document) in OTHERS:
        assert (TREE / OTHERS[name(document)]).exists()
        return
    assert [block.place for block in blocks(document) if block.language not in LANGUAGES] == []
    fences = sum(line.startswith("```") for line in document.read_text().splitlines())
    assert fences == 2 * len(blocks(document))


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@each_document
def test_what_is_generated_is_current(document: Path) -> None:
    """FIRESTORM_RECORD_GOLDENS=1 writes it anew and fails."""
    kept = generated(document)
    assert set(kept) <= set(GENERATORS)
    texts = {
        module: subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, check=True).stdout
        for module in kept
    }
    if os.environ.get("FIRESTORM_RECORD_GOLDENS") and kept:
        regenerate(document, texts)
        pytest.fail(f"{document} was written anew: read it, then run again without FIRESTORM_RECORD_GOLDENS")
    assert kept == texts


def test_every_generator_is_shown() -> None:
    assert {module for document in documents() for module in generated(document)} == set(GENERATORS)


@each_block("python")
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = start(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    for other in blocks(TREE / block.document):
        if other.file and other.language != "text":
            (tmp_path / other.file).write_text(other.text)
    program = compile(block.text, block.place, "exec")
    engine.run(lambda: exec(program, {"__name__": "__main__"}))
    if "Cluster(" in block.text:
        assert len(engine.named("ClusterReadiness")) == 1
    assert engine.warnings == []


@each_block("yaml")
def test_yaml_is_a_cluster_or_butane(block: Block) -> None:
    document = yaml.safe_load(block.text)
    if "variant" in document:
        result = firestorm_butane.translate(block.text, name=block.place, strict=True)
        assert str(result.report) == ""
        return
    text = block.text if "name" in document else f"name: demo\n{block.text}"
    assert spec.loads(text, name=block.place).name


@each_block("text")
def test_text_is_a_picture_or_a_part_of_a_file(block: Block) -> None:
    if block.file:
        assert block.text in (TREE / block.file).read_text()
    else:
        assert re.search("[┌├]", block.text), f"{block.place}: say where it comes from"


def commands(block: Block) -> list[list[str]]:
    lines = [shlex.split(line, comments=True) for line in block.text.splitlines()]
    return [words for words in lines if words]


@each_block("sh")
def test_commands_are_those_that_there_are(block: Block) -> None:
    for words in commands(block):
        while "=" in words[0] and not words[0].startswith("-"):  # variables before the command
            words = words[1:]
        check = COMMANDS.get(words[0])
        assert check, f"{block.place}: {words[0]} is a command that no test knows"
        check(words[1:])


def check_make(words: list[str]) -> None:
    targets = [word for word in words if "=" not in word and not word.startswith("-")]
    assert set(targets) <= TARGETS, f"the Makefile has no {set(targets) - TARGETS}"
    makefile = (TREE / "Makefile").read_text()
    for variable, _, value in (word.partition("=") for word in words if "=" in word):
        assert f"$({variable})" in makefile
        if "/" in value:
            assert (TREE / value).exists()


def check_pulumi(words: list[str]) -> None:
    if words[:2] == ["config", "set"]:
        key = next(word for word in words[2:] if not word.startswith("-"))
        if key.startswith("firestorm:"):
            assert has_field(DOCUMENT, key.removeprefix("firestorm:")), f"no field {key}"
    else:
        assert words in (["up"], ["cancel"], ["refresh"], ["stack", "init", "dev"])


def has_field(kind: Type, path: str) -> bool:
    head, _, rest = re.sub(r"\[\d+\]", ".[]", path).partition(".")
    if isinstance(kind, Record):
        inner = next((field.type for field in kind.fields if field.name == head), None)
    elif isinstance(kind, ListOf):
        inner = kind.item if head == "[]" else None
    else:
        inner = kind if isinstance(kind, MapOf) else None
    return inner is not None and (not rest or has_field(inner, rest))


def check_python(words: list[str]) -> None:
    """Run where that changes nothing; else only ask whether the module takes these words."""
    if words[0] == "-m" and words[1] == "firestorm.platforms.libvirt.private":
        assert words[2] in ("start", "status", "stop")
        words = [*words[:2], words[2], "--help"]
    elif words[0] == "-m" and words[1] == "firestorm.spec.schema":
        return  # writes into the tree; tests/components/spec runs the same function
    subprocess.run([sys.executable, *words], cwd=TREE, check=True, capture_output=True, timeout=60)


def check_pytest(words: list[str]) -> None:
    assert [word for word in words if not (TREE / word).exists()] == []


def check_export(words: list[str]) -> None:
    assert words == ["KUBECONFIG=$(make", "-s", "kubeconfig)"]


def check_tail(words: list[str]) -> None:
    assert words == ["-f", console_of("dev", "dev-worker-0")]


def console_of(cluster: str, node: str) -> str:
    from firestorm.platforms.libvirt.naming import LibvirtNames

    return LibvirtNames.of(spec.parse({"name": cluster})).console(node)


def check_firestorm(words: list[str]) -> None:
    """Parsed by the real parser; files of the tree have to be there."""
    from firestorm.cli import separated
    from firestorm.commands.parser import parser

    given, command = separated(words)
    parser().parse_args(given)
    if command:
        COMMANDS[command[0]](command[1:])
    assert all((TREE / word).exists() for word in given if "/" in word)


def check_kubectl(words: list[str]) -> None:
    assert words == ["get", "nodes"]


COMMANDS = {
    "make": check_make,
    "pulumi": check_pulumi,
    "python": check_python,
    "pytest": check_pytest,
    "export": check_export,
    "firestorm": check_firestorm,
    "tail": check_tail,
    "kubectl": check_kubectl,
}


def test_the_checks_can_fail() -> None:
    with pytest.raises(AssertionError, match="has no"):
        check_make(["upp"])
    with pytest.raises(AssertionError, match="no field firestorm:workers"):
        check_pulumi(["config", "set", "--path", "firestorm:workers[0].cuont", "3"])
    assert has_field(DOCUMENT, "workers[0].os.name")
    assert not has_field(DOCUMENT, "os.name.first")


def test_the_makefile_calls_commands_that_the_lab_has() -> None:
    wanted = set(re.findall(r"\$\(LAB\) ([a-z]+)", (TREE / "Makefile").read_text()))
    said = subprocess.run(
        [sys.executable, "-m", "firestorm_lab", "--help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    known = set(re.findall(r"^ {4}([a-z]+)", said, re.MULTILINE))
    assert wanted - known == set()


def test_the_readme_names_every_task_of_its_first_block() -> None:
    first = next(block for block in blocks(TREE / "README.md") if block.language == "sh")
    assert [words[:2] for words in commands(first)] == [["make", "up"], ["make", "test"]]


def test_readiness_steps_are_those_in_the_table() -> None:
    """docs/troubleshooting.md: every step that a message can name."""
    from firestorm.readiness.console import STAGE_NAMES

    text = (TREE / "docs/troubleshooting.md").read_text()
    steps = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (`.+?) \|", text, re.MULTILINE))))
    stages = {step if step != "Ignition" else "Ignition (...)" for step in STAGE_NAMES.values() if step != "kubelet"}
    units = {"cni-plugins.service", "kubelet.service"}
    assert steps == stages | units | {"control plane", "images", "disk", "memory", "etcd", "node Ready", "system pods"}


def test_module_docstrings_show_programs_that_compile() -> None:
    import firestorm

    assert firestorm.__doc__ is not None
    shown = [
        line.removeprefix("    ") for line in firestorm.__doc__.splitlines() if line.startswith(("    ", "import"))
    ]
    compile("\n".join(shown), "firestorm.__doc__", "exec")
    assert any("Cluster(" in line for line in shown)


def test_paths_of_a_node_are_those_that_it_has() -> None:
    """docs/nodes.md and docs/security.md: each path in code is one that a controller gets, or is named here."""
    cluster = spec.parse({"name": "demo", "mirrors": {"registry.k8s.io": "https://registry.example"}})
    config = preview_config(cluster, cluster.controller_nodes[0])
    entries = [*files(config), *directories(config)]
    paths = {path for entry in entries for path in (entry, *map(str, Path(entry).parents))}
    paths |= {"/var/log/kubernetes/kube-apiserver/audit.log", "/usr/bin/runc", "/usr/bin/crun"}
    paths |= {path for family in os_families().values() for line in family.lines for path in line.writable}
    paths |= {"/livez", "/readyz", "/healthz"}  # of the API server
    unknown = set()
    for document in ("docs/nodes.md", "docs/security.md"):
        for path in re.findall(r"`(/[^`]+)`", (TREE / document).read_text()):
            plain = path.rstrip("/").replace("<registry>", "registry.k8s.io").replace("<component>", "kubelet")
            if plain not in paths:
                unknown.add(path)
    assert unknown == set()


def test_every_certificate_is_in_the_table() -> None:
    text = (TREE / "docs/security.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and line.count("|") == 4]
    named = {name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}
    kinds = {name.partition("/")[0] for name in leaf_profiles(request_for(spec.parse({"name": "demo"})))}
    assert kinds | set(AUTHORITIES) <= named
    assert (AUTHORITY_LIFETIME.days // 365, LEAF_LIFETIME.days) == (10, 365)
    for component in CONTROL_PLANE:
        assert f"{component.name} {component.uid}" in " ".join(text.split())
