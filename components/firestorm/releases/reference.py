"""The operating systems' facts in Markdown, made from the release table.

`python -m firestorm.releases.reference` prints it; docs/nodes.md holds it, which a test holds true.
"""

from __future__ import annotations

from firestorm.releases.tables import OsFamily, OsLine, os_families


def reference() -> str:
    """A section per operating system, with a table of its lines."""
    return "\n".join(_section(family) for family in os_families().values())


def _section(family: OsFamily) -> str:
    header = "| Line | Channels | Release | containerd | Kernel | systemd | Ignition | Its spec | Butane | Sources |"
    rows = [_row(line) for line in family.lines]
    facts = (
        f"SELinux: {family.lines[0].selinux}. Writable: {', '.join(f'`{path}`' for path in family.lines[0].writable)}."
    )
    title = family.title[0].upper() + family.title[1:]
    return "\n".join([f"### {title}", "", facts, "", header, "| --- " * 10 + "|", *rows, ""])


def _row(line: OsLine) -> str:
    cells = (
        line.line,
        ", ".join(line.channels),
        line.release,
        line.containerd,
        line.kernel,
        line.systemd,
        line.ignition,
        line.ignition_spec,
        ", ".join(f"{variant} {version}" for variant, version in line.butane.items()),
        ", ".join(_source(source, number) for number, source in enumerate(line.source, 1)),
    )
    return "| " + " | ".join(cell or "?" if index > 1 else cell or "" for index, cell in enumerate(cells)) + " |"


def _source(source: str, number: int) -> str:
    return f"[{number}]({source})" if source.startswith("https://") else f"`{source}`"


if __name__ == "__main__":
    print(reference(), end="")
