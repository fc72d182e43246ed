"""The operator on a real cluster: `firestorm_cluster` and `firestorm_namespace` are fixtures of Firestorm's plugin."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firestorm.clusters import RunningCluster

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def operator(firestorm_cluster: RunningCluster) -> Iterator[subprocess.Popen[bytes]]:
    """The operator, running beside the tests."""
    firestorm_cluster.kubectl("apply", "--server-side", "-f", str(HERE / "crd.yaml"))  # also by several workers at once
    firestorm_cluster.wait("crd/greetings.example.com", "condition=Established")
    environment = {**os.environ, "KUBECONFIG": str(firestorm_cluster.kubeconfig)}
    with subprocess.Popen([sys.executable, str(HERE / "greeter.py")], env=environment) as process:
        yield process
        process.terminate()


def test_a_greeting_is_answered(
    firestorm_cluster: RunningCluster, firestorm_namespace: str, operator: subprocess.Popen[bytes]
) -> None:
    greeting = "{apiVersion: example.com/v1, kind: Greeting, metadata: {name: first}, spec: {name: Ada}}"
    firestorm_cluster.kubectl("apply", "-n", firestorm_namespace, "-f", "-", input=greeting)
    answered = "jsonpath={.status.message}=Hello, Ada!"
    firestorm_cluster.wait("greeting/first", answered, namespace=firestorm_namespace, timeout=60)
    assert operator.poll() is None


def test_a_greeting_without_a_name_is_refused(
    firestorm_cluster: RunningCluster, firestorm_namespace: str, operator: subprocess.Popen[bytes]
) -> None:
    greeting = "{apiVersion: example.com/v1, kind: Greeting, metadata: {name: first}, spec: {name: ''}}"
    done = firestorm_cluster.kubectl("apply", "-n", firestorm_namespace, "-f", "-", input=greeting, check=False)
    assert done.returncode == 1
    assert "spec.name" in done.stderr


def test_nodes_are_machines_with_an_operating_system(firestorm_cluster: RunningCluster) -> None:
    shown = firestorm_cluster.kubectl("get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.bootID}").stdout
    assert len(set(shown.split())) == len(firestorm_cluster.nodes)
