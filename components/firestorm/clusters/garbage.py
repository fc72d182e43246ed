"""Garbage collection: clusters that are expired, or whose run or home is lost, found and ended.

It looks at the homes, the host's register, the private libvirts' records and the marks on libvirt objects, in this
order: the first that knows of a cluster knows most. A cluster that somebody works on is left alone, and so is whatever
carries no mark of ours, or has a home that may not be looked at.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from firestorm.clusters import leftovers, marks, record, runs
from firestorm.clusters.files import REMOVED, Progress, remove_home, silent
from firestorm.clusters.life import Life, end_entry, end_lost
from firestorm.clusters.record import ClusterRecord
from firestorm.clusters.register import Register, is_orphaned
from firestorm.errors import ClusterError, FirestormError
from firestorm.platforms.libvirt import private


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A cluster that has to go, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GcReport:
    """What was `found`, what of it was `removed`, and what `failed`; after a dry run only the first."""

    found: tuple[Found, ...] = ()
    removed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def collect(
    home: Path,
    now: datetime,
    *,
    dry_run: bool = False,
    say: Progress = silent,
    register: Register | None = None,
) -> GcReport:
    """Find and end, at the time `now`, with the user's clusters in `home`; one at a time on a host.

    What cannot be ended is said in the report, and tried again by the next one.
    """
    run = _Run(home=home, now=now, dry_run=dry_run, say=say, register=register or Register.default())
    with run.register.locked("gc.lock"):
        run.homes()
        run.entries()
        run.private_libvirts()
        run.marked_objects()
    return GcReport(found=tuple(run.found), removed=tuple(run.removed), failed=tuple(run.failed))


@dataclass(slots=True, kw_only=True)
class _Run:
    home: Path
    now: datetime
    dry_run: bool
    say: Progress
    register: Register
    found: list[Found] = field(default_factory=list[Found])
    removed: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])
    _seen: set[str] = field(default_factory=set[str])

    def homes(self) -> None:
        """This user's, and what a run that was killed while it removed or made one has left."""
        for path in sorted(self.home.iterdir()) if self.home.is_dir() else ():
            if path.name.startswith(REMOVED):
                self._end(path.name, "its removal was not finished", partial(_remove_tree, path))
            elif path.is_dir() and not path.name.startswith("."):
                self._home(path)

    def entries(self) -> None:
        """The register's: of other users, and of homes that are lost."""
        self.register.tidy()
        for entry in self.register.entries():
            if entry.record.id in self._seen:
                continue
            if entry.orphaned:
                self._seen.add(entry.record.id)
                act = partial(end_entry, self.register, entry, say=self.say)
                self._end(entry.record.name, "its home is lost", act)
            elif entry.record.home.parent != self.home:
                self._home(entry.record.home)

    def private_libvirts(self) -> None:
        """Those of clusters of which neither home nor entry is left."""
        for instance in marks.instances():
            if self._is_known(instance.record):
                continue
            self._seen.add(instance.record.id)
            self._end(instance.record.name, "its home is lost", partial(self._end_instance, instance))

    def marked_objects(self) -> None:
        """Marked objects in libvirt that nothing else tells of."""
        for uri in marks.places():
            try:
                found = marks.marked(uri)
            except FirestormError as error:
                self.failed.append(str(error))
                continue
            for one in found:
                if self._is_known(one.record):
                    continue
                self._end(one.record.name, "its home is lost", partial(self._end_marked, one))

    def _home(self, path: Path) -> None:
        """One home, unless somebody works on it."""
        try:
            found = record.read(path)
        except ClusterError as error:
            self.failed.append(str(error))
            return
        if found is None:
            if {one.name for one in path.iterdir()} == {"lock"} and not runs.is_locked(path):
                self._end(path.name, "nothing was made in it", lambda: _remove_unused(path))
            return
        self._seen.add(found.id)
        reason = self._reason(found)
        if runs.is_locked(path):
            return
        if reason:
            self._end(found.name, reason, partial(self._down, path))
        elif runs.processes(path):
            self._end(found.name, "a run that changed it died; the cluster itself stays", partial(self._end_run, path))

    def _down(self, path: Path) -> list[str]:
        life = Life(name=path.name, home=path, say=self.say, register=self.register)
        with runs.exclusive(path, "firestorm gc"):  # BusyError: somebody has begun to work on it
            found = life.record
            if found is None or not self._reason(found):
                return []
            return life.down()

    def _end_run(self, path: Path) -> list[str]:
        with runs.exclusive(path, "firestorm gc"):
            ended = runs.end(path, say=self.say)
            Life(name=path.name, home=path, register=self.register).note(state="failed")
            return ended

    def _reason(self, found: ClusterRecord) -> str:
        """Why a cluster has to go, empty if it may stay."""
        if found.expired(self.now):
            return f"it expired at {found.expires:%Y-%m-%d %H:%M:%S} UTC"
        if found.abandoned:
            return f"the run that it belongs to died ({found.state})"
        return ""

    def _is_known(self, found: ClusterRecord) -> bool:
        return found.id in self._seen or not is_orphaned(found.home, found.id)

    def _end_instance(self, instance: marks.MarkedInstance) -> list[str]:
        """A private libvirt, and then the files that it told of while it could be asked."""
        name, state_dir = instance.name, instance.state_dir
        ended = end_lost(instance.record.home, say=self.say)
        uri = private.start(name, state_dir, progress=self.say).uri
        owned = [(one.uri, one.holdings) for one in marks.marked(uri) if one.record.id == instance.record.id]
        return [*ended, *private.stop(name, state_dir, progress=self.say), *leftovers.remove_files_of(owned)]

    def _end_marked(self, one: marks.Marked) -> list[str]:
        return [*end_lost(one.record.home, say=self.say), *leftovers.sweep_all([(one.uri, one.holdings)])]

    def _end(self, name: str, reason: str, act: Callable[[], list[str]]) -> None:
        self.found.append(Found(name=name, reason=reason))
        if self.dry_run:
            return
        self.say(f"{name}: {reason}")
        try:
            self.removed += act()
        except runs.BusyError:
            self.found.pop()
        except (FirestormError, OSError) as error:
            self.failed.append(f"{name}: {error}")


def _remove_tree(path: Path) -> list[str]:
    shutil.rmtree(path)
    return [f"directory {path}"]


def _remove_unused(path: Path) -> list[str]:
    with runs.exclusive(path, "firestorm gc"):
        if {one.name for one in path.iterdir()} == {"lock"}:
            return [f"directory {remove_home(path)}"]
    return []
