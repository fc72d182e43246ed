"""Clusters that go on from where an earlier run's was Ready: its machines' memory and disks, kept on this host.

The first run brings a cluster up and freezes all of its machines once everything is Ready. At its end they are switched
off: the cluster rests, and no process of it is left. The next run of the same description goes on from there, in
seconds, and sees nothing of what was done meanwhile. It is the same cluster again, with the names, the addresses, the
keys and the certificates of the first; only its nodes' clocks are set.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import firestorm_butane
from firestorm import spec
from firestorm.clusters import consoles, document, record, runs, site
from firestorm.clusters.files import Progress, silent
from firestorm.clusters.known import Clusters, read_args
from firestorm.clusters.life import Life
from firestorm.clusters.marks import relabel
from firestorm.clusters.record import ClusterRecord, Keeper
from firestorm.clusters.running import RunningCluster
from firestorm.clusters.runs import BusyError
from firestorm.errors import ClusterError, FirestormError
from firestorm.platforms.libvirt import checkpoints, private
from firestorm.platforms.libvirt.naming import LibvirtNames
from firestorm.platforms.libvirt.virsh import Virsh
from firestorm.readiness import port
from firestorm.readiness.api import Cluster

_LOAD = 600.0  # seconds for one machine's memory, from a slow disk
_ANSWER = 180.0
_ALIKE = "snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The cluster that `args` describe, as Ready as it once was. `name` is that of all clusters of this description;
    `age` is how old the frozen state may become."""

    clusters: Clusters
    args: Mapping[str, Any] | Path
    name: str
    age: timedelta
    say: Progress = silent

    @classmethod
    def of(cls, clusters: Clusters, args: Mapping[str, Any] | Path, age: timedelta, say: Progress = silent) -> Snapshot:
        """Raises SpecError for wrong arguments."""
        given, source = read_args(args)
        described = spec.parse(site.load().document(_ALIKE, given, source), source=source)
        return cls(clusters=clusters, args=args, name=snapshot_name(described), age=age, say=say)

    def up(self, ttl: timedelta) -> RunningCluster | None:
        """The cluster, from its frozen state or, without one, made anew and frozen; None if another run has it.

        Raises SpecError, ClusterError or PlatformError if it does not come up.
        """
        found = self._record()
        if found is not None and (found.abandoned or (found.state == "resting" and found.expired(datetime.now(UTC)))):
            self.clusters.down(self.name, progress=self.say)
            found = self._record()
        try:
            if found is not None and found.state == "resting":
                cluster = self._go_on(ttl)
                if cluster is not None:
                    return cluster
                self.clusters.down(self.name, progress=self.say)
            elif found is not None:
                return None
            cluster = self.clusters.up(self.args, name=self.name, ttl=ttl, progress=self.say, ephemeral=True)
        except BusyError:
            return None
        self._freeze(cluster)
        return cluster

    def end(self) -> None:
        """Have the cluster rest until its frozen state is too old, or end it if it has none."""
        life = self.clusters.life(self.name, self.say)
        found = life.record
        domains = [node["name"] for node in life.outputs().get("nodes", ())]
        if found is None or not domains or not checkpoints.taken(Virsh(uri=found.uri), domains):
            self.clusters.down(self.name, progress=self.say)
            return
        with runs.exclusive(life.home, "firestorm ci run"):
            checkpoints.switch_off(Virsh(uri=found.uri), domains)
            entry = life.register.entry(self.name)
            if entry is not None:
                if entry.private:
                    private.rest(self.name)
                life.register.put(replace(entry, memory=0))
            life.note(state="resting", keeper=None, expires=found.created + self.age)
        self.say(
            f"the cluster {self.name} rests: the next run with --snapshot goes on from it until "
            f"{found.created + self.age:%Y-%m-%d %H:%M} UTC; `firestorm down {self.name}` removes it"
        )

    def _record(self) -> ClusterRecord | None:
        return record.read(self.clusters.home / self.name)

    def _freeze(self, cluster: RunningCluster) -> None:
        life, nodes = self.clusters.life(self.name), [node.name for node in cluster.nodes]
        found, names = life.record, _names(life)
        try:
            consoles.keep(life.home, {node: names.console(node) for node in nodes})
        except OSError as error:
            self.say(f"evidence of later runs will lack how the machines booted: {error.filename}: {error.strerror}")
        try:
            checkpoints.take(Virsh(uri=found.uri if found else "", timeout=_LOAD), nodes)
        except FirestormError as error:
            self.say(f"{error}\nWithout a snapshot, the cluster {self.name} ends with this run")

    def _go_on(self, ttl: timedelta) -> RunningCluster | None:
        """The cluster from its frozen state; None if that is of no use. Where the host has no room for it now, it rests
        on, and the error is raised."""
        life = self.clusters.life(self.name, self.say)
        given, source = read_args(self.args)
        with life.working("up"):
            found = life.record
            if found is None or found.state != "resting":
                raise BusyError(f"another run has begun with {self.name}")
            self.say(f"going on from the snapshot of {self.name}, of {found.created:%Y-%m-%d %H:%M} UTC")
            life.note(keeper=Keeper.this(), expires=datetime.now(UTC).replace(microsecond=0) + ttl)
            before = _api_port(life)
            try:
                life.prepare(given, source, site=site.load())
            except FirestormError:
                life.note(state="resting", keeper=None, expires=found.expires)
                raise
            try:
                if _api_port(life) != before:
                    raise ClusterError(f"port {before} of 127.0.0.1, which its kubeconfig names, is another program's")
                return self._restored(life, found)
            except FirestormError as error:
                self.say(f"{error}\nThe snapshot of {self.name} is of no use, and the cluster is made anew")
                return None

    def _restored(self, life: Life, found: ClusterRecord) -> RunningCluster:
        cluster, virsh = RunningCluster.of(life), Virsh(uri=found.uri, timeout=_LOAD)
        for network in virsh.networks():
            if network.labels.get("id") == found.id and not network.active:
                virsh.start_network(network.name)  # libvirt itself was not running meanwhile
        checkpoints.restore(virsh, [node.name for node in cluster.nodes])
        consoles.go_on(life.home)
        self._set_clocks(life, cluster)
        _wait(cluster)
        if (now := life.note(state="up")) is not None:
            relabel(now)
        return cluster

    def _set_clocks(self, life: Life, cluster: RunningCluster) -> None:
        """By the machines' own, which went on. A node that does not hear of it keeps its time, which is no lesser
        cluster: only certificates that were issued meanwhile are not yet valid to it."""
        names = _names(life)
        for node in cluster.nodes:
            try:
                port.ask(Path(names.journal(node.name)), "clock")
            except port.PortError as error:
                self.say(f"the clock of {node.name} was not set: {error}")


