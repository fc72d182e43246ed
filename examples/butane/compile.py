"""Compile a Butane file to Ignition, without a cluster and without Pulumi: python compile.py [FILE]."""

import sys
from pathlib import Path

import firestorm_butane


def main(path: Path) -> int:
    """Print the Ignition config, or what is wrong with the Butane file."""
    result = firestorm_butane.translate(path.read_text(), name=path.name, files_dir=path.parent)
    if not result.report.ok:
        print(result.report, file=sys.stderr)
        return 1
    print(result.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("host.bu")))
