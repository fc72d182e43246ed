"""The Cluster component: from arguments to Ready nodes.

The way of the data is the order of this file: spec, images and acceleration, configs, PKI, machines, readiness. Every
problem that can be known is raised before the first resource is declared.
"""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from firestorm import images, node, spec
from firestorm.errors import FirestormError, PlatformError, RenderError
from firestorm.images.console import ConsoleProgress
from firestorm.node.sealed import SealedConfig
from firestorm.pki import Pki, parse_expires, request_for, warnings
from firestorm.pki.resource import ClusterPki
from firestorm.pki.token import BootstrapToken
from firestorm.platforms.libvirt import acceleration, capacity
from firestorm.platforms.libvirt.claim import Claim
from firestorm.platforms.libvirt.naming import LibvirtNames
from firestorm.platforms.libvirt.resources import Machine, MachineConfig, provision
from firestorm.readiness.resource import ClusterReadiness, ClusterReadinessArgs
from firestorm.releases import lookup
from firestorm.render import admin_kubeconfig, manifests
from firestorm.spec import ClusterArgs
from firestorm.spec.model import ClusterSpec, Node, OsImage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """All that is known of a cluster before any resource of it exists."""

    spec: ClusterSpec
    acceleration: str
    images: Mapping[str, images.LocalImage]
    identities: Mapping[str, str]