def _wait(cluster: RunningCluster) -> None:
    """Until the API server answers, all nodes are Ready to it, and it reaches their kubelets. Raises ClusterError."""
    deadline = time.monotonic() + _ANSWER
    with Cluster.from_kubeconfig(cluster.kubeconfig.read_text()) as api:
        while True:
            state = api.state()
            waiting = {node.name for node in cluster.nodes} - {node.name for node in state.nodes or () if node.ready}
            if state.ready and not waiting:
                waiting = {node.name for node in cluster.nodes if not api.reaches_kubelet(node.name)}
                if not waiting:
                    return
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{', '.join(sorted(waiting))}: not Ready {_ANSWER:.0f} s after its machine went on: {state.error}"
                )
            time.sleep(0.2)


def _names(life: Life) -> LibvirtNames:
    return LibvirtNames.of(spec.parse(document.configured(life.stack_config)))


def _api_port(life: Life) -> object:
    return document.configured(life.stack_config).get("platform", {}).get("libvirt", {}).get("api_port")


def snapshot_name(described: spec.ClusterSpec) -> str:
    """What clusters of a description are called that go on from a snapshot.

    It depends on all that the description names, but its own name, and on this Firestorm: another one would make
    another cluster.
    """
    digest = hashlib.sha256(repr(replace(described, name=_ALIKE)).encode())
    for package in (Path(__file__).parents[1], Path(firestorm_butane.__file__).parent):
        for path in sorted(package.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(path.relative_to(package).as_posix().encode())
                digest.update(path.read_bytes())
    return f"snap-{digest.hexdigest()[:8]}"
