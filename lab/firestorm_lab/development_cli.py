"""The commands of the development cluster: what the Makefile calls."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from firestorm.clusters import document, names
from firestorm.clusters.files import OWNER
from firestorm.errors import ClusterError
from firestorm_lab import bench, facts, standin, testing
from firestorm_lab.cache import Cache
from firestorm_lab.development import Development, uses_system_libvirt
from firestorm_lab.errors import LabError
from firestorm_lab.progress import say

_AS_ROOT = "Without root, sudo is used, unless a libvirt of the system's runs that this user may use."


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the lab's command line; each sets `run`."""
    up = _add(commands, "up", _up, "bring a development cluster up, and install, build and start what it needs")
    preview = _add(commands, "preview", _preview, "what `up` would change; prepares as `up` does")
    for parser in (up, preview):
        parser.add_argument(
            "--cluster", metavar="FILE", help="its cluster.yaml (default: the last one given for NAME, else one worker)"
        )
    _add(commands, "down", _down, "destroy a development cluster, and end and remove all that was made for it")
    _add(commands, "status", _status, "its nodes, its API's address, when its certificates expire")
    _add(commands, "kubeconfig", _kubeconfig, "print the path of its administrator's kubeconfig")
    text = "a site file (FIRESTORM_SITE) for the `firestorm` command, whose clusters run the stand-in OS; prints it"
    commands.add_parser("site", help=text, description=text).set_defaults(run=_site)
    measured = _add(
        commands, "bench", _bench, "measure preview and up beside this machine's floor; it is down after it"
    )
    measured.add_argument(
        "--report", type=Path, default=Path("bench.json"), help="where the result goes as JSON (default: %(default)s)"
    )
    text = "formatting, lint, types and all tests"
    tests = commands.add_parser("test", help=text, description=f"Check {text}. It needs root: without, sudo is used.")
    tests.add_argument("arguments", nargs="*", metavar="-- ARGUMENT", help="arguments for pytest")
    tests.set_defaults(run=_test)


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: object,
    text: str,
) -> argparse.ArgumentParser:
    described = f"{text[0].upper()}{text[1:]}. {_AS_ROOT}"
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=described)
    parser.add_argument("name", metavar="NAME", type=_checked, help="the cluster's name")
    parser.set_defaults(run=run)
    return parser


def _checked(name: str) -> str:
    if problem := names.problem(name):
        raise argparse.ArgumentTypeError(problem)
    return name


def _up(chosen: argparse.Namespace) -> None:
    _become_root()
    development = Development.named(chosen.name)
    with development.working("up"):
        development.prepare(*document.load(development.home, chosen.cluster))
        outputs = development.up()
    print(development.summary(outputs))


def _preview(chosen: argparse.Namespace) -> None:
    _become_root()
    development = Development.named(chosen.name)
    with development.working("preview"):
        development.prepare(*document.load(development.home, chosen.cluster))
        print(development.preview())


def _down(chosen: argparse.Namespace) -> None:
    _become_root()
    ended = Development.named(chosen.name).down()
    for line in ended:
        print(f"ended {line}")
    if not ended:
        print(f"there is nothing of a cluster {chosen.name}")


def _status(chosen: argparse.Namespace) -> None:
    _become_root()
    print(Development.named(chosen.name).status())


def _kubeconfig(chosen: argparse.Namespace) -> None:
    path = Development.named(chosen.name).kubeconfig
    if not path.exists():
        raise ClusterError(f"{path} does not exist: `make up NAME={chosen.name}` writes it once the cluster is up")
    print(path)


def _site(_chosen: argparse.Namespace) -> None:
    print(standin.site_file(facts.collect(Cache.default()), sys.executable), end="")


def _bench(chosen: argparse.Namespace) -> None:
    _become_root(always=True)
    bench.run(chosen.name, chosen.report)


def _test(chosen: argparse.Namespace) -> None:
    _become_root(always=True)
    testing.run(chosen.arguments)


def _become_root(*, always: bool = False) -> None:
    """Go on as root: a private libvirt cannot do without, one of the system's can.

    The user's home stays the place of caches and state, and the cluster's home becomes the user's.
    """
    if os.geteuid() == 0 or (uses_system_libvirt() and not always):
        return
    sudo = shutil.which("sudo")
    if sudo is None:
        raise LabError("this needs root, for a libvirt of its own: run it as root, or install sudo")
    say("going on as root, by sudo: a libvirt of its own needs that")
    kept = [f"{name}={os.environ[name]}" for name in ("HOME", "PATH") if name in os.environ]
    kept.append(f"{OWNER}={os.getuid()}:{os.getgid()}")
    os.execv(sudo, [sudo, "-E", "env", *kept, sys.executable, "-m", "firestorm_lab", *sys.argv[1:]])
