"""A cluster for as long as a block of code runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from firestorm.clusters import names, record
from firestorm.clusters.files import Progress, silent
from firestorm.clusters.known import Clusters, exists
from firestorm.clusters.record import Keeper
from firestorm.clusters.running import RunningCluster
from firestorm.errors import ClusterError, FirestormError

if TYPE_CHECKING:
    from firestorm.clusters.snapshots import Snapshot

_NAMES = 5


@contextmanager
def ephemeral_cluster(
    args: Mapping[str, Any] | Path,
    *,
    name: str | None = None,
    ttl: timedelta = timedelta(hours=1),
    artifacts: Path | None = None,
    keep: bool | Literal["on-failure"] = False,
    snapshot: timedelta | None = None,
    progress: Progress | None = None,
    home: Path | None = None,
) -> Iterator[RunningCluster]:
    """A cluster that is there within the `with` block and gone after it, also after an exception, Ctrl-C or SIGTERM.

    `args` is a cluster.yaml's content or path. Without `name`, it gets one that nobody has. When the block fails, or
    the cluster does not come up, evidence goes to the directory `artifacts`. To `keep` it, always or "on-failure",
    leaves it until `ttl` has passed and gc runs. A process that is killed leaves its cluster to the next gc.

    With a `snapshot`, the cluster goes on from where an earlier one of the same arguments was Ready, if that was within
    this time and is not in use, and has a name of its own; at the end it rests for the next (see `snapshots`).

    Raises SpecError for wrong arguments, ClusterError or PlatformError if it does not come up or cannot be ended.
    """
    say = progress or silent
    clusters = Clusters(home)
    frozen = _snapshot(clusters, args, name, snapshot, say)
    chosen = frozen.name if frozen else name or _unused(clusters)
    if frozen is None and record.read(clusters.home / chosen) is not None:  # not ours, and not to be ended here
        raise ClusterError(exists(chosen))

    def down() -> None:
        clusters.down(chosen, progress=progress)

    end = down
    with _as_exit(signal.SIGTERM, signal.SIGHUP):
        try:
            cluster = frozen.up(ttl) if frozen else None
            if frozen is not None and cluster is None:
                say(f"another run has {chosen}: this one gets a cluster of its own")
                frozen, chosen = None, _unused(clusters)
            if cluster is None:
                cluster = clusters.up(args, name=chosen, ttl=ttl, progress=progress, ephemeral=True)
            end = frozen.end if frozen else down
            yield cluster
        except BaseException as error:
            if _is_mine(clusters, chosen):  # not another's of this name
                _after_failure(clusters, chosen, error, artifacts, end=None if keep else end, say=say)
            raise
        if keep is True:
            clusters.keep(chosen)
        else:
            end()


def _snapshot(
    clusters: Clusters, args: Mapping[str, Any] | Path, name: str | None, age: timedelta | None, say: Progress
) -> Snapshot | None:
    if age is None:
        return None
    from firestorm.clusters.snapshots import Snapshot

    if name is not None:
        raise ClusterError(f"a cluster from a snapshot has a name of its own: leave out {name}")
    return Snapshot.of(clusters, args, age, say)


def _is_mine(clusters: Clusters, name: str) -> bool:
    found = record.read(clusters.home / name)
    return found is not None and found.keeper == Keeper.this()


def _after_failure(
    clusters: Clusters,
    name: str,
    error: BaseException,
    artifacts: Path | None,
    *,
    end: Callable[[], None] | None,
    say: Progress,
) -> None:
    """Evidence and the `end` of a cluster; what goes wrong with that must not hide what went wrong before."""
    try:
        if artifacts is not None:
            from firestorm.clusters.evidence import collect

            collect(clusters.home / name, artifacts, error=str(error) or type(error).__name__, say=say)
        if end is None:
            clusters.keep(name)
    except (FirestormError, OSError) as second:
        error.add_note(f"no evidence of {name} was collected: {second}")
    try:
        if end is not None:
            end()
    except (FirestormError, OSError) as second:
        error.add_note(f"the cluster {name} is still there: {second}; `firestorm gc` tries again")


def _unused(clusters: Clusters) -> str:
    """A name that no cluster here has; the register settles what two choose at once."""
    taken = {record.name for record in clusters.list()}
    for _ in range(_NAMES):
        name = names.fresh()
        if name not in taken:
            return name
    raise ClusterError("no unused name was found: give one")


@contextmanager
def _as_exit(*numbers: signal.Signals) -> Iterator[None]:
    """Signals whose default is to end the process at once end it as an exit does, with everything cleaned up."""

    left: list[int] = []

    def leave(number: int, _frame: FrameType | None) -> None:
        left.append(number)
        if len(left) == 1:  # a second one must not interrupt what the first one began
            raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    changed = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
