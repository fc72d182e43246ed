"""The pytest plugin, by pytest's own pytester, on clusters whose Pulumi is a program of the tests'."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from firestorm.clusters import Clusters
from tests.components.clusters.standing_in import COMPONENTS, LAB, OUTPUTS, SPEC, refuse, wait_for

# A kubectl that writes down what it was told, and of which a test may want that it fails.
KUBECTL = """\
#!/bin/sh
shift
echo "$@" >>{log}
[ "$1 $2" != "{fails}" ]
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "kubectl.log"


@pytest.fixture
def project(home: Path, log: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of tests, with a cluster.yaml."""
    home.rmdir()
    monkeypatch.setenv("OUTPUTS", json.dumps(OUTPUTS))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (COMPONENTS, LAB))))
    monkeypatch.setenv("FIRESTORM_KUBECTL", str(kubectl(log)))
    for variable in ("FIRESTORM_CLUSTER", "FIRESTORM_ARTIFACTS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(pytester.path)
    (pytester.path / "cluster.yaml").write_text(SPEC)
    return pytester


def kubectl(log: Path, fails: str = "never this") -> Path:
    program = log.with_name("kubectl")
    program.write_text(KUBECTL.format(log=log, fails=fails))
    program.chmod(0o755)
    return program


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    return project.runpytest_subprocess("--firestorm-spec", "cluster.yaml", "-p", "no:cacheprovider", *options)


TWO = """
    def test_one(firestorm_cluster, firestorm_namespace):
        firestorm_cluster.kubectl("apply", "-n", firestorm_namespace)

    def test_two(firestorm_cluster, firestorm_namespace):
        firestorm_cluster.kubectl("apply", "-n", firestorm_namespace)
"""


def test_tests_that_need_no_cluster_make_none(project: pytest.Pytester) -> None:
    project.makepyfile("def test_it(): pass")
    run(project).assert_outcomes(passed=1)
    left_nothing()


def test_a_cluster_for_the_session_and_a_namespace_for_each_test(project: pytest.Pytester, log: Path) -> None:
    project.makepyfile(TWO)
    done = run(project)
    done.assert_outcomes(passed=2)
    words = [line.split() for line in log.read_text().splitlines()]
    assert [line[:2] for line in words] == 2 * [["create", "namespace"], ["apply", "-n"], ["delete", "namespace"]]
    first, second = words[0][2], words[3][2]
    assert first.startswith("test-one-")
    assert second.startswith("test-two-")
    assert [line[2] for line in words] == [first] * 3 + [second] * 3
    done.stderr.fnmatch_lines(["firestorm: bringing up the cluster ci-*", "firestorm: ending the cluster ci-*"])
    left_nothing()


def left_nothing() -> None:
    assert Clusters().list() == ()
    assert list(Clusters().home.iterdir()) == []


@pytest.mark.parametrize("workers", ["0", "2"])
def test_workers_of_xdist_share_one_cluster(project: pytest.Pytester, tmp_path: Path, workers: str) -> None:
    project.makepyfile(
        f"""
        import pytest, time
        from pathlib import Path

        @pytest.mark.parametrize("index", range(4))
        def test_it(firestorm_cluster, index, worker_id):
            time.sleep(0.2)
            path = Path({str(tmp_path)!r}, f"seen-{{index}}")
            path.write_text(f"{{worker_id}} {{firestorm_cluster.id}} {{firestorm_cluster.name}}")
            (path.parent / "calls").write_text((firestorm_cluster.kubeconfig.parent / "calls").read_text())
        """
    )
    run(project, "-n", workers).assert_outcomes(passed=4)
    seen = [path.read_text().split() for path in tmp_path.glob("seen-*")]
    assert len({worker for worker, *_ in seen}) == (2 if workers == "2" else 1)
    assert len({(id_, name) for _, id_, name in seen}) == 1
    assert (tmp_path / "calls").read_text().splitlines().count("up") == 1
    left_nothing()


def test_a_failed_test_has_evidence(project: pytest.Pytester) -> None:
    project.makepyfile("def test_it(firestorm_cluster): assert firestorm_cluster.name == 'other'")
    done = run(project, "--junitxml", "junit.xml", "--firestorm-artifacts", "artifacts")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*evidence of the cluster*", "# Cluster ci-*"])
    [directory] = (project.path / "artifacts").iterdir()
    assert directory.name.endswith("test_it")
    assert (directory / "summary.md").exists()
    [case] = ET.parse(project.path / "junit.xml").getroot().iter("testcase")
    [found] = case.iter("property")
    assert found.attrib == {"name": "firestorm_evidence", "value": str(directory)}
    [failure] = case.iter("failure")
    assert "# Cluster ci-" in (failure.text or "")
    left_nothing()


def test_evidence_of_an_earlier_run_is_not_taken_for_this_ones(project: pytest.Pytester) -> None:
    earlier = project.path / "firestorm-artifacts" / "up" / "summary.md"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("# of an earlier run\n")
    project.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken(firestorm_cluster): raise ValueError

        def test_it(broken): pass
        """
    )
    done = run(project)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*evidence of the cluster*", "# Cluster ci-*"])
    done.stdout.no_fnmatch_line("*of an earlier run*")


