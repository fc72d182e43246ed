"""Two clusters that are started in the same second, by two processes: both get Ready, and neither leaves a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from firestorm.clusters import Clusters
from firestorm.platforms.libvirt import private
from firestorm_lab import facts, standin
from firestorm_lab.cache import Cache
from tests.end_to_end.running import processes

pytestmark = [pytest.mark.lab, pytest.mark.machine, pytest.mark.trial, pytest.mark.timeout(1800)]
PROGRAM = """
    import json, sys, time
    from datetime import timedelta
    from firestorm.clusters import ephemeral_cluster

    name = sys.argv[1]
    args = {"workers": [], "controllers": {"memory": "3GiB"}}
    say = lambda line: print(line, file=sys.stderr)
    with ephemeral_cluster(args, name=name, ttl=timedelta(hours=1), progress=say) as cluster:
        cluster.wait()
        nodes = json.loads(cluster.kubectl("get", "nodes", "--output=json").stdout)["items"]
        names = [node["metadata"]["name"] for node in nodes]
        print(json.dumps([cluster.api_address, [node.address for node in cluster.nodes], names]))
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in OS for every cluster, by a site file; homes and register of the test's own."""
    file = tmp_path / "site.yaml"
    file.write_text(standin.site_file(facts.collect(Cache.default()), sys.executable))
    monkeypatch.setenv("FIRESTORM_SITE", str(file))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("FIRESTORM_REGISTER", str(tmp_path / "register"))


@pytest.mark.usefixtures("site")
def test_two_at_once(tmp_path: Path) -> None:
    names = ("side-a", "side-b")
    logs = [tmp_path / f"{name}.log" for name in names]
    started = []
    for name, log in zip(names, logs, strict=True):
        with log.open("w") as errors:
            command = [sys.executable, "-c", textwrap.dedent(PROGRAM), name]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=dict(os.environ))
            started.append(process)
    try:
        printed = [process.communicate(timeout=1500)[0] for process in started]
    finally:
        for process in started:
            process.terminate()
            process.wait()
        report = Clusters().gc()
    assert [process.returncode for process in started] == [0, 0], "\n".join(log.read_text()[-3000:] for log in logs)
    (first, first_nodes, first_names), (second, second_nodes, second_names) = map(json.loads, printed)
    assert (first_names, second_names) == (["side-a-controller-0"], ["side-b-controller-0"])
    assert first != second
    assert not set(first_nodes) & set(second_nodes)
    assert report.found == ()
    assert Clusters().list() == ()
    assert list((tmp_path / "register").glob("*.json")) == []
    for name in names:
        assert not private.status(name).exists
        assert processes(f"/{name}/") == []
        assert not Path("/var/lib/firestorm/clusters", name).exists()
