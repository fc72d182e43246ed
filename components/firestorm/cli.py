"""The command ``firestorm``; each subcommand is imported when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_USAGE = """\
usage: firestorm butane [options] [input-file]           compile Butane to Ignition
       firestorm ignition validate|merge|diff|show ...   work with Ignition configs
       firestorm list|down|extend|hold|gc ...            clusters that firestorm.clusters keeps on this host

Each with --help tells more."""
_CLUSTERS = ("list", "down", "extend", "hold", "gc")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of `firestorm`: that of the subcommand, 2 if there is none of that name."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in (["butane"], ["ignition"]):
        from firestorm_butane import cli

        return cli.main(given)
    if given and given[0] in _CLUSTERS:
        from firestorm.commands import clusters

        return clusters.main(given)
    asked = given[:1] in (["-h"], ["--help"])
    print(_USAGE, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
