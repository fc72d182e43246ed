"""Pulumi's programs: the CLI, the Python language host and the libvirt provider.

Each is taken from where it is already (PATH, PULUMI_HOME, the cache), else downloaded the official way, else built from
its Go module.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firestorm_lab import download
from firestorm_lab.cache import Cache, Item, Workspace, remove
from firestorm_lab.errors import LabError
from firestorm_lab.golang import Binary, GoModule, module_file
from firestorm_lab.process import output
from firestorm_lab.progress import say

PULUMI = "3.259.0"
OLDEST_PULUMI = (3, 200, 0)
PROVIDER = "0.5.4"
LANGUAGE_HOST = "pulumi-language-python"
SCRIPTS = {  # file name in bin/: where the SDK's module has it
    "pulumi-language-python-exec": "python/cmd/pulumi-language-python-exec",
    "pulumi-resource-pulumi-python": "python/dist/pulumi-resource-pulumi-python",
}
PLUGIN = f"resource-libvirt-v{PROVIDER}/pulumi-resource-libvirt"
_SDK = "github.com/pulumi/pulumi/sdk/v3"
_RELEASE = f"pulumi-v{PULUMI}-linux-x64.tar.gz"
_DOWNLOAD = f"https://get.pulumi.com/releases/sdk/{_RELEASE}"
_CHECKSUMS = f"https://github.com/pulumi/pulumi/releases/download/v{PULUMI}/pulumi-{PULUMI}-checksums.txt"

CLI_MODULE = GoModule(
    name="pulumi-cli",
    binaries=(
        Binary(
            name="pulumi",
            package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            values={f"{_SDK}/go/common/version.Version": f"v{PULUMI}"},
        ),
    ),
)
# The newest release of the language host that left a Go module behind; it works with newer CLIs and SDKs.
LANGUAGE_MODULE = GoModule(
    name="pulumi-language-python",
    binaries=(Binary(name=LANGUAGE_HOST, package=f"{_SDK}/python/cmd/{LANGUAGE_HOST}"),),
)
PROVIDER_MODULE = GoModule(
    name="pulumi-resource-libvirt",
    binaries=(Binary(name="pulumi-resource-libvirt"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Where Pulumi is: `bin` belongs at the head of PATH, `home` into PULUMI_HOME; `origin` says how each came."""

    bin: Path
    home: Path
    origin: dict[str, str]

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}", "PULUMI_HOME": str(self.home)}

    def shell(self) -> str:
        """Lines for a shell's `eval`."""
        return f'export PATH="{self.bin}:$PATH"\nexport PULUMI_HOME="{self.home}"\nexport PULUMI_SKIP_UPDATE_CHECK=true'


def ensure(store: Cache) -> Tools:
    """Everything that `pulumi up` of a Python program with libvirt needs. Raises LabError when no way works."""
    folder, pulumi = _pulumi(store)
    home = store.root / "pulumi-home"
    provider = _provider(store, home, folder)
    return Tools(bin=folder, home=home, origin={"pulumi": pulumi, "provider": provider})


def _pulumi(store: Cache) -> tuple[Path, str]:
    present = _pulumi_on_path(store.root)
    if present is not None:
        return present, "PATH"
    official = Item(name="pulumi-release", inputs={"version": PULUMI, "recipe": "1"})
    built = bundle_item()
    for item, origin in ((official, "download"), (built, "build")):
        found = store.find(item)
        if found is not None:
            return found / "bin", f"cache ({origin})"
    if download.reachable(_DOWNLOAD):
        try:
            return store.ensure(official, _download_pulumi, "downloading the official release") / "bin", "download"
        except LabError as error:
            say(f"lab: {error}; building it instead")
    cli, language = CLI_MODULE.ensure(store), LANGUAGE_MODULE.ensure(store)
    return store.ensure(built, lambda workspace: _bundle(workspace, cli, language), "assembling") / "bin", "build"


