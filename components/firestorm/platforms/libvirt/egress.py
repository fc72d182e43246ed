"""The way out of a private libvirt: user-mode NAT, so that guests can fetch what no mirror beside them has.

slirp4netns is an ordinary process of the host: connections leave as its own. The host's firewall, routes and forwarding
stay as they are, and what listens on the host's loopback stays out of the guests' reach.
https://github.com/rootless-containers/slirp4netns/blob/master/slirp4netns.1.md
"""

from __future__ import annotations

from pathlib import Path

from firestorm.platforms.libvirt import namespace, private
from firestorm.platforms.libvirt.daemons import await_process
from firestorm.platforms.libvirt.instance import DEFAULT_STATE_DIR
from firestorm.platforms.libvirt.processes import end_process, start_process
from firestorm.platforms.libvirt.supervision import alive, find, tool

PACKAGE = "slirp4netns"
_INTERFACE = "egress0"
# Of the addresses that carriers share (RFC 6598), which no cluster should have. The third one of the network
# is slirp4netns' own resolver, which asks the host's.
_NETWORK, _RESOLVER = "100.127.255.0/24", "100.127.255.3"
_PATIENCE = 10.0


def require() -> None:
    """Raise PlatformError, with what to install, if `open_egress` cannot work."""
    tool(PACKAGE, PACKAGE)


def missing() -> tuple[str, ...]:
    """The Debian packages to install before `open_egress` can work; none if it can."""
    return () if find(PACKAGE) else (PACKAGE,)


def open_egress(name: str, *, state_dir: str | Path = DEFAULT_STATE_DIR) -> None:
    """Lead traffic of the started private libvirt `name` that is for nobody inside to the host's network.

    It ends with the private libvirt. If it is open already, it is left alone. Raises PlatformError if slirp4netns is
    missing or does not start.
    """
    with private.session(name, state_dir) as (instance, record):
        wanted = (
            # Its sandbox unmounts what it does not need, also where such mounts are shared with the host (1.2.0).
            *(tool("unshare", "util-linux"), "--mount", "--propagation", "private"),
            tool("slirp4netns", PACKAGE),
            *("--configure", "--mtu=1500", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp"),
            *(f"--cidr={_NETWORK}", "--netns-type=path", str(instance.namespace_path), _INTERFACE),
        )
        existing = record.processes.get(_INTERFACE)
        if existing and existing.argv == wanted and alive(existing):
            return
        end_process(instance, record, _INTERFACE)
        # In place: libvirt's dnsmasq sees this very file as its /etc/resolv.conf, and notices when it changes.
        instance.resolver_path.write_text(f"nameserver {_RESOLVER}\n")
        process = start_process(instance, record, _INTERFACE, wanted)
        await_process(process, lambda: namespace.has_default_route(instance), _PATIENCE)
