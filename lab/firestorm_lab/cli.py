"""The command line. Only this module ends the process."""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Callable, Sequence
from types import FrameType

from firestorm.errors import FirestormError
from firestorm_lab import components, containers, development_cli, facts, image, mirror, registry, serve, tools
from firestorm_lab.cache import Cache
from firestorm_lab.errors import LabError
from firestorm_lab.progress import TIMINGS, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 well, 1 it failed, 2 wrong usage, 130 interrupted, 128 + the signal ended."""
    chosen = _parser().parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    run: Callable[[argparse.Namespace], None] = chosen.run
    try:
        run(chosen)
    except (LabError, FirestormError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m firestorm_lab",
        description="The development cluster, and what it needs that a machine cannot download, built and served.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    development_cli.add(commands)
    _add(commands, "tools", _tools, "Pulumi, its Python language host and the libvirt provider; prints shell lines")
    _add(commands, "kubernetes", _kubernetes, "Kubernetes, etcd, containerd, CNI, flannel, CoreDNS, Butane, Ignition")
    _add(commands, "image", _image, "the stand-in OS image; prints its description")
    _add(commands, "oci", _oci, "container images under their official names, in a registry's storage; prints digests")
    _add(commands, "facts", _facts, "what the lab holds, as JSON")
    _add(commands, "all", _all, "everything above, in order, with a table of times")
    server = _add(commands, "serve", _serve, "serve release files and container images until told to end")
    server.add_argument("--address", default="127.0.0.1", help="the one address to bind (default: %(default)s)")
    server.add_argument("--release-port", type=int, default=8080, help="of the release mirror (default: %(default)s)")
    server.add_argument("--registry-port", type=int, default=5000, help="of the registry (default: %(default)s)")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], None],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def _tools(_chosen: argparse.Namespace) -> None:
    found = tools.ensure(Cache.default())
    print(found.shell())


def _kubernetes(_chosen: argparse.Namespace) -> None:
    for name, path in components.ensure(Cache.default()).programs.items():
        print(f"{name} {path}")


def _image(_chosen: argparse.Namespace) -> None:
    found = image.ensure(Cache.default())
    print(json.dumps({"folder": str(found.folder), **found.description()}, indent=2))


def _oci(_chosen: argparse.Namespace) -> None:
    store = Cache.default()
    registry.ensure(store)
    print(json.dumps(containers.ensure(store).digests, indent=2))


def _serve(chosen: argparse.Namespace) -> None:
    serve.run(Cache.default(), chosen.address, chosen.release_port, chosen.registry_port)


def _facts(_chosen: argparse.Namespace) -> None:
    print(json.dumps(facts.collect(Cache.default()), indent=2))


def _all(_chosen: argparse.Namespace) -> None:
    store = Cache.default()
    tools.ensure(store)
    components.ensure(store)
    image.ensure(store)
    registry.ensure(store)
    mirror.ensure(store)
    print(TIMINGS.table() if TIMINGS.rows else "everything was there already")
