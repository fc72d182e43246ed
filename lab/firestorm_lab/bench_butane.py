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
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from firestorm.node.identity import node_layers
from firestorm.pki import issue, request_for
from firestorm.spec.model import ClusterSpec, Libvirt, Network, NodePool, OsImage
from firestorm_butane import translate
from firestorm_butane.encoding import forget as forget_contents
from firestorm_lab.measure import INTERPRETER, Row, Run, best, best_run, limited, mib, ms, show
from firestorm_lab.measure import run as run_program

_COMMAND = (sys.executable, "-c", "import sys; from firestorm.cli import main; sys.exit(main())", "butane")
_IMPORT = (sys.executable, "-c", "import firestorm_butane")
_LOADED = (sys.executable, "-c", "from firestorm_butane import translate")
_WORDS = "apiVersion kind metadata name namespace spec containers image args volumeMounts hostPath port".split()  # noqa: SIM905


_HOSTILE = "variant: fcos\nversion: 1.5.0\nstorage: 3\n" + "".join(f"k{i}: v\n" for i in range(100_000))


def run(butane: Path) -> list[Row]:
    """Measure and print. Raises CalledProcessError when a compilation fails."""
    config = controller_config()
    with tempfile.TemporaryDirectory(prefix="firestorm-bench-") as folder:
        path = Path(folder) / "controller.bu"
        path.write_text(config)
        reference = best_run((str(butane), str(path)), 15)
        command = best_run((*_COMMAND, str(path)), 15)
        sizes = {size: _large(Path(folder), butane, size) for size in (1, 10)}
    new = best(lambda: _compile(config, forget=True), 10)
    known = best(lambda: _compile(config, forget=False), 20)
    plain = best(lambda: translate(config, compress=False), 20)
    nothing = best_run(INTERPRETER, 15).seconds
    imported, loaded = (best_run(command, 15).seconds - nothing for command in (_IMPORT, _LOADED))
    hostile = best(lambda: str(translate(_HOSTILE).report), 10)
    base = reference.seconds
    rows = [
        Row(name="in process, contents known ÷ binary", ours=ms(known), theirs=ms(base), ratio=known / base, most=0.35),
        Row(name="in process, new contents ÷ binary", ours=ms(new), theirs=ms(base), ratio=new / base),
        Row(name="in process, not compressed ÷ binary", ours=ms(plain), theirs=ms(base), ratio=plain / base, most=0.35),
        Row(
            name="command ÷ binary",
            ours=ms(command.seconds),
            theirs=ms(base),
            ratio=command.seconds / base,
            most=6,
        ),
        Row(
            name="10 MB ÷ 1 MB, the command",
            ours=ms(sizes[10][0].seconds),
            theirs=ms(sizes[1][0].seconds),
            ratio=sizes[10][0].seconds / sizes[1][0].seconds,
            most=12,
        ),
        limited("import, beyond the interpreter ÷ 60 ms", imported, 0.06),
        Row(name="import and the compiler's first use", ours=ms(loaded)),
        limited("100,000 keys in 1 MB, an error ÷ 2 s", hostile, 2.0),
        Row(name="peak memory, controller", ours=mib(command.memory), theirs=mib(reference.memory)),
        Row(name="peak memory, 10 MB", ours=mib(sizes[10][0].memory), theirs=mib(sizes[10][1].memory)),
    ]
    files = config.count("\n    - ") + config.count("\n  - ")
    show(f"the compiler and Butane's binary, on a controller's config of {len(config)} bytes, {files} entries", rows)
    return rows


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
    return run_program((*_COMMAND, str(path))), run_program((str(butane), str(path)))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
