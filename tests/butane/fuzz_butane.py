"""A coverage-guided fuzzer for the parser, the translator, merge, validation, diff and show; `make fuzz` runs it.

    python tests/butane/fuzz_butane.py CORPUS [LIBFUZZER-OPTION...]

CORPUS is a directory for inputs that are worth keeping, filled with generated configs first; or one input, a crash's,
to run again. A crash is any exception but the package's own, or more memory than the options allow. What it found is
kept as a case of the tests.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "butane")]

with atheris.instrument_imports(include=["firestorm_butane"]):
    import firestorm_butane as fb
    from firestorm_butane.variants import VERSIONS

    # Also what the package itself would import later, uninstrumented.
    for module in sorted((ROOT / "butane/firestorm_butane").glob("[a-z]*.py")):
        importlib.import_module(f"firestorm_butane.{module.stem}")

HEADS = [f"variant: {variant}\nversion: {version}\n" for variant, version in VERSIONS]
FILES: dict[str, bytes | str] = {"a": b"a" * 40, "b": bytes(range(256)), "tree/a": "x"}


def one_input(data: bytes) -> None:
    choice, text = data[:2], data[2:].decode("utf-8", "surrogateescape")
    kind = choice[0] % 8 if choice else 0
    if kind < 5:
        head = HEADS[choice[1] % len(HEADS)] if len(choice) > 1 and kind else ""
        result = fb.translate(head + text, files=FILES if kind % 2 else None, raw=kind == 3)
        str(result.report)
        if result.ignition is not None:
            assert result.output
            assert len(result.sources) == len(list(result.sources.values()))
            assert fb.validate(result.ignition).ok
            fb.merge(result.json, result.json)
            assert not fb.diff(result.json, result.ignition)
            fb.show(result.ignition)
        return
    try:
        if kind == 5:
            str(fb.validate(text))
            fb.show(text)
        else:
            old, _, new = text.partition("\n")
            str(fb.diff(old, new))
            json.dumps(fb.merge(old, new), ensure_ascii=False).encode()
    except fb.ButaneError:
        pass


def fill(corpus: Path) -> None:
    """A few inputs per version to begin with."""
    from tests.butane.butane_generator import Generator
    from tests.butane.ignition_generator import ConfigGenerator

    corpus.mkdir(parents=True, exist_ok=True)
    for number, version in enumerate(VERSIONS.values()):
        for seed in range(4):
            body = Generator(version, seed).text().split("\n", 2)[2]
            (corpus / f"seed-{number}-{seed}").write_bytes(bytes([1 + seed, number]) + body.encode())
    for minor in range(8):
        pair = [json.dumps(ConfigGenerator(minor, seed).make()) for seed in range(2)]
        (corpus / f"seed-pair-{minor}").write_bytes(b"\x06\x00" + "\n".join(pair).encode())
        (corpus / f"seed-config-{minor}").write_bytes(b"\x05\x00" + pair[0].encode())


if __name__ == "__main__":
    if not Path(sys.argv[1]).is_file():  # a single input is run again
        fill(Path(sys.argv[1]))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
