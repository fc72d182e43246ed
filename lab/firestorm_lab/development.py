"""The development cluster: a cluster of `firestorm.clusters` whose programs, and if need be images and mirrors, the lab
brings, and whose Pulumi program is the one at the root of the tree."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from firestorm import spec
from firestorm.clusters import document, record
from firestorm.clusters.files import Progress
from firestorm.clusters.life import Life
from firestorm.clusters.preparation import uses_system_libvirt
from firestorm.clusters.site import Site
from firestorm.errors import ClusterError, SpecError
from firestorm.platforms.libvirt import egress, private
from firestorm_lab import facts, packages, report, standin, tools
from firestorm_lab.cache import Cache
from firestorm_lab.download import reachable
from firestorm_lab.progress import say

TREE = Path(__file__).parents[2]
_RELEASE_SERVERS = {"flatcar": "https://stable.release.flatcar-linux.net"}


def _tools() -> dict[str, str]:
    return tools.ensure(Cache.default()).environment()


@dataclass(frozen=True, slots=True, kw_only=True)
class Development(Life):
    """A development cluster: as `Life`, and prepared with all that the lab has."""

    @classmethod
    def named(cls, name: str, say: Progress = say) -> Development:
        """The one whose home is in the default place."""
        return cls(
            name=name,
            home=record.default_home() / name,
            say=say,
            program=TREE,
            extra=_tools,
            command="make {} NAME={}",
        )

    def prepare(
        self,
        given: Mapping[str, Any],
        source: spec.Source | None = None,
        *,
        site: Site | None = None,
        ttl: timedelta | None = None,
    ) -> None:
        """As `Life.prepare`, with everything installed and built that it needs. Raises LabError where that fails."""
        whole = document.whole(self.name, given)
        check_early(whole, source)
        with self.working("up"):
            tools.ensure(Cache.default())
            if "os" not in whole:
                whole["os"] = {"name": _available_system()}
            packages.require(private.missing())
            if site is None and is_stand_in(whole):
                say(report.STAND_IN)
                site = standin.site(facts.collect(Cache.default()), sys.executable)
            elif site is None:
                packages.require(egress.missing())
            # Not by `super()`: a class with slots is made twice.
            Life.prepare(self, whole, source, site=site, ttl=ttl)

    def status(self) -> str:
        """What `up` printed, with what the API now says of the nodes. Raises ClusterError if it was never up."""
        outputs = self.stack.outputs() if self.stack.exists else {}
        if "nodes" not in outputs:
            what = "has not come up yet" if self.stack.exists else "does not exist"
            raise ClusterError(f"the cluster {self.name} {what}: `{self.says('up')}` brings it up")
        from firestorm.clusters.live import states as live_states  # loads a Kubernetes client

        names = [node["name"] for node in outputs["nodes"]]
        return self.summary(outputs, live_states(outputs["kubeconfig"], names))

    def summary(self, outputs: Mapping[str, Any], states: Mapping[str, str] | None = None) -> str:
        """`outputs` for people, each node with its state, Ready by default."""
        config = yaml.safe_load(self.stack_config.read_text())["config"]
        if states is None:
            states = {node["name"]: "Ready" for node in outputs["nodes"]}
        return report.cluster(outputs, config, self.kubeconfig, states)

    def output(self, name: str, *, secret: bool = False) -> str:
        """One of the stack's outputs, as text or JSON."""
        return self.pulumi("stack", "output", name, *(["--show-secrets"] if secret else []), quiet=True)


def check_early(whole: Mapping[str, Any], source: spec.Source | None) -> None:
    """Find problems before anything is installed or started.

    The stand-in OS has no image yet, and what follows from that is no problem. Raises SpecError.
    """
    try:
        spec.parse(whole, source=source)
    except SpecError as error:
        problems = [problem for problem in error.problems if not (is_stand_in(whole) and problem.path.startswith("os"))]
        if problems:
            raise SpecError(problems) from None


def is_stand_in(whole: Mapping[str, Any]) -> bool:
    """Whether the cluster runs the stand-in OS, and brings no image of it."""
    system = whole.get("os")
    return isinstance(system, dict) and system.get("name") == "debian" and "image" not in system


def _available_system() -> str:
    """The default OS where its release server answers, else the stand-in, said."""
    if reachable(_RELEASE_SERVERS["flatcar"]):
        return "flatcar"
    say("Flatcar's release server cannot be reached from here: the stand-in OS takes its place")
    return "debian"


__all__ = ["TREE", "Development", "check_early", "is_stand_in", "uses_system_libvirt"]
