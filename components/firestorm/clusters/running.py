"""A cluster that is up, for those who use it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from firestorm.clusters.life import Life
from firestorm.errors import ClusterError

KUBECTL = "FIRESTORM_KUBECTL"
"""Environment variable: the kubectl to use, where it is not the one on PATH."""

# `kubectl wait` ends at once where conditions are null: those of a resource definition are, until first written.
_NO_CONDITIONS = ".status.conditions accessor error: <nil>"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """A node: its name in Kubernetes and in libvirt, "controller" or "worker", its IPv4 address."""

    name: str
    role: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCluster:
    """A cluster that came up. `kubeconfig` is the administrator's, readable by its owner alone; `api_address` is
    https://host:port as this host reaches it."""

    name: str
    id: str
    kubeconfig: Path
    api_address: str
    nodes: tuple[NodeInfo, ...]

    @classmethod
    def of(cls, life: Life) -> RunningCluster:
        """The cluster of this life. Raises ClusterError if it has not come up."""
        found, outputs = life.record, life.outputs()
        if found is None:
            raise ClusterError(f"there is no cluster {life.name}: `{life.says('up')}` makes one")
        if not outputs:
            raise ClusterError(f"the cluster {life.name} has not come up ({found.state}): `{life.says('up')}` goes on")
        if found.state == "resting":
            raise ClusterError(f"the cluster {life.name} rests: `firestorm ci run --snapshot` goes on from it")
        return cls(
            name=life.name,
            id=found.id,
            kubeconfig=life.kubeconfig,
            api_address=outputs["apiAddress"],
            nodes=tuple(
                NodeInfo(name=node["name"], role=node["role"], address=node["address"]) for node in outputs["nodes"]
            ),
        )

    def kubectl(
        self, *args: str, input: str | None = None, check: bool = True, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl on this cluster, as its administrator; `input` is its standard input, `timeout` in seconds.

        Raises ClusterError if it cannot be run or takes longer and, unless not to `check`, if it fails.
        """
        program = os.environ.get(KUBECTL) or shutil.which("kubectl")
        if program is None:
            raise ClusterError(
                f"kubectl is not installed: see https://kubernetes.io/docs/tasks/tools/, or set {KUBECTL}"
            )
        words = f"kubectl {' '.join(args)}"
        try:
            done = subprocess.run(
                [program, f"--kubeconfig={self.kubeconfig}", *args],
                input=input,
                stdin=subprocess.DEVNULL if input is None else None,
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"`{words}` took longer than {timeout:g} s") from error
        except OSError as error:
            raise ClusterError(f"{program} cannot be run: {error.strerror}") from error
        if check and done.returncode != 0:
            raise ClusterError(f"`{words}` ended with status {done.returncode}: {done.stderr.strip()}")
        return done

    def wait(
        self,
        resource: str = "nodes",
        condition: str = "condition=Ready",
        *,
        namespace: str | None = None,
        selector: str | None = None,
        timeout: float = 300.0,
    ) -> None:
        """Wait for all of `resource` ("deployment/web", "pods") to meet `condition`, as `kubectl wait --for` has it.

        Without a name or `selector`, all of that kind are meant. Raises ClusterError after `timeout` seconds.
        """
        which = [f"--selector={selector}"] if selector else [] if "/" in resource else ["--all"]
        where = [f"--namespace={namespace}"] if namespace else []
        words = [resource, *which, *where, f"--for={condition}"]
        end = time.monotonic() + timeout
        while True:
            left = max(0.0, end - time.monotonic())
            try:
                self.kubectl("wait", *words, f"--timeout={left:.0f}s", timeout=left + 10.0)
                return
            except ClusterError as error:
                if _NO_CONDITIONS not in str(error):
                    raise
                if time.monotonic() >= end:
                    raise ClusterError(f"{resource} had no conditions within {timeout:g} s") from error
            time.sleep(0.5)

    def collect(self, path: Path) -> Path:
        """Evidence of what the cluster is like, see `firestorm.evidence`, in the directory `path`; that directory."""
        from firestorm.clusters.evidence import collect

        collect(self.kubeconfig.parent, path)
        return path
