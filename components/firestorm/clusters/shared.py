"""One cluster for the processes of one test run: the first that needs it brings it up, the one that leads ends it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from firestorm.clusters import names, record
from firestorm.errors import ClusterError, FirestormError

if TYPE_CHECKING:
    from firestorm.clusters import Clusters, RunningCluster
    from firestorm.clusters.files import Progress

Keep = Literal["never", "on-failure", "always"]
TTL = timedelta(hours=1)
_UP = "up"  # where evidence of a cluster goes that did not come up


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the processes of a run agree on. `leader` is the process id of the one that ends the cluster.

    `name` is a cluster of the run's own or, if it is to `reuse` one, that one's; `spec` and `artifacts` are paths.
    """

    name: str
    reuse: bool
    spec: str | None
    keep: Keep
    artifacts: str
    leader: int

    @classmethod
    def new(cls, *, spec: Path | None, keep: Keep, artifacts: Path, reuse: str | None) -> Shared:
        """For a run that this process leads."""
        return cls(
            name=reuse or names.fresh(),
            reuse=reuse is not None,
            spec=None if spec is None else str(spec.absolute()),
            keep=keep,
            artifacts=str(artifacts.absolute()),
            leader=os.getpid(),
        )

    @classmethod
    def from_json(cls, text: str) -> Shared:
        return cls(**json.loads(text))

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def cluster(self, say: Progress) -> RunningCluster:
        """The cluster, brought up if it is not there. Raises FirestormError, the same in every process."""
        from firestorm.clusters import Clusters

        clusters = Clusters()
        if self.reuse:
            return clusters.connect(self.name)
        with self._agreed(clusters) as failure:
            if failure.exists():
                raise ClusterError(failure.read_text())
            if self._is_there(clusters):
                return clusters.connect(self.name)
            try:
                return self._up(clusters, say)
            except FirestormError as error:
                self.collect(_UP, str(error), say)
                failure.write_text(str(error))
                raise

    def collect(self, name: str, error: str | None, say: Progress) -> Path | None:
        """Evidence in the directory `name` of the artifacts; its summary, None if there is none to be had.

        Of a cluster that did not come up in this run, it is what was collected then.
        """
        from firestorm.clusters import Clusters
        from firestorm.clusters.evidence import collect

        clusters = Clusters()
        home, into = clusters.home / self.name, Path(self.artifacts) / name
        if self._failure(clusters).exists():
            summary = into.with_name(_UP) / "summary.md"
            return summary if summary.exists() else None
        if not home.exists():
            return None
        try:
            collect(home, into, error=error, say=say)
        except (FirestormError, OSError) as second:
            say(f"no evidence of {self.name} was collected: {second}")
            return None
        return into / "summary.md"

    def end(self, say: Progress, *, failed: bool) -> None:
        """End the cluster, or leave it until it expires. By the leader, when no other process uses it any longer."""
        from firestorm.clusters import Clusters

        if self.reuse:
            return
        clusters = Clusters()
        if self._is_there(clusters):
            if self.keep == "always" or (self.keep == "on-failure" and failed):
                clusters.keep(self.name)
                say(f"the cluster {self.name} stays until it expires: `firestorm down {self.name}` ends it")
            else:
                say(f"ending the cluster {self.name}")
                clusters.down(self.name, progress=say)
        shutil.rmtree(self._place(clusters), ignore_errors=True)

    def _is_there(self, clusters: Clusters) -> bool:
        return record.read(clusters.home / self.name) is not None

    def _up(self, clusters: Clusters, say: Progress) -> RunningCluster:
        say(f"bringing up the cluster {self.name} for this run")
        args: Mapping[str, object] | Path = Path(self.spec) if self.spec else {}
        cluster = clusters.up(args, name=self.name, ttl=TTL, progress=say, ephemeral=True)
        clusters.life(self.name).note(keeper=record.Keeper.of(self.leader))
        return cluster

    @contextmanager
    def _agreed(self, clusters: Clusters) -> Iterator[Path]:
        """Hold the run's lock; the file that says why the cluster did not come up."""
        place = self._place(clusters)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (place / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._failure(clusters)

    def _failure(self, clusters: Clusters) -> Path:
        return self._place(clusters) / "failure"

    def _place(self, clusters: Clusters) -> Path:
        return clusters.home / f".shared-{self.name}"
