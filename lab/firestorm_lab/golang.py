"""Programs built from their Go modules: each folder of lab/modules is a module whose go.sum pins everything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from firestorm_lab.cache import Cache, Item, Workspace, tree_digests
from firestorm_lab.errors import LabError
from firestorm_lab.process import output

MODULES = Path(__file__).resolve().parent.parent / "modules"
_RECIPE = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """One program of a module: its file name, its package, the values its linker sets (`-X`), whether it needs cgo.

    Without cgo a program is static anyway; `static` makes one with cgo so.
    """

    name: str
    package: str = "."
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    cgo: bool = False
    static: bool = False
    tags: tuple[str, ...] = ()

    def command(self, target: Path) -> list[str]:
        """The `go build` that makes it; `-v` names each package as it is compiled, which is the sign of life."""
        values = [f"-X {name}={value}" for name, value in self.values.items()]
        flags = " ".join(["-s", "-w", *values, *(["-extldflags -static"] if self.static else [])])
        names = (*self.tags, *(("netgo", "osusergo") if self.static else ()))
        tags = ["-tags", ",".join(names)] if names else []
        return ["go", "build", "-v", "-trimpath", *tags, "-ldflags", flags, "-o", str(target), self.package]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoModule:
    """A module of lab/modules and the programs that it builds into `bin/`."""

    name: str
    binaries: tuple[Binary, ...]

    @property
    def folder(self) -> Path:
        return MODULES / self.name

    def item(self) -> Item:
        """Keyed by the lock files, the sources of our own, the Go release and the commands."""
        inputs = {f"file {path}": digest for path, digest in tree_digests(self.folder).items()}
        inputs["go"] = go_version()
        inputs["recipe"] = _RECIPE
        for binary in self.binaries:
            inputs[f"binary {binary.name}"] = " ".join([*binary.command(Path(binary.name)), f"cgo={binary.cgo:d}"])
        return Item(name=self.name, inputs=inputs)

    def ensure(self, store: Cache) -> Path:
        """The directory that holds the built `bin/`. Raises LabError with the compiler's words when a build fails."""
        return store.ensure(self.item(), self._build, f"building {', '.join(binary.name for binary in self.binaries)}")

    def _build(self, workspace: Workspace) -> None:
        for binary in self.binaries:
            if len(self.binaries) > 1:
                workspace.step.note(f"compiling {binary.name}")
            workspace.runner.run(
                binary.command(workspace.out / "bin" / binary.name),
                cwd=self.folder,
                env=build_environment(cgo=binary.cgo),
            )


def build_environment(*, cgo: bool) -> dict[str, str]:
    """Settings that make a build depend on the lock files alone.

    The checksum database does not answer for some modules; their go.sum pins them all the same.
    """
    return {
        "CGO_ENABLED": f"{cgo:d}",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GONOSUMDB": "github.com/pulumi/*,github.com/tencentcloud/*",
        "GOWORK": "off",
        "GOOS": "linux",
        "GOARCH": "amd64",
    }


@cache
def go_version() -> str:
    """The Go release on this machine, as `go1.26.8`. Raises LabError when there is none."""
    try:
        return output(["go", "env", "GOVERSION"])
    except LabError as error:
        raise LabError(f"Go is needed to build the lab's programs, and was not found on PATH: {error}") from error


def module_file(module: str, required: str, path: str) -> Path:
    """A file inside a dependency that the lock file of `module` pins, in Go's module cache (downloaded if absent)."""
    words = ["go", "-C", str(MODULES / module), "mod", "download", "-json", required]
    listed = json.loads(output(words, timeout=300))
    return Path(listed["Dir"]) / path