class Cluster(pulumi.ComponentResource):
    """A Kubernetes cluster of container-OS machines.

    `args` is the document that `cluster.yaml` holds (see docs/cluster.md); only `name` is required. Raises
    pulumi.RunError with every problem of the arguments, before any resource exists.
    """

    kubeconfig: pulumi.Output[str]
    """The administrator's kubeconfig; a secret."""
    api_address: pulumi.Output[str]
    """https://host:port of the API server, as the kubeconfig names it."""
    nodes: pulumi.Output[list[dict[str, str]]]
    """A table: name, role, address, version, operating system, kernel, container runtime of each node."""
    expires: pulumi.Output[dict[str, str]]
    """{certificate: date of expiry, ISO 8601}."""
    seconds: pulumi.Output[dict[str, float]]
    """{phase: seconds from the start of its last wait until it was complete}."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        try:
            plan = _plan(args)  # before the component itself is registered, so that a bad spec leaves nothing
        except FirestormError as error:
            raise pulumi.RunError(str(error)) from error
        super().__init__("firestorm:index:Cluster", name, None, opts)
        cluster = plan.spec
        pulumi.log.info(f"machines run under {plan.acceleration}", self)
        child = pulumi.ResourceOptions(parent=self)

        pki = ClusterPki(f"{name}-pki", request_for(cluster), opts=child)
        pki.expires.apply(lambda expires: _warn_of_expiry(self, expires))
        token = BootstrapToken(f"{name}-bootstrap-token", dict(plan.identities), opts=child)
        configs = {n.name: self._seal(cluster, n, plan.identities[n.name], pki, token) for n in cluster.nodes}
        names = LibvirtNames.of(cluster)
        claim = Claim.of(f"{name}-claim", cluster, names, opts=child)
        machines = provision(
            cluster, acceleration=plan.acceleration, images=plan.images, configs=configs, claim=claim, parent=self
        )
        self.kubeconfig = pulumi.Output.secret(
            pki.bundle.apply(lambda bundle: admin_kubeconfig(cluster, Pki.from_json(bundle)))
        )
        ready = self._readiness(name, plan, machines, token)
        self.api_address = pulumi.Output.from_input(f"https://{cluster.admin_endpoint}")
        self.nodes = ready.node_table
        self.expires = pki.expires
        self.seconds = ready.seconds
        self.register_outputs(
            {
                "kubeconfig": self.kubeconfig,
                "api_address": self.api_address,
                "nodes": self.nodes,
                "expires": self.expires,
                "seconds": self.seconds,
            }
        )

    def _seal(
        self, cluster: ClusterSpec, n: Node, identity: str, pki: ClusterPki, token: BootstrapToken
    ) -> MachineConfig:
        content = pulumi.Output.all(pki.bundle, token.token).apply(
            lambda values: node.node_config(cluster, n, Pki.from_json(values[0]), values[1]).json
        )
        sealed = SealedConfig(f"{n.name}-config", identity, content, opts=pulumi.ResourceOptions(parent=self))
        return MachineConfig(ignition=sealed.content, identity=identity)

    def _readiness(
        self, name: str, plan: _Plan, machines: Mapping[str, Machine], token: BootstrapToken
    ) -> ClusterReadiness:
        cluster = plan.spec
        release = lookup(cluster, cluster.controllers.os.arch)
        rendered = pulumi.Output.all(token.token, token.issued).apply(
            lambda values: json.dumps(
                manifests(cluster, release, token=values[0], now=datetime.datetime.fromisoformat(values[1]))
            )
        )
        return ClusterReadiness(
            f"{name}-ready",
            ClusterReadinessArgs(
                kubeconfig=self.kubeconfig,
                manifests=rendered,
                nodes=[
                    {
                        "name": n.name,
                        "role": n.role,
                        "identity": plan.identities[n.name],
                        "uuid": machines[n.name].uuid,
                        "console": machines[n.name].console,
                        "journal": machines[n.name].journal,
                    }
                    for n in cluster.nodes
                ],
                timeout=cluster.ready_timeout,
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[m.resource for m in machines.values()]),
        )


def _plan(args: Mapping[str, Any]) -> _Plan:
    """Read the arguments, fetch the images, compile every node's config once with placeholders for its secrets."""
    cluster = spec.parse(args, host=_host(args))
    previews: dict[str, node.NodeConfig] = {}
    problems: list[str] = []
    for n in cluster.nodes:
        try:
            previews[n.name] = node.preview_config(cluster, n)
        except RenderError as error:
            problems.append(f"{n.name}:\n{error}")
    if problems:
        raise RenderError("\n".join(problems))
    for text in dict.fromkeys(warning for config in previews.values() for warning in config.warnings):
        pulumi.log.warn(text)
    if lacking := capacity.problems(cluster):
        raise PlatformError("\n".join(lacking))
    local = _fetch_images(cluster)
    if small := [
        f"pool {pool.name}: its disk of {pool.disk} GiB is smaller than its image of "
        f"{-(-local[pool.name].virtual_size // 2**30)} GiB; raise `disk`"
        for pool in cluster.pools
        if pool.disk * 2**30 < local[pool.name].virtual_size
    ]:
        raise PlatformError("\n".join(small))
    return _Plan(
        spec=cluster,
        acceleration=acceleration.choose(cluster.platform.acceleration),
        images=local,
        identities={
            n.name: node.identity(cluster, n, previews[n.name], local[n.pool.name].name) for n in cluster.nodes
        },
    )


def _fetch_images(cluster: ClusterSpec) -> dict[str, images.LocalImage]:
    """The image of every pool, each distinct one looked up once."""
    servers = images.Servers(mirrors=cluster.mirrors)
    found: dict[OsImage, images.LocalImage] = {}
    with ConsoleProgress() as progress:
        for image in dict.fromkeys(pool.os for pool in cluster.pools):
            found[image] = images.fetch(image, images.default_cache(), servers=servers, progress=progress)
    return {pool.name: found[pool.os] for pool in cluster.pools}


def _host(args: Mapping[str, Any]) -> spec.HostFacts:
    """The host's routes, where the machines' network joins them: a private libvirt's is in a namespace of its own."""
    platform = args.get("platform") if isinstance(args, Mapping) else None
    libvirt = platform.get("libvirt") if isinstance(platform, Mapping) else None
    private = isinstance(libvirt, Mapping) and libvirt.get("api_port") is not None
    return spec.HostFacts() if private else spec.HostFacts.gather()


def _warn_of_expiry(cluster: pulumi.Resource, expires: Mapping[str, str]) -> None:
    for line in warnings(parse_expires(expires), _now()):
        pulumi.log.warn(line, cluster)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
