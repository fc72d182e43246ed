"""All clusters of a user on this host: the Python interface behind the `firestorm` command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firestorm.clusters import record
from firestorm.clusters.files import Progress, silent
from firestorm.clusters.record import ClusterRecord
from firestorm.errors import ClusterError

if TYPE_CHECKING:
    from firestorm import spec
    from firestorm.clusters.garbage import GcReport
    from firestorm.clusters.life import Life
    from firestorm.clusters.running import RunningCluster

DEFAULT_TTL: timedelta | None = timedelta(hours=24)


class Clusters:
    """The clusters whose homes are in a directory, by default firestorm below XDG_STATE_HOME (~/.local/state)."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home.absolute() if home is not None else record.default_home()

    def list(self) -> tuple[ClusterRecord, ...]:
        """Every cluster that is there, also in part, by name. Raises ClusterError if a record cannot be read."""
        paths = sorted(self.home.glob(f"*/{record.FILE}"))
        found = (record.read(path.parent) for path in paths if not path.parent.name.startswith("."))
        return tuple(one for one in found if one is not None)

    def get(self, name: str) -> ClusterRecord:
        """The cluster of this name. Raises ClusterError if there is none."""
        found = record.read(self.home / _checked(name))
        if found is None:
            others = ", ".join(one.name for one in self.list()) or "none"
            raise ClusterError(f"there is no cluster {name}; there are: {others}")
        return found

    def up(
        self,
        args: Mapping[str, Any] | Path,
        *,
        name: str,
        ttl: timedelta | None = DEFAULT_TTL,
        progress: Progress | None = None,
        ephemeral: bool = False,
    ) -> RunningCluster:
        """Bring the cluster `name` up, as `args` (a cluster.yaml's content or path) has it, or change it to that.

        A new one expires `ttl` from now (None: never), one that is there keeps its expiry. An `ephemeral` one must be
        new, and is the next gc's when this process ends. Raises SpecError, ClusterError or PlatformError.
        """
        from firestorm.clusters.running import RunningCluster

        given, source = read_args(args)
        life = self.life(name, progress)
        there = _awake(life)
        if ephemeral and there is not None:
            raise ClusterError(exists(name))
        with life.working("up"):
            life.prepare(given, source, site=_site(), ttl=ttl)
            life.up(keep=not ephemeral)
        return RunningCluster.of(life)

    def down(self, name: str, *, progress: Progress | None = None) -> Sequence[str]:
        """End the cluster and all that was made for it; what was ended, nothing if there was nothing.

        An `up` of it that goes on is ended first. Raises ClusterError or PlatformError if something is left.
        """
        return self.life(name, progress).down()

    def connect(self, name: str) -> RunningCluster:
        """A cluster that came up earlier. Raises ClusterError if there is none, or it never did."""
        from firestorm.clusters.running import RunningCluster

        self.get(name)
        return RunningCluster.of(self.life(name))

    def extend(self, name: str, ttl: timedelta) -> ClusterRecord:
        """Have a cluster expire `ttl` from now, and be no longer held. Raises ClusterError if there is none."""
        return self._change(name, expires=datetime.now(UTC).replace(microsecond=0) + ttl, held=False)

    def hold(self, name: str, on: bool = True) -> ClusterRecord:
        """Keep a cluster from expiring, or no longer. Raises ClusterError if there is none."""
        return self._change(name, held=on, **({"keeper": None} if on else {}))

    def keep(self, name: str) -> ClusterRecord:
        """Have an ephemeral cluster outlive its process, until it expires. Raises ClusterError if there is none."""
        return self._change(name, keeper=None)

    def gc(self, now: datetime | None = None, dry_run: bool = False, *, progress: Progress | None = None) -> GcReport:
        """End every cluster that is expired at `now`, was left by a run that died, or lost its home; see `garbage`."""
        from firestorm.clusters.garbage import collect

        return collect(self.home, now or datetime.now(UTC), dry_run=dry_run, say=progress or silent)

    def plan(self, args: Mapping[str, Any] | Path, name: str, *, progress: Progress | None = None) -> str:
        """What `up` would change: resources in Pulumi's words, then the configs of nodes that are there, by meaning.

        It prepares as `up` does, and leaves the cluster as described before; one that was not there is gone again.
        Raises SpecError, ClusterError or PlatformError as `up` would.
        """
        from firestorm.clusters.planning import restored, what_changes

        given, source = read_args(args)
        life = self.life(name, progress)
        there = _awake(life)
        with life.working("plan"):
            if there is None:
                try:
                    life.prepare(given, source, site=_site(), ttl=DEFAULT_TTL)
                    return life.preview()
                finally:
                    life.down()
            with restored(life) as before:
                life.prepare(given, source, site=_site())
                return "\n".join([life.preview().rstrip(), *what_changes(before, life.stack_config)])

    def life(self, name: str, progress: Progress | None = None) -> Life:
        """The life of the cluster `name`, there or not. Raises ClusterError if no cluster may have this name."""
        from firestorm.clusters.life import Life

        return Life(name=name, home=self.home / _checked(name), say=progress or silent)

    def _change(self, name: str, **changes: Any) -> ClusterRecord:
        """Change a record and, as far as they can be reached, its copies."""
        from firestorm.clusters.marks import relabel

        self.get(name)
        found = self.life(name).note(**changes)
        assert found is not None
        relabel(found)
        return found


def exists(name: str) -> str:
    """What to say where a new cluster was to have a name that one has."""
    return f"there is a cluster {name} already: choose another name, or end it with `firestorm down {name}`"


def _awake(life: Life) -> ClusterRecord | None:
    """The record of a cluster that may be changed, None of one that is not there. Raises ClusterError if it rests."""
    found = record.read(life.home)
    if found is not None and found.state == "resting":
        raise ClusterError(f"{life.name} rests for a run with a snapshot: `firestorm down {life.name}` removes it")
    return found


def _checked(name: str) -> str:
    from firestorm.clusters.names import problem

    if text := problem(name):
        raise ClusterError(text)
    return name


def read_args(args: Mapping[str, Any] | Path) -> tuple[Mapping[str, Any], spec.Source | None]:
    """A cluster.yaml's content, and where it came from if `args` is its path. Raises SpecError."""
    if isinstance(args, Mapping):
        return args, None
    from firestorm.spec.files import read

    return read(str(args))


def _site() -> Any:
    from firestorm.clusters import site

    return site.load()
