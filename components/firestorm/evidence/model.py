"""What evidence is collected of, and what came of it: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectNode:
    """A machine. `console` is its serial console's log on this host, and `earlier` what comes before that where the
    machine went on from a snapshot; `journal` is the host end of its journal port, as `LibvirtNames.journal` names it.
    None where there is none, or libvirt is on another host."""

    name: str
    role: Literal["controller", "worker"]
    address: str = ""
    console: Path | None = None
    earlier: Path | None = None
    journal: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A cluster, as far as it is known: every part may be absent.

    `configs` are {node: Ignition JSON}, which may hold secrets. `secrets` are the secret values of its state: none of
    them, nor what they are made of, appears in the evidence. `error` is what `up` or the command said.
    """

    name: str
    nodes: tuple[SubjectNode, ...] = ()
    kubeconfig: Path | None = None
    configs: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What could not be had, and why."""

    what: str
    why: str
