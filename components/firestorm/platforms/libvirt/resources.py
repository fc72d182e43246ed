"""The libvirt resources of a cluster: the one module that touches pulumi-libvirt.

The platform's duty ends when every machine has been powered on with its Ignition config. Whether it booted, and what it
became, is `firestorm.readiness`' to find out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from xml.sax.saxutils import escape

import pulumi
import pulumi_libvirt as libvirt

from firestorm.images import LocalImage
from firestorm.platforms.libvirt.labels import metadata
from firestorm.platforms.libvirt.naming import LibvirtNames, pool_permissions
from firestorm.platforms.libvirt.reservation import Reservation
from firestorm.spec.model import ClusterSpec, Node, NodePool

# Where Ignition looks for its config in QEMU's firmware configuration device.
# https://coreos.github.io/ignition/supported-platforms/ and https://www.flatcar.org/docs/latest/installing/vms/libvirt/
_FIRMWARE_CONFIG = {
    "flatcar": "opt/org.flatcar-linux/config",
    "fcos": "opt/com.coreos/config",
    "debian": "opt/com.coreos/config",
}
_CPU = {"kvm": "host-passthrough", "tcg": "maximum"}
_DOMAIN_TYPE = {"kvm": "kvm", "tcg": "qemu"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineConfig:
    """What one node boots: its Ignition config (secret JSON) and the identity that names its volumes."""

    ignition: pulumi.Output[str]
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A powered-on machine: its SMBIOS UUID, which the node reports as `systemUUID`, its console's file, and the host's
    end of its journal port."""

    uuid: pulumi.Output[str]
    console: str
    journal: str
    resource: libvirt.Domain


def provision(
    spec: ClusterSpec,
    *,
    acceleration: str,
    images: Mapping[str, LocalImage],
    configs: Mapping[str, MachineConfig],
    claim: pulumi.Resource,
    parent: pulumi.Resource,
) -> dict[str, Machine]:
    """Declare the network, the pool, the images and a machine per node; {node name: machine}.

    `images` is by pool name; `acceleration` is "kvm" or "tcg". Everything depends on `claim`, whose deletion comes last
    and clears what a failed run may have left outside the state.
    """
    names = LibvirtNames.of(spec)
    provider = libvirt.Provider(
        f"{spec.name}-libvirt",
        uri=spec.platform.uri,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[claim]),
    )
    opts = pulumi.ResourceOptions(parent=parent, provider=provider, depends_on=[claim])
    pool = libvirt.Pool(
        f"{spec.name}-pool",
        name=names.pool,
        type="dir",
        target=libvirt.PoolTargetArgs(path=names.pool_path),
        xml=libvirt.PoolXmlArgs(xslt=_stylesheet("pool.xsl", {}, **pool_permissions(spec.platform))),
        opts=opts,
    )
    network = libvirt.Network(
        f"{spec.name}-network",
        name=names.network,
        mode="nat",
        bridge=spec.bridge,
        domain=spec.domain,
        addresses=[str(spec.network.nodes)],
        xml=libvirt.NetworkXmlArgs(xslt=_stylesheet("network.xsl", spec.platform.labels)),
        dhcp=libvirt.NetworkDhcpArgs(enabled=True),
        dns=libvirt.NetworkDnsArgs(
            enabled=True,
            local_only=True,
            hosts=[
                libvirt.NetworkDnsHostArgs(hostname=spec.api_name, ip=str(node.address))
                for node in spec.controller_nodes
            ],
        ),
        opts=opts,
    )
    bases = {pool_.name: _base_volume(spec, pool_, images[pool_.name], pool, opts) for pool_ in spec.pools}
    return {
        node.name: _machine(
            spec,
            node,
            names=names,
            config=configs[node.name],
            image=images[node.pool.name],
            base=bases[node.pool.name],
            pool=pool,
            network=network,
            acceleration=acceleration,
            opts=opts,
        )
        for node in spec.nodes
    }


def _base_volume(
    spec: ClusterSpec,
    machines: NodePool,
    image: LocalImage,
    pool: libvirt.Pool,
    opts: pulumi.ResourceOptions,
) -> libvirt.Volume:
    """The image that the disks of one node pool rest on.

    The controllers' is never replaced, whatever image the channel has moved on to: their disks live on it.
    """
    kept = ["name", "source", "format"] if machines.role == "controller" else []
    return libvirt.Volume(
        f"{spec.name}-{machines.name}-base",
        name=f"{machines.name}-{image.name}",
        pool=pool.name,
        source=str(image.path),
        format=image.format,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=kept)),
    )


