"""The command line of firestorm.platforms.libvirt.private."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from firestorm.errors import FirestormError
from firestorm.platforms.libvirt import egress, private
from firestorm.platforms.libvirt.instance import DEFAULT_STATE_DIR

NOT_RUNNING = 3
"""Exit status of `status` if the private libvirt does not run, as for service scripts (LSB, "Init Script Actions")."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status: 0 done, 1 failed, 2 wrong usage, 3 `status`: does not run."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except FirestormError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    name: str = arguments.name
    if arguments.command == "start":
        if arguments.egress:
            egress.require()  # before anything is started
        running = private.start(
            name, arguments.state_dir, service_address=arguments.service_address, progress=_progress
        )
        if arguments.egress:
            egress.open_egress(name, state_dir=arguments.state_dir)
        print(running.uri)
        return 0
    if arguments.command == "stop":
        removed = private.stop(name, arguments.state_dir, progress=_progress)
        print("\n".join(removed) or f"nothing of {name} was there")
        return 0
    return _status(private.status(name, arguments.state_dir))


def _status(state: private.Status) -> int:
    running = "runs" if state.running else "does not run" + (", but something of it is left" if state.exists else "")
    print(f"{state.name} {running}")
    if state.exists:
        print(f"  uri        {state.uri}\n  namespace  {state.namespace}")
    for label, pid, alive in state.processes:
        print(f"  process    {label} ({pid}){'' if alive else ' has ended'}")
    for label, port in state.ports:
        print(f"  port       127.0.0.1:{port} ({label})")
    return 0 if state.running else NOT_RUNNING


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m firestorm.platforms.libvirt.private",
        description="A libvirt of its own in a network namespace of its own, for machines where none runs. Needs root.",
        epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 3 the private libvirt does not run (status).",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command, text in (
        ("start", "start it, or what is missing of it, and print its connection URI"),
        ("status", "say what there is of it"),
        ("stop", "end all that was started for it, guests included, and print what was removed"),
    ):
        sub = commands.add_parser(command, help=text, description=text)
        sub.add_argument("name", metavar="NAME", help="up to 40 lower-case letters, digits and inner hyphens")
        sub.add_argument(
            "--state-dir", default=DEFAULT_STATE_DIR, metavar="DIR", help="where it keeps its files (%(default)s)"
        )
        if command == "start":
            sub.add_argument("--egress", action="store_true", help="let guests reach the host's network (slirp4netns)")
            sub.add_argument(
                "--service-address",
                default=private.DEFAULT_SERVICE_ADDRESS,
                metavar="IPV4",
                help="an address inside that guests reach through their gateway (%(default)s)",
            )
    return parser