def _pulumi_on_path(cache_root: Path) -> Path | None:
    """The directory of a recent enough Pulumi with its Python language host, outside the cache."""
    program = shutil.which("pulumi")
    if program is None or cache_root in Path(program).absolute().parents:
        return None
    folder = Path(program).resolve().parent
    if not all((folder / name).exists() or shutil.which(name) for name in (LANGUAGE_HOST, *SCRIPTS)):
        return None
    try:
        found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", output([program, "version"]))
    except LabError:
        return None
    return folder if found and tuple(map(int, found.groups())) >= OLDEST_PULUMI else None


def _download_pulumi(workspace: Workspace) -> None:
    archive = workspace.scratch / _RELEASE
    digest = download.checksum_of(download.text(_CHECKSUMS), _RELEASE)
    download.fetch(_DOWNLOAD, archive, digest)
    download.unpack(archive, workspace.scratch)
    (workspace.scratch / "pulumi").rename(workspace.out / "bin")


def bundle_item() -> Item:
    """Pulumi and its language host in one directory, keyed by both."""
    return Item(
        name="pulumi",
        inputs={"cli": CLI_MODULE.item().key, "language": LANGUAGE_MODULE.item().key, "recipe": "1"},
    )


def _bundle(workspace: Workspace, cli: Path, language: Path) -> None:
    """One directory with all four programs, since Pulumi looks for its language host beside its own executable."""
    folder = workspace.out / "bin"
    folder.mkdir()
    os.link(cli / "bin" / "pulumi", folder / "pulumi")
    os.link(language / "bin" / LANGUAGE_HOST, folder / LANGUAGE_HOST)
    for name, path in SCRIPTS.items():
        shutil.copyfile(module_file(CLI_MODULE.name, _SDK, path), folder / name)
        (folder / name).chmod(0o755)


def _provider(store: Cache, home: Path, folder: Path) -> str:
    """Put the provider's plugin below `home`."""
    target = home / "plugins" / PLUGIN
    built = store.find(PROVIDER_MODULE.item())
    if built is not None:
        _install(store, built / "bin" / "pulumi-resource-libvirt", target)
        return "cache (build)"
    if target.exists():
        return "cache (download)"
    for present in _plugin_homes(home):
        _install(store, present, target)
        return str(present)
    if _download_provider(home, folder) and target.exists():
        return "download"
    remove(target.parent)
    _install(store, PROVIDER_MODULE.ensure(store) / "bin" / "pulumi-resource-libvirt", target)
    return "build"


def _plugin_homes(own: Path) -> Iterator[Path]:
    for home in (os.environ.get("PULUMI_HOME"), "~/.pulumi"):
        if home:
            candidate = Path(home).expanduser().absolute() / "plugins" / PLUGIN
            if candidate.exists() and own not in candidate.parents:
                yield candidate


def _download_provider(home: Path, folder: Path) -> bool:
    if not download.reachable("https://github.com") or not download.reachable("https://api.github.com"):
        return False
    say("lab: installing the libvirt provider the official way")
    command = [
        "env",
        f"PULUMI_HOME={home}",
        str(folder / "pulumi"),
        "plugin",
        "install",
        "resource",
        "libvirt",
        PROVIDER,
    ]
    try:
        output(command, timeout=120)
    except LabError as error:
        say(f"lab: {error}; building it instead")
        return False
    return True


def _install(store: Cache, program: Path, target: Path) -> None:
    if target.exists() and target.samefile(program):
        return
    with store.lock("pulumi-home"):
        if target.exists() and target.samefile(program):
            return
        fresh = target.parent.parent / f".{target.parent.name}.new"
        remove(fresh)
        fresh.mkdir(parents=True)
        try:
            os.link(program, fresh / target.name)
        except OSError:  # another file system
            shutil.copy2(program, fresh / target.name)
        remove(target.parent)
        fresh.rename(target.parent)