def test_evidence_has_its_limit_and_tests_without_the_cluster_have_none(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("index", range(5))
        def test_it(firestorm_cluster, index): raise ValueError

        def test_other(): raise ValueError
        """
    )
    run(project).assert_outcomes(failed=6)
    names = [path.name for path in (project.path / "firestorm-artifacts").iterdir()]
    assert len(names) == 3
    assert not any("other" in name for name in names)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_cluster_that_does_not_come_up_fails_every_test_at_once(
    project: pytest.Pytester, tmp_path: Path, workers: str
) -> None:
    program = refuse(tmp_path, "up")
    program.write_text(program.read_text().replace('(home / "calls")', f"Path({str(tmp_path / 'calls')!r})"))
    project.makepyfile(TWO)
    done = run(project, "-n", workers)
    done.assert_outcomes(errors=2)
    done.stdout.fnmatch_lines(["*it does not want to*"])
    assert (tmp_path / "calls").read_text().splitlines().count("up") == 1
    assert (project.path / "firestorm-artifacts" / "up" / "summary.md").exists()
    left_nothing()


@pytest.mark.parametrize(
    ("keep", "passes", "left"), [("always", True, 1), ("on-failure", True, 0), ("on-failure", False, 1)]
)
def test_it_may_be_kept(project: pytest.Pytester, keep: str, passes: bool, left: int) -> None:
    project.makepyfile(f"def test_it(firestorm_cluster): assert {passes}")
    done = run(project, "--firestorm-keep", keep)
    clusters = Clusters()
    assert len(clusters.list()) == left
    for record in clusters.list():
        assert record.keeper is None
        done.stderr.fnmatch_lines([f"*`firestorm down {record.name}` ends it"])
        clusters.down(record.name)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_one_that_is_there_is_used_and_stays(
    project: pytest.Pytester, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clusters = Clusters()
    clusters.up(project.path / "cluster.yaml", name="mine")
    monkeypatch.setenv("FIRESTORM_CLUSTER", "mine" if by == "environment" else "other")
    project.makepyfile("def test_it(firestorm_cluster): assert firestorm_cluster.name == 'mine'")
    run(project, *(["--firestorm-reuse", "mine"] if by == "option" else [])).assert_outcomes(passed=1)
    assert [record.name for record in clusters.list()] == ["mine"]
    clusters.down("mine")


def test_one_that_is_to_be_used_and_is_not_there(project: pytest.Pytester) -> None:
    project.makepyfile("def test_it(firestorm_cluster): pass")
    done = run(project, "--firestorm-reuse", "mine")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*there is no cluster mine; there are: none"])


def test_a_namespace_that_does_not_go_is_an_error(project: pytest.Pytester, log: Path) -> None:
    kubectl(log, fails="delete namespace")
    project.makepyfile("def test_it(firestorm_namespace): pass")
    run(project).assert_outcomes(passed=1, errors=1)
    left_nothing()


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended(project: pytest.Pytester, tmp_path: Path, number: signal.Signals, workers: str) -> None:
    project.makepyfile(
        f"""
        import time
        from pathlib import Path

        def test_it(firestorm_cluster):
            Path({str(tmp_path / "within")!r}).touch()
            time.sleep(20)
        """
    )
    command = [sys.executable, "-m", "pytest", "--firestorm-spec", "cluster.yaml", "-n", workers]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for((tmp_path / "within").exists)
        os.killpg(process.pid, number)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
    if number is signal.SIGKILL:
        assert [found.reason for found in Clusters().gc().found] == ["the run that it belongs to died (up)"]
        assert Clusters().list() == ()
    else:
        left_nothing()


def test_a_cluster_that_does_not_end_fails_the_run(project: pytest.Pytester) -> None:
    project.makeconftest(
        """
        from firestorm.clusters import ClusterError, shared

        def end(*_, **__):
            raise ClusterError("it does not want to end")

        shared.Shared.end = end
        """
    )
    project.makepyfile("def test_it(): pass")
    done = run(project)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stderr.fnmatch_lines(["firestorm: error: it does not want to end; `firestorm gc` tries again"])


def test_the_options_are_told_of(project: pytest.Pytester) -> None:
    done = run(project, "--help")
    done.stdout.fnmatch_lines(
        [
            "a real Kubernetes cluster for tests:",
            *(f"*--firestorm-{name}*" for name in ("spec", "keep", "artifacts", "reuse")),
        ]
    )


def test_a_plugin_that_is_loaded_for_every_pytest_costs_little(project: pytest.Pytester) -> None:
    """It loads neither Pulumi nor a Kubernetes client nor YAML, unless a test asks for a cluster."""
    project.makepyfile(
        """
        import sys

        def test_it():
            heavy = {"pulumi", "yaml", "rich", "httpx", "cryptography", "jsonschema", "lightkube", "firestorm_butane"}
            assert not {name.partition(".")[0] for name in sys.modules} & heavy
        """
    )
    run(project).assert_outcomes(passed=1)
