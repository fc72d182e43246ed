"""The container images of a cluster under test: official names and tags, programs of the lab's own building."""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from firestorm_lab import components, packages, rootfs
from firestorm_lab.cache import Cache, Item, Workspace, file_digest
from firestorm_lab.components import (
    COREDNS,
    COREDNS_MODULE,
    ETCD,
    ETCD_MODULE,
    FLANNEL,
    FLANNEL_CNI_MODULE,
    FLANNEL_MODULE,
    KUBERNETES,
    KUBERNETES_MODULE,
    PAUSE,
    Components,
)
from firestorm_lab.errors import LabError
from firestorm_lab.oci import Entry, Layer, OciImage, write_layout
from firestorm_lab.process import output

# The tag that flannel's own manifest names for this release.
FLANNEL_CNI_TAG = "v1.9.1-flannel3"
TEST_IMAGE = "firestorm.test/busybox:1"
_NET_BIND_SERVICE = 1 << 10
_NETFILTER_PROGRAMS = ("usr/sbin/nft", "usr/sbin/xtables-nft-multi", "usr/sbin/conntrack")
_IPTABLES = tuple(f"{family}{suffix}" for family in ("iptables", "ip6tables") for suffix in ("", "-save", "-restore"))
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_NOBODY = "65535:65535"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An OCI image layout on disk and the manifest digest of each image in it."""

    path: Path
    digests: dict[str, str]


def ensure(store: Cache) -> Layout:
    """The layout with every image, built if need be."""
    item = layout_item()
    if store.find(item) is None:
        programs = components.ensure(store)
        archive = rootfs.ensure(store)
        packages.require(("binutils",))

        def build(workspace: Workspace) -> None:
            _build(workspace, programs, archive)

        store.ensure(item, build, "writing container images")
    folder = store.path(item)
    return Layout(path=folder / "layout", digests=json.loads((folder / "digests.json").read_text()))


def layout_item() -> Item:
    """Keyed by the programs in the images and by this package's own part in them."""
    modules = (KUBERNETES_MODULE, ETCD_MODULE, COREDNS_MODULE, FLANNEL_MODULE, FLANNEL_CNI_MODULE)
    here = Path(__file__).parent
    return Item(
        name="oci",
        inputs={
            **{f"module {module.name}": module.item().key for module in modules},
            "pause": components.pause_item().key,
            "rootfs": rootfs.item().key,
            **{f"file {name}": file_digest(here / name) for name in ("oci.py", "containers.py")},
        },
    )


def _build(workspace: Workspace, programs: Components, archive: Path) -> None:
    root = workspace.scratch / "root"
    _extract(archive, root)
    workspace.step.note("copying programs into layers")
    digests = write_layout(workspace.out / "layout", images(programs, root))
    (workspace.out / "digests.json").write_text(json.dumps(digests, indent=2, sort_keys=True) + "\n")


