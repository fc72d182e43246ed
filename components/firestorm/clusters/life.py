"""A cluster's life: what is prepared before Pulumi makes it, and what is ended after Pulumi has destroyed it.

Everything is written down before it is made: the record in the cluster's home, then the host's register, then libvirt's
objects with their labels. So a run that is killed at any moment leaves only what can be found.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from firestorm import spec
from firestorm.clusters import kubeconfigs, leftovers, record, runs
from firestorm.clusters.files import Progress, give, remove_home, silent, write_private
from firestorm.clusters.marks import instance_record
from firestorm.clusters.preparation import Preparation
from firestorm.clusters.record import ClusterRecord, Keeper
from firestorm.clusters.register import Entry, Register
from firestorm.clusters.site import Site
from firestorm.clusters.stack import PROGRAM, UP, Stack
from firestorm.errors import ClusterError, FirestormError
from firestorm.platforms.libvirt import private
from firestorm.platforms.libvirt.claim import holdings_from

OUTPUTS = "outputs.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The cluster called `name`. `home` holds its Pulumi state, passphrase and kubeconfig, its owner's alone.

    Every method can be called again after it failed or was killed. Methods that change something hold the cluster's
    lock: they raise BusyError while another process does, but for `down`, which ends that one.

    `program` is the directory of its Pulumi program, `extra` what its environment has besides this process's,
    `command` how a person calls "up" or "down" of it.
    """

    name: str
    home: Path
    say: Progress = silent
    program: Path = PROGRAM
    extra: Callable[[], Mapping[str, str]] = dict
    command: str = "firestorm {} {}"
    register: Register = field(default_factory=Register.default)

    @classmethod
    def named(cls, name: str, say: Progress = silent) -> Life:
        """The one whose home is in the default place."""
        return cls(name=name, home=record.default_home() / name, say=say)

    @property
    def stack(self) -> Stack:
        return Stack(name=self.name, home=self.home, say=self.say, program=self.program, extra=self.extra)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, there once the cluster has been up."""
        return self.home / "kubeconfig"

    @property
    def stack_config(self) -> Path:
        return self.stack.config

    @property
    def record(self) -> ClusterRecord | None:
        return record.read(self.home)

    @property
    def _unfinished(self) -> Path:
        """A file that is there from the beginning of `up` until it has ended well."""
        return self.home / "unfinished"

    @contextmanager
    def working(self, command: str) -> Iterator[None]:
        """Hold the cluster's lock for several methods. Raises BusyError while another process does."""
        self._make_home()
        with runs.exclusive(self.home, self.says(command)):
            try:
                yield
            finally:
                if self.home.exists() and {path.name for path in self.home.iterdir()} <= {"lock", record.FILE}:
                    if (found := self.record) is not None:  # it failed before anything was made
                        self.register.remove(found)
                    remove_home(self.home)

    def prepare(
        self,
        given: Mapping[str, Any],
        source: spec.Source | None = None,
        *,
        site: Site | None = None,
        ttl: timedelta | None = None,
    ) -> None:
        """Make everything ready for `pulumi up` of the cluster that `given` describes (a cluster.yaml's content).

        `source` tells where that came from, `site` what is under it. A cluster that is there keeps its expiry. Raises
        SpecError for a wrong document, ClusterError or PlatformError when something is taken or cannot be started.
        """
        site = site or Site()
        whole = site.document(self.name, given, source)
        spec.parse(whole, source=source)
        with self.working("up"):
            before = self.record
            try:
                Preparation(life=self, source=source, site=site).run(whole, before, ttl)
            except FirestormError:
                if before is not None:
                    self.note(state=before.state, keeper=before.keeper)
                raise

    def up(self, *, keep: bool = True) -> dict[str, Any]:
        """`pulumi up`, then the kubeconfig's file; the stack's outputs. Also goes on where an earlier run ended.

        Unless to `keep` it, the cluster ends with this process: the next gc removes it. Raises ClusterError when Pulumi
        fails, with its words.
        """
        with runs.exclusive(self.home, self.says("up")):
            self._begin()
            try:
                self.stack.pulumi(*UP)
                outputs = self.stack.outputs()
            except ClusterError as error:
                self.note(state="failed", **({"keeper": None} if keep else {}))
                raise ClusterError(f"{error}\n{self._rest()}") from error
            except (KeyboardInterrupt, SystemExit):
                self.note(state="failed", **({"keeper": None} if keep else {}))
                self.say(self._rest())
                raise
            write_private(self.kubeconfig, outputs["kubeconfig"])
            give(self.kubeconfig)
            write_private(self.home / OUTPUTS, json.dumps({**outputs, "kubeconfig": str(self.kubeconfig)}))
            give(self.home / OUTPUTS)
            self._unfinished.unlink(missing_ok=True)
            self.note(state="up", **({"keeper": None} if keep else {}))
            return outputs

    def try_up(self) -> tuple[int, str]:
        """`pulumi up` as `up` runs it, for those who look at its failure: its exit status and all it printed."""
        with runs.exclusive(self.home, self.says("up")):
            self._begin()
            command = self.stack.command(*UP, "--color", "never")
            done = runs.run(command, self.environment(), self.home, quiet=True, merged=True)
            return done.returncode, done.stdout

    def preview(self) -> str:
        """What `up` would change, in Pulumi's words."""
        with runs.exclusive(self.home, self.says("preview")):
            return self.stack.pulumi("preview", "--diff", "--color", "never", quiet=True)

    def down(self) -> list[str]:
        """Destroy the cluster, end what was started for it, remove what was kept of it; what was ended.

        Safe to call at any time: with nothing there, while an `up` goes on (it is ended as by Ctrl-C), after one was
        killed, without a readable state. Raises ClusterError or PlatformError if something is left.
        """
        ended: list[str] = []
        if self.home.exists():
            other = runs.end_holder(self.home, say=self.say)
            ended += [other] if other else []
        if self.home.exists():  # the other one may have been on its way down
            with runs.exclusive(self.home, self.says("down")):
                ended += self._end_all()
        else:
            ended += self._end_without_home()
        return ended

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs as they were when the cluster came up, `kubeconfig` as a path; empty before that."""
        try:
            found: dict[str, Any] = json.loads((self.home / OUTPUTS).read_text())
        except (OSError, ValueError):
            return {}
        return found

    def pulumi(self, command: str, *arguments: str, check: bool = True, quiet: bool = False) -> str:
        """As `Stack.pulumi`."""
        return self.stack.pulumi(command, *arguments, check=check, quiet=quiet)

    def environment(self) -> dict[str, str]:
        """The environment of a Pulumi command on this stack."""
        return self.stack.environment()

    def says(self, command: str) -> str:
        return self.command.format(command, self.name)

    def note(self, **changes: Any) -> ClusterRecord | None:
        """Change fields of the record, here and in the register; the new one, None if there is none."""
        found = record.change(self.home, **changes)
        if found is not None:
            self.register.update(found)
        return found

    def _make_home(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home.chmod(0o700)
        give(self.home)

    def _begin(self) -> None:
        """Put in order what an earlier run left, and write down that this one has begun."""
        for line in runs.end(self.home, say=self.say):
            self.say(f"ended {line}, of an earlier run")
        if (found := self.record) is not None:
            self.note(state="coming up", keeper=found.keeper and Keeper.this())
        if self.stack.unlock():
            self.say("removed the lock of an earlier run")
        if self._unfinished.exists():
            for line in leftovers.remove_strays(self.stack):
                self.say(f"removed {line}, which an earlier run left outside the Pulumi state")
            self.stack.forget_pending()
        self._unfinished.touch(mode=0o600)

    def _rest(self) -> str:
        """What there is after a failed run, and what to do about it."""
        try:
            kinds = [resource["type"] for resource in self.stack.resources()]
        except (ClusterError, ValueError, KeyError):
            there = "part of the cluster may be there"
        else:
            machines = sum(kind == "libvirt:index/domain:Domain" for kind in kinds)
            there = f"there are {machines} machines and {len(kinds) - machines} other resources of the cluster"
        return f"{there}: `{self.says('up')}` goes on from here, `{self.says('down')}` removes everything"

    def _end_all(self) -> list[str]:
        try:
            found = self.record
        except ClusterError as error:  # a `down` must not be stopped by what it removes
            self.say(str(error))
            found = None
        if found is not None:
            self.note(state="going down", keeper=Keeper.this())
        ended = runs.end(self.home, say=self.say)
        ended += self._withdraw()
        ended += self._destroy()
        ended += self._end_private()
        if self._unfinished.exists():
            ended += leftovers.remove_files(self.home, which=leftovers.is_empty)
        entry = self.register.entry(self.name)
        if entry is not None and entry.record.home == self.home:
            self.register.remove(entry.record)
        remove_home(self.home)
        return ended

    def _withdraw(self) -> list[str]:
        try:
            path = kubeconfigs.withdraw(self.home)
        except ClusterError as error:  # the user's file is no reason to leave a cluster behind
            self.say(str(error))
            return []
        return [f"the context {kubeconfigs.context_of(self.name)} in {path}"] if path else []

    def _end_without_home(self) -> list[str]:
        entry = self.register.entry(self.name)
        if entry is not None and entry.record.home == self.home and entry.orphaned:
            return end_entry(self.register, entry, say=self.say)
        return self._end_private()

    def _destroy(self) -> list[str]:
        """`pulumi destroy`, and where that fails, by the names of what the cluster owns."""
        stack, own = self.stack, private.status(self.name)
        if not stack.checkpoint.exists() and not (self._unfinished.exists() or self.kubeconfig.exists()):
            return []
        try:
            if own.exists and not own.running:
                private.start(self.name, progress=self.say)
            if not stack.checkpoint.exists():
                raise ClusterError(f"the Pulumi state {stack.checkpoint} is gone")
            stack.ensure()
            stack.unlock()
            stack.pulumi("destroy", "--yes", "--skip-preview", "--remove")
        except FirestormError as error:
            self.say(
                f"{error}\nPulumi cannot destroy {self.name}: what is described as the cluster's own is removed by name"
            )
            return self._destroy_by_name(private_libvirt=own.exists)
        return [f"the cluster {self.name}"]

    def _destroy_by_name(self, *, private_libvirt: bool) -> list[str]:
        try:
            return leftovers.remove_all(self.home)
        except FirestormError as error:
            if not private_libvirt:
                again = f"repair that, and run `{self.says('down')}` again"
                raise ClusterError(f"{error}\nThe cluster {self.name} is still there: {again}") from error
        return [*self._end_private(), *leftovers.remove_files(self.home)]

    def _end_private(self) -> list[str]:
        """The private libvirt and all in it, if it is this cluster's: by the register, by its own record, or because
        the home is of a version that wrote down neither."""
        entry, mark = self.register.entry(self.name), instance_record(self.name)
        ours = entry is not None and entry.private and entry.record.home == self.home
        ours = ours or (mark is not None and mark.home == self.home)
        old = self.home.exists() and not (self.home / record.FILE).exists()
        if ours or (old and private.status(self.name).exists):
            return list(private.stop(self.name, progress=self.say))
        return []


def end_lost(home: Path, *, say: Progress = silent) -> list[str]:
    """End what Pulumi still runs for a cluster whose home is lost, and remove the state that it has put there anew."""
    if (home / record.FILE).exists():  # another cluster's by now
        return []
    ended = runs.end(home, say=say)
    if home.is_dir() and [path.name for path in home.iterdir()] == [".pulumi"]:
        shutil.rmtree(home)
        ended.append(f"directory {home}")
    return ended


def end_entry(register: Register, entry: Entry, *, say: Progress = silent) -> list[str]:
    """End a cluster whose home is lost, from the host's register alone; what was ended. Raises PlatformError."""
    name = entry.record.name
    owned = [(str(data["uri"]), holdings_from(data)) for data in entry.owned]
    ended = end_lost(entry.record.home, say=say)
    if entry.private:
        ended += private.stop(name, progress=say)  # its definitions go with it
        ended += leftovers.remove_files_of(owned)
    else:
        ended += leftovers.sweep_all(owned)
    register.remove(entry.record)
    return ended
