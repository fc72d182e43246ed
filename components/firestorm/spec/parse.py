"""From a document to a `ClusterSpec`, gathering every problem on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firestorm.errors import SpecError
from firestorm.spec.document import DOCUMENT
from firestorm.spec.host import HostFacts
from firestorm.spec.machines import CONTROLLER, DNS_LABEL_RULE, check_names, check_pool
from firestorm.spec.model import ClusterSpec, NodePool, Role, bridge_name
from firestorm.spec.network import check_network, check_pools
from firestorm.spec.plain import Plain, walk
from firestorm.spec.problems import Problems, shown
from firestorm.spec.section import Section
from firestorm.spec.shape import findings, report_structure, report_values
from firestorm.spec.snippets import check_snippets
from firestorm.spec.source import Source
from firestorm.spec.sources import (
    check_artifacts,
    check_kubernetes_version,
    check_libvirt,
    check_mirrors,
    check_ssh_keys,
)
from firestorm.spec.syntax import is_dns_label, is_dns_name
from firestorm.spec.systems import System, check_kubernetes, check_system

PLATFORM = "libvirt"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """A pool with the sections of the document that speak of it and of its operating system."""

    section: Section
    os: Section
    system: System
    pool: NodePool


def parse(
    data: Mapping[str, object], *, source: Source | str | None = None, host: HostFacts | None = None
) -> ClusterSpec:
    """The specification that a document describes.

    `source` says where the document came from: a name for messages, or a `Source` with the place of every field.
    `host` is what is known of the deploying host's networks; without it, none are avoided.

    Raises:
        SpecError: with every problem of the document. Nothing else is raised, whatever the data.
    """
    origin = source if isinstance(source, Source) else Source(name=source)
    copier = Plain()
    document = copier.copy(data)
    problems = Problems(origin, {path: index for index, path in enumerate(walk(document))})
    for path, text, remedy in copier.problems:
        problems.add_broken(path, text, remedy)
    if copier.endless:
        raise SpecError(problems.in_order())
    found = findings(document)
    report_structure(found, problems)
    spec = _spec(Section(DOCUMENT, document, (), problems), origin, host or HostFacts())
    report_values(found, problems)
    if gathered := problems.in_order():
        raise SpecError(gathered)
    return spec


def _spec(document: Section, origin: Source, host: HostFacts) -> ClusterSpec:
    name = document.text("name")
    if document.given("name") and not is_dns_label(name):
        document.problem("name", f"is {shown(name)}, which is no DNS label", DNS_LABEL_RULE)
    network = check_network(document.section("network"), host, bridge_name(name))
    artifacts = check_artifacts(document)
    pools = _pools(document, origin)
    kubernetes = check_kubernetes_version(
        document.section("kubernetes"), artifacts, frozenset(pool.system.image.arch for pool in pools)
    )
    for pool in pools:
        check_kubernetes(pool.os, pool.system, kubernetes)
    sized = [(pool.section, pool.pool) for pool in pools]
    check_names(name, sized)
    check_pools(document.section("network"), network, sized)
    timeout = document.quantity("ready_timeout", 60, "no cluster is ready sooner")
    generation = document.whole("pki_generation")
    if generation < 1:
        document.problem("pki_generation", f"is {generation}", "give at least 1")
    return ClusterSpec(
        name=name,
        kubernetes=kubernetes,
        network=network,
        controllers=pools[0].pool,
        workers=tuple(pool.pool for pool in pools[1:]),
        platform=check_libvirt(document.section("platform").section(PLATFORM)),
        domain=_domain(document, network.domain),
        mirrors=check_mirrors(document),
        artifacts=artifacts,
        ssh_authorized_keys=check_ssh_keys(document),
        pki_generation=generation,
        ready_timeout=timeout,
    )


def _pools(document: Section, origin: Source) -> list[_Pool]:
    base = check_system(document.section("os"), None, PLATFORM, origin.directory, is_default=True)
    sections = document.sections("workers")
    blocks = _blocks(sections)
    pools = [_pool(document.section("controllers"), CONTROLLER, "controller", 0, base, document, origin)]
    for section, block in zip(sections, blocks, strict=True):
        pools.append(_pool(section, section.text("name"), "worker", block, base, document, origin))
    return pools


def _pool(
    section: Section, name: str, role: Role, block: int, base: System, document: Section, origin: Source
) -> _Pool:
    # A pool that says nothing of its system has the cluster's, and so have the messages.
    os = section.section("os") if section.given("os") else document.section("os")
    system = check_system(os, base.image, PLATFORM, origin.directory)
    snippets = check_snippets(section, system, origin.directory)
    pool = check_pool(section, name=name, role=role, block=block, system=system, snippets=snippets)
    return _Pool(section=section, os=os, system=system, pool=pool)


def _blocks(sections: list[Section]) -> list[int]:
    """Each worker pool's block: its own wish, or the lowest that is free."""
    wished = [section.whole("block") if section.given("block") else None for section in sections]
    for index, (section, block) in enumerate(zip(sections, wished, strict=True)):
        if block is None:
            continue
        if block < 1:
            section.problem("block", f"is {block}", "give 1 or more; block 0 is the controllers'")
        elif block in wished[:index]:
            section.problem("block", f"is {block}, the block of workers[{wished.index(block)}], too", "choose another")
    taken = {block for block in wished if block is not None}
    blocks: list[int] = []
    for block in wished:
        if block is None:
            block = next(free for free in range(1, len(wished) + len(taken) + 2) if free not in taken)
            taken.add(block)
        blocks.append(block)
    return blocks


def _domain(document: Section, services: str) -> str:
    domain = document.text("domain")
    if not is_dns_name(domain):
        document.problem("domain", f"is {shown(domain)}, which is no DNS name", "use lowercase labels joined by dots")
    elif domain == services or domain.endswith(f".{services}"):
        document.problem(
            "domain",
            f"is {shown(domain)}, within the Services' domain {services}, which the cluster's own DNS answers",
            "choose a domain outside of it",
        )
    return domain