def images(programs: Components, root: Path) -> tuple[OciImage, ...]:
    """Every image; `root` holds the Debian files that some of them need."""
    base = Layer(
        entries=(
            Entry(path="/etc/passwd", content=b"root:x:0:0:root:/root:/sbin/nologin\n", mode=0o644),
            Entry(path="/etc/group", content=b"root:x:0:\n", mode=0o644),
            Entry(path="/etc/nsswitch.conf", content=b"hosts: files dns\n", mode=0o644),
        ),
        directories=(("/tmp", 0o1777), ("/root", 0o700)),
    )
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    control = Layer(
        entries=(
            Entry(path="/usr/local/bin/kube-control-plane", source=programs["kube-control-plane"]),
            *(Entry(path=f"/usr/local/bin/{name}", link="kube-control-plane") for name in names),
        )
    )
    etcd = Layer(entries=tuple(_local(name, programs) for name in ("etcd", "etcdctl")))
    coredns = Entry(path="/coredns", source=programs["coredns"], capabilities=_NET_BIND_SERVICE)
    shell, netfilter = _busybox(root), _netfilter(root)
    flannel = Layer(entries=(Entry(path="/opt/bin/flanneld", source=programs["flanneld"]),))
    return (
        *(
            OciImage(
                name=f"registry.k8s.io/{name}:v{KUBERNETES}",
                layers=(base, control),
                entrypoint=(f"/usr/local/bin/{name}",),
            )
            for name in names
        ),
        OciImage(
            name=f"registry.k8s.io/kube-proxy:v{KUBERNETES}",
            layers=(base, shell, netfilter, Layer(entries=(_local("kube-proxy", programs),))),
            entrypoint=("/usr/local/bin/kube-proxy",),
        ),
        OciImage(name=f"registry.k8s.io/etcd:{ETCD}-0", layers=(base, etcd), entrypoint=("/usr/local/bin/etcd",)),
        OciImage(
            name=f"registry.k8s.io/coredns/coredns:v{COREDNS}",
            layers=(base, Layer(entries=(coredns,))),
            entrypoint=("/coredns",),
            user="65532:65532",
        ),
        OciImage(
            name=f"registry.k8s.io/pause:{PAUSE}",
            layers=(Layer(entries=(Entry(path="/pause", source=programs["pause"]),)),),
            entrypoint=("/pause",),
            user=_NOBODY,
        ),
        OciImage(
            name=f"ghcr.io/flannel-io/flannel:v{FLANNEL}",
            layers=(base, shell, netfilter, flannel),
            entrypoint=("/opt/bin/flanneld",),
        ),
        OciImage(
            name=f"ghcr.io/flannel-io/flannel-cni-plugin:{FLANNEL_CNI_TAG}",
            layers=(base, shell, Layer(entries=(Entry(path="/flannel", source=programs["flannel"]),))),
        ),
        OciImage(name=TEST_IMAGE, layers=(base, shell), command=("/bin/sh",)),
    )


def _local(name: str, programs: Components) -> Entry:
    return Entry(path=f"/usr/local/bin/{name}", source=programs[name])


def _busybox(root: Path) -> Layer:
    """A static busybox under every name it answers to."""
    program = root / "usr/bin/busybox"
    applets = [name for name in output([program, "--list"]).split() if name != "busybox"]
    return Layer(
        entries=(
            Entry(path="/bin/busybox", source=program),
            *(Entry(path=f"/bin/{name}", link="busybox") for name in applets),
        )
    )


def _netfilter(root: Path) -> Layer:
    """nft, iptables and conntrack with their libraries, as flanneld and kube-proxy call them."""
    programs = [root / path for path in _NETFILTER_PROGRAMS]
    extensions = sorted((root / _LIBRARIES / "xtables").glob("*.so"))
    entries = {f"/{path.relative_to(root)}": path for path in [*programs, *extensions]}
    entries |= _libraries(root, [*programs, *extensions])
    return Layer(
        entries=(
            *(Entry(path=path, source=source) for path, source in entries.items()),
            *(Entry(path=f"/usr/sbin/{name}", link="xtables-nft-multi") for name in _IPTABLES),
            Entry(path="/lib64", link="usr/lib64"),
        )
    )


def _libraries(root: Path, programs: list[Path]) -> dict[str, Path]:
    """The shared libraries that programs need, and those that these need, by the names they are asked for."""
    found: dict[str, Path] = {}
    queue = list(programs)
    while queue:
        dynamic = output(["readelf", "--dynamic", "--program-headers", "--wide", queue.pop()])
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic):
            path = f"/{_LIBRARIES}/{name}"
            if path not in found and not (root / _LIBRARIES / "xtables" / name).exists():
                found[path] = _resolve(root, root / _LIBRARIES / name)
                queue.append(found[path])
        for loader in re.findall(r"program interpreter: /(\S+?)\]", dynamic):
            found[f"/usr/{loader}"] = _resolve(root, root / "usr" / loader)
    return found


def _resolve(root: Path, path: Path) -> Path:
    """A library's file, following links inside `root` only."""
    while path.is_symlink():
        target = path.readlink()
        path = root / str(target).lstrip("/") if target.is_absolute() else path.parent / target
    if not path.is_file():
        raise LabError(f"the Debian system of the lab has no {path.relative_to(root)}")
    return path


def _extract(archive: Path, root: Path) -> None:
    """The part of the Debian system that images take files from."""
    wanted = ("./usr/bin/busybox", "./usr/lib64/", f"./{_LIBRARIES}/", *(f"./{path}" for path in _NETFILTER_PROGRAMS))
    with tarfile.open(archive) as source:
        members = [member for member in source if member.name.startswith(wanted) and not member.isdir()]
        source.extractall(root, members=members, filter="tar")
