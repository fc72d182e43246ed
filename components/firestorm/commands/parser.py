"""What the command line takes: every command with its help.

Nothing is heavier than argparse, and only the arguments of a command that is asked for are made, so that help is quick.
A command names the function that runs it as `module:function`, below `firestorm.commands`, which is imported when it is
called.
"""

from __future__ import annotations

import argparse
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from pathlib import Path

PROGRAM = "firestorm"
EPILOG = "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. A command's --help tells more."
CI_EPILOG = """\
Exit status: that of the command that was run; 125 if the cluster did not come up or could not be ended, 126 if the
command cannot be run, 127 if it is not found, 130 after Ctrl-C, 143 after SIGTERM."""
SEPARATED = (("exec",), ("ci", "run"))
"""The commands whose last arguments, after `--`, are a command of the user's."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_COLUMNS = 100  # of a screen that does not tell
_OUTPUT = "how to print it (default: %(default)s)"
_SPEC = "the cluster.yaml (default: the one it was last described by, else the site file's, and one worker)"
_TTL = "when a new cluster expires: 90m, 4h, 2d (default: {})"

Commands = argparse._SubParsersAction
Parser = argparse.ArgumentParser


def duration(text: str) -> timedelta:
    """A time such as 90m, 4h or 2d. Raises ArgumentTypeError for another text."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write a number and m, h or d, such as 90m or 4h")
    from datetime import timedelta

    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def path(text: str) -> Path:
    """A path as the user wrote it."""
    from pathlib import Path

    return Path(text)


def parser(only: str | None = None) -> Parser:
    """The whole command line, but for what `butane` and `ignition` take: they are the compiler's own commands.

    If `only` is given, other commands than that one are there without their arguments.
    """
    root = Parser(
        prog=PROGRAM,
        description="Kubernetes clusters on container operating systems: from arguments to Ready nodes.",
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=_formatter,
    )
    root.add_argument("--version", action="store_true", help="print the version")
    commands = root.add_subparsers(metavar="COMMAND", dest="command")
    for name, (run, text, takes) in _COMMANDS.items():
        if only in (None, name):
            takes(_add(commands, name, run, text))
        else:
            commands.add_parser(name, help=text, add_help=False)
    return root


def _formatter(prog: str) -> argparse.HelpFormatter:
    """argparse's, told the width of the screen: it would load the compressors of `shutil` to find that out."""
    try:
        columns = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
    except (OSError, ValueError):
        columns = _COLUMNS
    return argparse.HelpFormatter(prog, width=columns - 2)


def _up(up: Parser) -> None:
    _optional_name(up, "the cluster's name (default: %(default)s)", default="dev")
    _spec(up)
    up.add_argument("--ttl", type=duration, metavar="TIME", help=_TTL.format("24h"))
    _output(up)


def _plan(plan: Parser) -> None:
    _optional_name(plan, "the cluster's name (default: %(default)s)", default="dev")
    _spec(plan)


def _ci(ci: Parser) -> None:
    steps = ci.add_subparsers(metavar="run", dest="step", required=True)
    text = "bring a cluster up, run a command, collect evidence if it fails, and end the cluster"
    run = _add(steps, "run", "ci:run", text)
    run.description = f"{text[0].upper()}{text[1:]}. The command's environment has KUBECONFIG and FIRESTORM_CLUSTER."
    run.usage = "firestorm ci run [options] -- COMMAND [ARGUMENT ...]"
    run.epilog = CI_EPILOG
    run.formatter_class = argparse.RawDescriptionHelpFormatter
    _spec(run)
    run.add_argument("--name", metavar="NAME", help="the cluster's name (default: one that nobody has)")
    run.add_argument("--ttl", type=duration, metavar="TIME", default="1h", help=_TTL.format("%(default)s") + "; for gc")
    run.add_argument(
        "--artifacts",
        type=path,
        metavar="DIR",
        default="firestorm-artifacts",
        help="where evidence of a failure goes (default: %(default)s)",
    )
    run.add_argument(
        "--snapshot",
        type=duration,
        metavar="AGE",
        nargs="?",
        const="24h",
        help="go on from where an earlier run's cluster was Ready, at most that long ago (default: %(const)s)",
    )
    run.add_argument(
        "--keep",
        choices=("never", "on-failure", "always"),
        default="never",
        help="leave the cluster until it expires (default: %(default)s)",
    )


def _kubeconfig(kubeconfig: Parser) -> None:
    _optional_name(kubeconfig)
    how = kubeconfig.add_mutually_exclusive_group()
    how.add_argument("--path", action="store_true", help="print the path of its file")
    how.add_argument(
        "--merge",
        action="store_true",
        help="add it to KUBECONFIG's first file (~/.kube/config) as context firestorm-NAME; `down` takes it out again",
    )


