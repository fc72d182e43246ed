"""Bad specifications: every problem is found at once, and each message says where, what and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from firestorm.errors import SpecError
from firestorm.spec import HostFacts, loads, parse

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("bad_specs.yaml").read_text(encoding="utf-8"))

SNIPPETS = {
    "flatcar.bu": "variant: flatcar\nversion: 1.1.0\n",
    "fcos.bu": "variant: fcos\nversion: 1.7.0\n",
    "future.bu": "variant: flatcar\nversion: 1.9.0\n",
    "experimental.bu": "variant: flatcar\nversion: 1.2.0-experimental\n",
    "headless.bu": "storage: {}\n",
    "broken.bu": "variant: flatcar\nstorage: [\n",
}

HOST = HostFacts(
    routes=(
        ("0.0.0.0/0", "eth0"),
        ("192.168.178.0/24", "eth0"),
        ("10.17.0.0/20", "fsef260e9a"),  # the bridge of a cluster called dev
        ("10.99.0.0/16", "virbr7"),
    )
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the snippets that the bad files name."""
    for name, content in SNIPPETS.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_every_message(case: dict[str, Any], directory: Path) -> None:
    host = HOST if case.get("host") else None
    with pytest.raises(SpecError) as caught:
        loads(case["document"], name="cluster.yaml", directory=directory, host=host)
    assert str(caught.value).replace(str(directory), "DIRECTORY") + "\n" == case["expected"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_every_problem_says_where_and_what_to_do(case: dict[str, Any], directory: Path) -> None:
    with pytest.raises(SpecError) as caught:
        loads(case["document"], name="cluster.yaml", directory=directory, host=HOST)
    for problem in caught.value.problems:
        assert problem.location is not None
        assert problem.location.startswith("cluster.yaml")
        assert problem.text
        assert problem.text[-1] not in ".;"


def test_ids_are_unique() -> None:
    assert len({case["id"] for case in CASES}) == len(CASES)


def test_a_problem_without_a_file_has_no_location() -> None:
    with pytest.raises(SpecError) as caught:
        parse({"name": "dev", "controllers": {"cpus": 1}})
    assert [str(problem) for problem in caught.value.problems] == [
        "controllers.cpus: is 1; give at least 2: a control plane needs it"
    ]
    assert caught.value.problems[0].location is None


def test_a_source_can_be_a_name() -> None:
    with pytest.raises(SpecError, match=r"^Pulumi\.dev\.yaml: name: is missing"):
        parse({}, source="Pulumi.dev.yaml")
