"""The development cluster: what `make up` prepares before it calls `pulumi up`, and `make down` ends after it.

Preparing finds out what this machine lacks and no more: Pulumi, a libvirt, an operating system image that can be had
here. What it finds becomes Pulumi configuration; the cluster itself is the program at the root of the tree.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from firestorm import spec
from firestorm.errors import FirestormError
from firestorm.platforms.libvirt import egress, forward, private
from firestorm.platforms.libvirt.claim import holdings_of
from firestorm.platforms.libvirt.host import socket_of
from firestorm.platforms.libvirt.naming import LibvirtNames
from firestorm_lab import document, facts, leftovers, packages, report, runs, standin, tools
from firestorm_lab.cache import Cache
from firestorm_lab.download import reachable
from firestorm_lab.errors import LabError
from firestorm_lab.progress import say
from firestorm_lab.stack import TREE, UP, Stack, write_private

__all__ = ["TREE", "Development", "status", "uses_system_libvirt"]

OWNER = "FIRESTORM_OWNER"
"""Environment variable: uid:gid of the user for whom root makes the cluster, who may read its kubeconfig."""
_RELEASE_SERVERS = {"flatcar": "https://stable.release.flatcar-linux.net"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Development:
    """A development cluster called `name`. `home` holds its Pulumi state, passphrase and kubeconfig, its owner's alone.

    Every method can be called again after it failed or was killed. Methods that change something hold the cluster's
    lock: they raise BusyError while another process does, but for `down`, which ends that one.
    """

    name: str
    home: Path

    @classmethod
    def named(cls, name: str) -> Development:
        """The one whose state lies below XDG_STATE_HOME (~/.local/state)."""
        base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return cls(name=name, home=Path(base).expanduser().absolute() / "firestorm" / name)

    @property
    def stack(self) -> Stack:
        return Stack(name=self.name, home=self.home)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, there once the cluster has been up."""
        return self.home / "kubeconfig"

    @property
    def stack_config(self) -> Path:
        return self.stack.config

    @property
    def _unfinished(self) -> Path:
        """A file that is there from the beginning of `up` until it has ended well."""
        return self.home / "unfinished"

    @contextmanager
    def working(self, command: str) -> Iterator[None]:
        """Hold the cluster's lock for several methods. Raises BusyError while another process does."""
        self._make_home()
        with runs.exclusive(self.home, self._says(command)):
            try:
                yield
            finally:
                if [path.name for path in self.home.iterdir()] == ["lock"]:
                    shutil.rmtree(self.home)  # it failed before anything was made

    def prepare(self, given: Mapping[str, Any], source: spec.Source | None = None) -> None:
        """Make everything ready for `pulumi up` of the cluster that `given` describes (a cluster.yaml's content).

        `source` tells where that came from. Raises LabError when something cannot be installed, built or started,
        FirestormError for a wrong document.
        """
        whole = document.whole(self.name, given)
        document.check_early(whole, source)
        with self.working("up"):
            self._prepare(whole, source)

    def up(self) -> dict[str, Any]:
        """`pulumi up`, then the kubeconfig's file; the stack's outputs. Also goes on where an earlier run ended.

        Raises LabError when Pulumi fails; its own words are above.
        """
        with runs.exclusive(self.home, self._says("up")):
            self._begin()
            try:
                self.stack.pulumi(*UP)
            except LabError as error:
                raise LabError(f"{error}\n{self._rest()}") from error
            except (KeyboardInterrupt, SystemExit):
                say(self._rest())
                raise
            outputs = self.stack.outputs()
            write_private(self.kubeconfig, outputs["kubeconfig"])
            _give(self.kubeconfig)
            self._unfinished.unlink(missing_ok=True)
            return outputs

    def try_up(self) -> tuple[int, str]:
        """`pulumi up` as `up` runs it, for those who look at its failure: its exit status and all it printed."""
        with runs.exclusive(self.home, self._says("up")):
            self._begin()
            command = self.stack.command(*UP, "--color", "never")
            done = runs.run(command, self.environment(), self.home, quiet=True, merged=True)
            return done.returncode, done.stdout

    def preview(self) -> None:
        with runs.exclusive(self.home, self._says("preview")):
            self.pulumi("preview", "--diff")

    def down(self) -> list[str]:
        """Destroy the cluster, end what was started for it, remove what was kept of it; what was ended.

        Safe to call at any time: with nothing there, while an `up` goes on (it is ended as by Ctrl-C), after one was
        killed, without a readable state. Raises LabError or PlatformError if something is left.
        """
        ended: list[str] = []
        if self.home.exists():
            other = runs.end_holder(self.home)
            ended += [other] if other else []
        if self.home.exists():  # the other one may have been on its way down
            with runs.exclusive(self.home, self._says("down")):
                ended += runs.end(self.home)
                ended += self._destroy()
                ended += self._end_private()
                if self._unfinished.exists():
                    ended += leftovers.remove_files(self.home, which=leftovers.is_empty)
                shutil.rmtree(self.home)
        else:
            ended += self._end_private()
        return ended

    def status(self) -> str:
        """What `up` printed, with what the API now says of the nodes. Raises LabError if the cluster was never up."""
        outputs = self.stack.outputs() if self.stack.exists else {}
        if "nodes" not in outputs:
            what = "has not come up yet" if self.stack.exists else "does not exist"
            raise LabError(f"the cluster {self.name} {what}: `{self._says('up')}` brings it up")
        names = [node["name"] for node in outputs["nodes"]]
        return self.summary(outputs, report.live_states(outputs["kubeconfig"], names))

    def summary(self, outputs: Mapping[str, Any], states: Mapping[str, str] | None = None) -> str:
        """`outputs` for people, each node with its state, Ready by default."""
        config = yaml.safe_load(self.stack_config.read_text())["config"]
        if states is None:
            states = {node["name"]: "Ready" for node in outputs["nodes"]}
        return report.cluster(outputs, config, self.kubeconfig, states)

    def pulumi(self, command: str, *arguments: str, check: bool = True, quiet: bool = False) -> str:
        """As `Stack.pulumi`."""
        return self.stack.pulumi(command, *arguments, check=check, quiet=quiet)

    def output(self, name: str, *, secret: bool = False) -> str:
        """One of the stack's outputs, as text or JSON."""
        return self.pulumi("stack", "output", name, *(["--show-secrets"] if secret else []), quiet=True)

    def environment(self) -> dict[str, str]:
        """The environment of a Pulumi command on this stack."""
        return self.stack.environment()

    def _says(self, command: str) -> str:
        return f"make {command} NAME={self.name}"

    def _make_home(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home.chmod(0o700)
        _give(self.home)

    def _prepare(self, whole: dict[str, Any], source: spec.Source | None) -> None:
        store = Cache.default()
        tools.ensure(store)
        if "os" not in whole:
            whole["os"] = {"name": _available_system()}
        packages.require(private.missing())
        libvirt = dict(whole.get("platform", {}).get("libvirt", {}))
        stand_in = document.is_stand_in(whole)
        own = None
        if "uri" not in libvirt and (stand_in or private.status(self.name).exists or not uses_system_libvirt()):
            own = self._private_libvirt()
            libvirt["uri"] = own.uri
        if stand_in:
            if own is None:
                raise LabError(
                    "the stand-in OS gets its downloads from servers beside a private libvirt: leave out "
                    "platform.libvirt.uri, or give the image (os.image) and mirrors of your own"
                )
            say(report.STAND_IN)
            found = facts.collect(store)
            standin.serve(self.name, own.service_address, self.home / "mirror.log")
            whole = standin.complete(whole, found, own.service_address)
            libvirt.setdefault("disk_cache", "unsafe")
        elif own is not None:  # its nodes download from the official servers
            packages.require(egress.missing())
            egress.open_egress(self.name)
        whole["platform"] = {"libvirt": libvirt}
        parsed = spec.parse(whole, source=source)
        if own is not None:
            libvirt["api_port"] = forward.forward(self.name, str(parsed.controller_nodes[0].address))
        leftovers.remember(
            self.home, libvirt.get("uri", parsed.platform.uri), holdings_of(parsed, LibvirtNames.of(parsed))
        )
        if source is not None:
            document.remember(self.home, source)
        self.stack.configure(document.absolute(whole, source.directory if source else Path.cwd()))

    def _begin(self) -> None:
        """Put in order what an earlier run left, and write down that this one has begun."""
        for line in runs.end(self.home):
            say(f"ended {line}, of an earlier run")
        if self.stack.unlock():
            say("removed the lock of an earlier run")
        if self._unfinished.exists():
            for line in leftovers.remove_strays(self.stack):
                say(f"removed {line}, which an earlier run left outside the Pulumi state")
            self.stack.forget_pending()
        self._unfinished.touch(mode=0o600)

    def _rest(self) -> str:
        """What there is after a failed run, and what to do about it."""
        try:
            kinds = [resource["type"] for resource in self.stack.resources()]
        except (LabError, ValueError, KeyError):
            there = "part of the cluster may be there"
        else:
            machines = sum(kind == "libvirt:index/domain:Domain" for kind in kinds)
            there = f"there are {machines} machines and {len(kinds) - machines} other resources of the cluster"
        return f"{there}: `{self._says('up')}` goes on from here, `{self._says('down')}` removes everything"

    def _destroy(self) -> list[str]:
        """`pulumi destroy`, and where that fails, by the names of what the cluster owns."""
        stack, own = self.stack, private.status(self.name)
        if not stack.checkpoint.exists() and not (self._unfinished.exists() or self.kubeconfig.exists()):
            return []
        try:
            if own.exists and not own.running:
                private.start(self.name, progress=say)
            if not stack.checkpoint.exists():
                raise LabError(f"the Pulumi state {stack.checkpoint} is gone")
            stack.ensure()
            stack.unlock()
            stack.pulumi("destroy", "--yes", "--skip-preview", "--remove")
        except (LabError, FirestormError) as error:
            say(
                f"{error}\nPulumi cannot destroy {self.name}: what is described as the cluster's own is removed by name"
            )
            return self._destroy_by_name(private_libvirt=own.exists)
        return [f"the cluster {self.name}"]

    def _destroy_by_name(self, *, private_libvirt: bool) -> list[str]:
        try:
            return leftovers.remove_all(self.home)
        except FirestormError as error:
            if not private_libvirt:
                again = f"repair that, and run `{self._says('down')}` again"
                raise LabError(f"{error}\nThe cluster {self.name} is still there: {again}") from error
        return [*self._end_private(), *leftovers.remove_files(self.home)]

    def _end_private(self) -> list[str]:
        """The private libvirt and all in it. What a run that was killed at once left, only root can have made."""
        if os.geteuid() == 0 or private.status(self.name).exists:
            return list(private.stop(self.name, progress=say))
        return []

    def _private_libvirt(self) -> private.PrivateLibvirt:
        """A libvirt of the cluster's own, whose API server will be forwarded to loopback."""
        say(f"a private libvirt serves {self.name}, in a network namespace of its own")
        return private.start(self.name, progress=say)


def uses_system_libvirt() -> bool:
    """Whether a libvirt of the system's runs here that this user may use."""
    socket = socket_of("qemu:///system")
    return socket is not None and os.access(socket, os.R_OK | os.W_OK)


def status(development: Development) -> str:
    """As `Development.status`."""
    return development.status()


def _available_system() -> str:
    """The default OS where its release server answers, else the stand-in, said."""
    if reachable(_RELEASE_SERVERS["flatcar"]):
        return "flatcar"
    say("Flatcar's release server cannot be reached from here: the stand-in OS takes its place")
    return "debian"


def _give(path: Path) -> None:
    """Hand a file that root made to the user it is for."""
    owner = os.environ.get(OWNER)
    if owner and os.geteuid() == 0:
        user, _, group = owner.partition(":")
        os.chown(path, int(user), int(group))
