"""What a specification must know about the deploying host."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The host's IPv4 routes as (CIDR, interface). Networks behind a namespace of their own are not the host's."""

    routes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def gather(cls) -> HostFacts:
        """The facts of this machine; none where there is no /proc/net/route."""
        try:
            return cls(routes=parse_routes(Path("/proc/net/route").read_text(encoding="ascii")))
        except OSError:
            return cls()


def parse_routes(table: str) -> tuple[tuple[str, str], ...]:
    """The routes in the text of /proc/net/route but for default ones: (CIDR, interface).

    proc(5): columns 2 and 8 are destination and mask, in hexadecimal and the machine's byte order, little-endian on
    every architecture that Firestorm deploys from.
    """
    found: list[tuple[str, str]] = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 8:
            continue
        destination, mask = (int.from_bytes(bytes.fromhex(columns[index]), "little") for index in (1, 7))
        if mask:
            found.append((str(ipaddress.IPv4Network((destination, mask.bit_count()))), columns[0]))
    return tuple(dict.fromkeys(found))