def _status(status: Parser) -> None:
    _optional_name(status)
    _output(status)


def _exec(run: Parser) -> None:
    run.usage = "firestorm exec [NAME] -- COMMAND [ARGUMENT ...]"
    _optional_name(run)


def _collect(collect: Parser) -> None:
    collect.add_argument("into", type=path, metavar="DIR", help="where it goes; its summary.md is printed")
    _optional_name(collect)


def _extend(extend: Parser) -> None:
    _name(extend)
    extend.add_argument("ttl", metavar="TIME", type=duration, help="from now on: 90m, 4h, 2d")


def _hold(hold: Parser) -> None:
    _name(hold)
    hold.add_argument("--off", action="store_true", help="let it expire again")


def _gc(gc: Parser) -> None:
    gc.add_argument("--dry-run", action="store_true", help="only say which")


def _render(render: Parser) -> None:
    render.add_argument("into", type=path, metavar="DIR", help="an empty or a new directory")
    _spec(render)


def _doctor(doctor: Parser) -> None:
    _spec(doctor)
    _output(doctor)


def _image(image: Parser) -> None:
    steps = image.add_subparsers(metavar="list|fetch|prune", dest="step", required=True)
    _output(_add(steps, "list", "image:list_", "list the images that are in the cache"))
    fetch = _add(steps, "fetch", "image:fetch", "download and verify the images that a cluster needs")
    _spec(fetch)
    fetch.add_argument("--os", choices=("flatcar", "fcos"), help="instead of what the spec says")
    fetch.add_argument("--channel", metavar="CHANNEL", help="its channel or stream (default: stable)")
    fetch.add_argument(
        "--version", metavar="VERSION", help="its version (default: the channel's newest)", dest="pinned"
    )
    fetch.add_argument("--arch", choices=("amd64", "arm64"), help="(default: amd64)")
    prune = _add(steps, "prune", "image:prune", "remove images and what broken downloads left; no cluster needs them")
    prune.add_argument("--keep", action="append", default=[], metavar="IMAGE", help="but this one; may be repeated")


def _completion(completion: Parser) -> None:
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell")


def _add(commands: Commands[Parser], name: str, run: str, text: str) -> Parser:
    command = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        allow_abbrev=False,
        formatter_class=_formatter,
    )
    command.set_defaults(run=run)
    return command


def _name(command: Parser) -> None:
    command.add_argument("name", metavar="NAME", help="the cluster's name")


def _optional_name(
    command: Parser, text: str = "the cluster's name; not needed where there is one only", default: str | None = None
) -> None:
    command.add_argument("name", metavar="NAME", nargs="?", default=default, help=text)


def _spec(command: Parser) -> None:
    command.add_argument("--spec", type=path, metavar="FILE", help=_SPEC)


def _output(command: Parser) -> None:
    command.add_argument("--output", choices=("table", "json"), default="table", help=_OUTPUT)


def _nothing(_command: Parser) -> None:
    """The arguments of a command whose own parser is elsewhere."""


_COMMANDS: dict[str, tuple[str, str, Callable[[Parser], None]]] = {
    "up": ("using:up", "bring a cluster up, or change it to what is described", _up),
    "down": ("registered:down", "end a cluster and all that was made for it", _name),
    "plan": ("using:plan", "what `up` would change, node configs by meaning", _plan),
    "ci": ("", "a cluster for as long as one command runs", _ci),
    "list": ("registered:list_", "list this user's clusters, their owners and expiry", _output),
    "status": ("using:status", "a cluster's nodes, API and certificates; 1 unless all is Ready", _status),
    "kubeconfig": ("using:kubeconfig", "print a cluster's kubeconfig, or merge it into yours", _kubeconfig),
    "exec": ("using:exec_", "run a command with KUBECONFIG set", _exec),
    "collect": ("using:collect", "collect evidence: consoles, journals, API objects, configs", _collect),
    "render": ("render:run", "write every file of every node, for reading", _render),
    "extend": ("registered:extend", "have a cluster expire later, or sooner", _extend),
    "hold": ("registered:hold", "keep a cluster from expiring", _hold),
    "gc": ("registered:gc", "end clusters that are expired or were left by a run that died", _gc),
    "doctor": ("doctor:run", "check this host: KVM, libvirt, rights, room; and say what to do", _doctor),
    "image": ("", "the cache of base images: list, fetch, prune", _image),
    "butane": ("", "compile Butane to Ignition", _nothing),
    "ignition": ("", "validate, merge, compare and show Ignition configs", _nothing),
    "completion": ("completion:run", "print a shell's completion of this command", _completion),
}
