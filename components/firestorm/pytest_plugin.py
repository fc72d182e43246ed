"""pytest: tests on a real cluster, which comes up when the first test asks for it and is gone after the last.

    def test_operator(firestorm_cluster, firestorm_namespace):
        firestorm_cluster.kubectl("apply", "-n", firestorm_namespace, "-f", "operator.yaml")

With pytest-xdist, all workers share one. The process that the user started keeps it: the next `firestorm gc` ends it if
that one is killed. See docs/ci.md.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from firestorm.clusters.shared import Shared
from firestorm.errors import FirestormError

if TYPE_CHECKING:
    from firestorm.clusters import RunningCluster

_SHARED: pytest.StashKey[Shared] = pytest.StashKey()
_COLLECTED: pytest.StashKey[list[str]] = pytest.StashKey()
_CLUSTER = "firestorm_cluster"
# Of `firestorm.clusters.environment`, which is not loaded for every pytest.
_REUSE, _ARTIFACTS = "FIRESTORM_CLUSTER", "FIRESTORM_ARTIFACTS"
_EVIDENCE = 3  # failed tests of a process for which evidence is collected; each takes seconds and megabytes
_GRACE = 120.0  # seconds for a namespace to go


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("firestorm", "a real Kubernetes cluster for tests")
    group.addoption("--firestorm-spec", metavar="FILE", type=Path, help="its cluster.yaml (default: one worker)")
    group.addoption(
        "--firestorm-keep",
        choices=("never", "on-failure", "always"),
        default="never",
        help="leave the cluster until its hour is over and gc runs (default: %(default)s)",
    )
    group.addoption(
        "--firestorm-artifacts",
        metavar="DIR",
        type=Path,
        default=Path(os.environ.get(_ARTIFACTS, "firestorm-artifacts")),
        help="where evidence of failures goes (default: that of `firestorm ci run`, else firestorm-artifacts)",
    )
    group.addoption(
        "--firestorm-reuse",
        metavar="NAME",
        default=os.environ.get(_REUSE),
        help="use this cluster, which is there and stays (default: the one that `firestorm ci run` has brought up)",
    )


def pytest_configure(config: pytest.Config) -> None:
    given: dict[str, Any] | None = getattr(config, "workerinput", None)  # an xdist worker's
    config.stash[_SHARED] = (
        Shared.from_json(given[_CLUSTER])
        if given is not None
        else Shared.new(
            spec=config.getoption("firestorm_spec"),
            keep=config.getoption("firestorm_keep"),
            artifacts=config.getoption("firestorm_artifacts"),
            reuse=config.getoption("firestorm_reuse"),
        )
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist's: what a new worker has to know."""
    node.workerinput[_CLUSTER] = node.config.stash[_SHARED].to_json()


@pytest.hookimpl(trylast=True)  # after xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if hasattr(session.config, "workerinput"):
        return
    failed, say = exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED), _teller(session.config)
    try:
        session.config.stash[_SHARED].end(say, failed=failed)
    except FirestormError as error:
        say(f"error: {error}; `firestorm gc` tries again")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    if report.failed and report.when in ("setup", "call") and _CLUSTER in getattr(item, "fixturenames", ()):
        _attach(item, report, call)
    return report


@pytest.fixture(scope="session")
def firestorm_cluster(request: pytest.FixtureRequest) -> RunningCluster:
    """A cluster that is up, the same for the whole session and all workers of xdist."""
    return request.config.stash[_SHARED].cluster(_teller(request.config))


@pytest.fixture
def firestorm_namespace(firestorm_cluster: RunningCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a namespace that is this test's alone, and is deleted after it with all that is in it."""
    stem = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-") or "test"
    name = f"{stem}-{secrets.token_hex(3)}"
    firestorm_cluster.kubectl("create", "namespace", name)
    yield name
    firestorm_cluster.kubectl("delete", "namespace", name, f"--timeout={_GRACE:.0f}s", timeout=_GRACE + 10)


def _attach(item: pytest.Item, report: Any, call: pytest.CallInfo[None]) -> None:
    """Evidence of the cluster to a failed test: its summary below the failure, its path among JUnit's properties."""
    shared, collected = item.config.stash[_SHARED], item.config.stash.setdefault(_COLLECTED, [])
    if len(collected) == _EVIDENCE:
        return
    error = call.excinfo.exconly() if call.excinfo is not None else None
    name = re.sub("[^A-Za-z0-9_.-]+", "-", item.nodeid).strip("-")
    summary = shared.collect(name, error, _teller(item.config))
    if summary is None:
        return
    collected.append(name)
    item.user_properties.append(("firestorm_evidence", str(summary.parent)))
    text = summary.read_text()
    if hasattr(report.longrepr, "addsection"):  # seen on the terminal and in JUnit's failure
        report.longrepr.addsection("evidence of the cluster", text)
    else:
        report.sections.append(("evidence of the cluster", text))


def _teller(config: pytest.Config) -> Callable[[str], None]:
    """Progress to the terminal, past pytest's capturing; a worker of xdist shares its standard error."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            print(f"firestorm: {line}", file=sys.stderr, flush=True)

    return say
