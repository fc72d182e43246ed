"""`make bench`, its part about the compiler: side by side with the reference's binary, in one run.

    python -m firestorm_lab.bench_butane PATH-OF-BUTANE

Times are the best of several: on a shared machine the least disturbed one says most. The config is a controller's, with
real keys. Nearly all of a compilation's time is taken by compressing contents as the reference does, to the byte, in
Python. So there are three numbers: "new contents" are those that this process never saw; "contents known" is the next
compilation with the same ones, whose compressed form is remembered, as for the other nodes of a cluster and for every
compilation after a change; "not compressed" is `translate(compress=False)`. The limit is for the latter two.
"""

from __future__ import annotations

import ipaddress
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from firestorm.node.identity import node_layers
from firestorm.pki import issue, request_for
from firestorm.spec.model import ClusterSpec, Libvirt, Network, NodePool, OsImage
from firestorm_butane import translate
from firestorm_butane.encoding import forget as forget_contents

_COMMAND = (sys.executable, "-c", "import sys; from firestorm.cli import main; sys.exit(main())", "butane")
_INTERPRETER = (sys.executable, "-c", "pass")
_IMPORT = (sys.executable, "-c", "import firestorm_butane")
# A new process begins with the peak of the one that starts it, so one that holds nothing has to.
_LAUNCHER = (
    sys.executable,
    "-S",
    "-c",
    "import resource, subprocess, sys, time; start = time.perf_counter(); "
    "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
    "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
)
_WORDS = "apiVersion kind metadata name namespace spec containers image args volumeMounts hostPath port".split()  # noqa: SIM905


_HOSTILE = "variant: fcos\nversion: 1.5.0\nstorage: 3\n" + "".join(f"k{i}: v\n" for i in range(100_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A ratio of two numbers of one kind and the most that it may be; no ratio for a number alone."""

    name: str
    ours: str
    theirs: str = ""
    ratio: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a program: seconds, and its peak memory in MiB."""

    seconds: float
    memory: float


def run(butane: Path) -> list[Row]:
    """Measure and print. Raises CalledProcessError when a compilation fails."""
    config = controller_config()
    with tempfile.TemporaryDirectory(prefix="firestorm-bench-") as folder:
        path = Path(folder) / "controller.bu"
        path.write_text(config)
        reference = _best_run((str(butane), str(path)), 15)
        command = _best_run((*_COMMAND, str(path)), 15)
        sizes = {size: _large(Path(folder), butane, size) for size in (1, 10)}
    new = _best(lambda: _compile(config, forget=True), 10)
    known = _best(lambda: _compile(config, forget=False), 20)
    plain = _best(lambda: translate(config, compress=False), 20)
    imported = _best_run(_IMPORT, 15).seconds - _best_run(_INTERPRETER, 15).seconds
    hostile = _best(lambda: str(translate(_HOSTILE).report), 3)
    base = reference.seconds
    rows = [
        Row(
            name="in process, contents known ÷ binary", ours=_ms(known), theirs=_ms(base), ratio=known / base, most=0.35
        ),
        Row(name="in process, new contents ÷ binary", ours=_ms(new), theirs=_ms(base), ratio=new / base),
        Row(
            name="in process, not compressed ÷ binary", ours=_ms(plain), theirs=_ms(base), ratio=plain / base, most=0.35
        ),
        Row(
            name="command ÷ binary",
            ours=_ms(command.seconds),
            theirs=_ms(base),
            ratio=command.seconds / base,
            most=6,
        ),
        Row(
            name="10 MB ÷ 1 MB, the command",
            ours=_ms(sizes[10][0].seconds),
            theirs=_ms(sizes[1][0].seconds),
            ratio=sizes[10][0].seconds / sizes[1][0].seconds,
            most=12,
        ),
        _limited("import, beyond the interpreter ÷ 60 ms", imported, 0.06),
        _limited("100,000 keys in 1 MB, an error ÷ 2 s", hostile, 2.0),
        Row(name="peak memory, controller", ours=_mib(command.memory), theirs=_mib(reference.memory)),
        Row(name="peak memory, 10 MB", ours=_mib(sizes[10][0].memory), theirs=_mib(sizes[10][1].memory)),
    ]
    _print(rows, config)
    return rows


def _limited(name: str, seconds: float, most: float) -> Row:
    """A number that has a limit of its own, in seconds."""
    return Row(name=name, ours=_ms(seconds), theirs=_ms(most), ratio=seconds / most, most=1)


def _compile(config: str, *, forget: bool) -> None:
    if forget:
        forget_contents()
    assert translate(config).json


def controller_config() -> str:
    """What is rendered for a controller, as Butane."""

    def pool(name: str, block: int) -> NodePool:
        return NodePool(
            name=name,
            role="controller" if name == "controller" else "worker",
            count=1,
            cpus=2,
            memory=2048,
            disk=10,
            os=OsImage(name="flatcar", channel="stable"),
            block=block,
        )

    spec = ClusterSpec(
        name="bench",
        kubernetes="1.36.4",
        network=Network(
            nodes=ipaddress.IPv4Network("10.17.0.0/16"),
            pods=ipaddress.IPv4Network("10.18.0.0/16"),
            services=ipaddress.IPv4Network("10.19.0.0/16"),
        ),
        controllers=pool("controller", 0),
        workers=(pool("worker", 1),),
        platform=Libvirt(uri="qemu:///system"),
    )
    node = next(node for node in spec.nodes if node.role == "controller")
    pki = issue(request_for(spec), None, datetime.now(UTC))
    return next(layer.content for layer in node_layers(spec, node, pki, "") if "rendered" in layer.name)


def _large(folder: Path, butane: Path, megabytes: int) -> tuple[Run, Run]:
    """One run each of our command and of the reference on a config of so many megabytes, of files of some kilobytes."""
    chance = random.Random(megabytes)
    lines = ["variant: flatcar", "version: 1.1.0", "storage:", "  files:"]
    size = 0
    for i in range(1 << 20):
        text = [" ".join(chance.choices(_WORDS, k=10)) + f" {chance.random()}" for _ in range(40)]
        entry = [
            f"    - path: /opt/{i}",
            "      contents:",
            "        inline: |",
            *(f"          {line}" for line in text),
        ]
        size += sum(map(len, entry)) + len(entry)
        lines += entry
        if size > megabytes * 1_000_000:
            break
    path = folder / f"{megabytes}.bu"
    path.write_text("\n".join(lines) + "\n")
    return _run((*_COMMAND, str(path))), _run((str(butane), str(path)))


def _best(action: Callable[[], object], times: int) -> float:
    return min(_seconds(action) for _ in range(times))


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _best_run(command: tuple[str, ...], times: int) -> Run:
    return min((_run(command) for _ in range(times)), key=lambda one: one.seconds)


def _run(command: tuple[str, ...]) -> Run:
    said = subprocess.run((*_LAUNCHER, *command), check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, memory = map(float, said.split())
    return Run(seconds=seconds, memory=memory / 1024)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _mib(memory: float) -> str:
    return f"{memory:.0f} MiB"


def _print(rows: list[Row], config: str) -> None:
    files = config.count("\n    - ") + config.count("\n  - ")
    table = Table("what", "first", "second", "ratio", "at most")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(row.name, row.ours, row.theirs, ratio, "" if row.most is None else f"{row.most:g}")
    console = Console()
    console.print(f"the compiler and Butane's binary, on a controller's config of {len(config)} bytes, {files} entries")
    console.print(table)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