def _machine(
    spec: ClusterSpec,
    node: Node,
    *,
    names: LibvirtNames,
    config: MachineConfig,
    image: LocalImage,
    base: libvirt.Volume,
    pool: libvirt.Pool,
    network: libvirt.Network,
    acceleration: str,
    opts: pulumi.ResourceOptions,
) -> Machine:
    """A node's Ignition volume, its root volume named by its identity, and its domain, replaced together."""
    suffix = config.identity[:12]
    ignition = libvirt.Ignition(
        f"{node.name}-ignition",
        name=f"{node.name}-{suffix}.ign",
        pool=pool.name,
        content=config.ignition,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["content"])),
    )
    root = libvirt.Volume(
        f"{node.name}-root",
        name=f"{node.name}-{suffix}.qcow2",
        pool=pool.name,
        base_volume_id=base.id,
        size=node.pool.disk * 2**30,
        format="qcow2",
        opts=opts,
    )
    console, journal = names.console(node.name), names.journal(node.name)
    reservation = Reservation(
        f"{node.name}-address",
        spec.platform.uri,
        network.name,
        node,
        opts=pulumi.ResourceOptions(parent=opts.parent, depends_on=[network]),
    )
    domain = libvirt.Domain(
        f"{node.name}",
        name=node.name,
        description=names.description,
        type=_DOMAIN_TYPE[acceleration],
        machine="q35" if node.pool.os.arch == "amd64" else "virt",
        cpu=libvirt.DomainCpuArgs(mode=_CPU[acceleration]),
        vcpu=node.pool.cpus,
        memory=node.pool.memory,
        coreos_ignition=ignition.id,
        fw_cfg_name=_FIRMWARE_CONFIG[node.pool.os.name],
        kernel=str(image.kernel) if image.kernel else None,
        initrd=str(image.initrd) if image.initrd else None,
        cmdlines=_kernel_arguments(node.pool.os.kernel_arguments),
        disks=[libvirt.DomainDiskArgs(volume_id=root.id)],
        network_interfaces=[
            libvirt.DomainNetworkInterfaceArgs(
                network_id=network.id,
                network_name=network.name,  # the provider reads it back, and would find it changed
                mac=node.mac.upper(),
                wait_for_lease=False,
            )
        ],
        xml=libvirt.DomainXmlArgs(
            xslt=_stylesheet(
                "domain.xsl",
                spec.platform.labels,
                console=console,
                journal=journal,
                cache=spec.platform.disk_cache,
            )
        ),
        opts=pulumi.ResourceOptions.merge(
            opts,
            # The machine's name and address are its node's: the old one must be gone before the new one is made.
            pulumi.ResourceOptions(
                depends_on=[reservation],
                delete_before_replace=True,
                replace_on_changes=["disks", "coreos_ignition"],
                ignore_changes=["kernel", "initrd", "cmdlines"] if node.role == "controller" else [],
            ),
        ),
    )
    return Machine(uuid=domain.id, console=console, journal=journal, resource=domain)


def _kernel_arguments(arguments: Sequence[str]) -> list[dict[str, str]] | None:
    """As the provider reads them back, or every run would find them changed.

    They are sorted; {key: value}, a new map where a key comes again; those without a value last, together under `_`.
    """
    maps: list[dict[str, str]] = []
    for argument in sorted(argument for argument in arguments if "=" in argument):
        key, _, value = argument.partition("=")
        if not maps or key in maps[-1]:
            maps.append({})
        maps[-1][key] = value
    if plain := sorted(argument for argument in arguments if "=" not in argument):
        maps.append({"_": " ".join(plain)})
    return maps or None


def _stylesheet(name: str, labels: Mapping[str, str], /, **values: str) -> str:
    text = (resources.files("firestorm.platforms.libvirt") / name).read_text()
    text = text.replace("@metadata@", metadata(labels))
    for mark, value in values.items():
        text = text.replace(f"@{mark}@", escape(value, {'"': "&quot;", "{": "{{", "}": "}}"}))
    return text
