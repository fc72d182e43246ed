"""Checks of node pools: names, numbers, sizes, labels and taints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

from firestorm.spec.model import NodePool, Role, Snippet, Taint
from firestorm.spec.problems import nearest, shown
from firestorm.spec.section import Section
from firestorm.spec.syntax import is_dns_label, is_label_value, is_qualified_name
from firestorm.spec.systems import System

Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]

CONTROLLER = "controller"
_LABEL_RULE = "letters, digits, '-', '_' and '.', at most 63, beginning and ending with a letter or digit"
#: Labels within Kubernetes' own domains that a kubelet may give its own node (k8s.io/kubelet, well_known_labels.go);
#: of these it computes some itself.
_KUBELET_LABELS = frozenset(
    {
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
    }
)
_KUBELET_COMPUTED = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    }
)
_KUBELET_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_RESERVED_NAMESPACES = ("kubernetes.io", "k8s.io")


def check_pool(
    section: Section, *, name: str, role: Role, block: int, system: System, snippets: tuple[Snippet, ...]
) -> NodePool:
    """A pool from its section; its name is checked by `check_names`."""
    controller = role == "controller"
    minimum = (2, 2048, "a control plane") if controller else (1, 1024, "a worker")
    cpus = section.whole("cpus")
    if cpus < minimum[0]:
        section.problem("cpus", f"is {cpus}", f"give at least {minimum[0]}: {minimum[2]} needs it")
    count = section.whole("count")
    if controller:
        _check_controllers(section, count)
    elif count < 0:
        section.problem("count", f"is {count}", "give 0 or more")
    return NodePool(
        name=name,
        role=role,
        count=max(count, 0),
        cpus=cpus,
        memory=section.quantity("memory", minimum[1], f"{minimum[2]} needs it"),
        disk=section.quantity("disk", 10, "the system and its images need it"),
        os=system.image,
        block=block,
        labels=_labels(section),
        taints=_taints(section),
        snippets=snippets,
    )


def _check_controllers(section: Section, count: int) -> None:
    if count < 1:
        section.problem("count", f"is {count}", "a cluster needs at least one controller")
    elif count % 2 == 0:
        section.problem(
            "count",
            f"is {count}, an even number: etcd needs a majority, so {count} survive no more failures than {count - 1}",
            "use 1; 3 and 5 are not supported yet",
        )
    elif count > 1:
        section.problem("count", f"is {count}, but several controllers are not supported yet", "use 1")


def check_names(cluster: str, pools: Sequence[tuple[Section, NodePool]]) -> None:
    """Names of worker pools: syntax, uniqueness, and that every node's name is a DNS label."""
    seen: dict[str, str] = {}
    for section, pool in pools:
        where = "name" if section.given("name") else None
        if pool.role == "worker" and pool.name == CONTROLLER:
            section.problem(where, f'is "{CONTROLLER}", which is reserved for the control plane', "choose another name")
        elif not is_dns_label(pool.name):
            section.problem(where, f"is {shown(pool.name)}, which is no DNS label", DNS_LABEL_RULE)
        elif pool.name in seen and where:
            section.problem(where, f'is "{pool.name}", the name of {seen[pool.name]}, too', "names must differ")
        elif pool.name in seen:
            section.problem(None, f'has no name, and "{pool.name}" is that of {seen[pool.name]}', "give it a name")
        seen.setdefault(pool.name, _pool_words(section))
        node = f"{cluster}-{pool.name}-{max(pool.count - 1, 0)}"
        if len(node) > 63 and is_dns_label(pool.name) and is_dns_label(cluster):
            section.problem(
                where,
                f"makes node names like {shown(node)} of {len(node)} characters; a DNS label has at most 63",
                "shorten the cluster's or the pool's name",
            )


DNS_LABEL_RULE = "use lowercase letters, digits and '-', at most 63, beginning and ending with a letter or digit"


def _pool_words(section: Section) -> str:
    index = section.path[-1] if section.path else ""
    return f"workers[{index}]" if isinstance(index, int) else "the controllers"


def _labels(section: Section) -> dict[str, str]:
    labels = section.texts("labels")
    for key, value in labels.items():
        if not is_qualified_name(key):
            section.problems.add(
                section.at("labels", key), "is no label key", f"use [DNS name/]name, the name of {_LABEL_RULE}"
            )
            continue
        _check_label_domain(section, key)
        if not is_label_value(value):
            section.problems.add(section.at("labels", key), f"has the value {shown(value)}", f"use {_LABEL_RULE}")
    return labels


def _check_label_domain(section: Section, key: str) -> None:
    domain = key.rpartition("/")[0]
    if key in _KUBELET_COMPUTED:
        section.problems.add(section.at("labels", key), "is a label that the kubelet sets itself", "leave it out")
        return
    reserved = any(domain == name or domain.endswith(f".{name}") for name in _RESERVED_NAMESPACES)
    allowed = key in _KUBELET_LABELS or any(
        domain == name or domain.endswith(f".{name}") for name in _KUBELET_NAMESPACES
    )
    if reserved and not allowed:
        section.problems.add(
            section.at("labels", key),
            "is in Kubernetes' own domain, where a kubelet may not label its node (NodeRestriction)",
            "use a domain of your own or node.kubernetes.io/, or label the node with kubectl",
        )


def _taints(section: Section) -> tuple[Taint, ...]:
    taints: list[Taint] = []
    for entry, (path, raw) in zip(section.sections("taints"), section.items("taints"), strict=True):
        taint = _parse_taint(entry, raw) if isinstance(raw, str) else _read_taint(entry)
        if taint is None:
            continue
        if not is_qualified_name(taint.key) and not section.problems.broken((*path, "key")):
            entry.problem(None, f"has the key {shown(taint.key)}", f"use [DNS name/]name, the name of {_LABEL_RULE}")
        if not is_label_value(taint.value):
            entry.problem(None, f"has the value {shown(taint.value)}", f"use {_LABEL_RULE}")
        if any((taint.key, taint.effect) == (other.key, other.effect) for other in taints):
            entry.problem(None, f"repeats {taint.key}:{taint.effect}", "a key has one taint per effect; remove one")
        taints.append(taint)
    return tuple(taints)


def _read_taint(entry: Section) -> Taint:
    return Taint(key=entry.text("key"), value=entry.text("value"), effect=cast(Effect, entry.choice("effect")))


def _parse_taint(entry: Section, text: str) -> Taint | None:
    """kubectl's way: key=value:Effect, key:Effect."""
    pair, colon, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    if not colon:
        entry.problem(None, f"is {shown(text)}, which is no taint", "write it like dedicated=gpu:NoSchedule")
        return None
    if effect not in get_args(Effect):
        entry.problem(None, f"has the effect {shown(effect)}", nearest(effect, get_args(Effect)))
        return None
    return Taint(key=key, value=value, effect=cast(Effect, effect))
