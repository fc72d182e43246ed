"""The programs of a Kubernetes cluster and of the stand-in OS: modules, versions, and where they lie when built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from firestorm_lab import packages
from firestorm_lab.cache import Cache, Item, Workspace, tree_digests
from firestorm_lab.golang import MODULES, Binary, GoModule

KUBERNETES = "1.36.4"
ETCD = "3.6.8"
CONTAINERD = "2.4.2"
CNI_PLUGINS = "1.9.1"
FLANNEL = "0.28.10"
COREDNS = "1.14.2"
BUTANE = "0.29.0"
IGNITION = "2.27.0"
PAUSE = "3.10.2"

_MAJOR, _MINOR, _PATCH = KUBERNETES.split(".")
_KUBERNETES_VALUES = {
    f"{package}.{name}": value
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for name, value in {
        "gitVersion": f"v{KUBERNETES}",
        "gitMajor": _MAJOR,
        "gitMinor": _MINOR,
        "gitTreeState": "clean",
    }.items()
}
_CONTAINERD = "github.com/containerd/containerd/v2"
_CONTAINERD_VALUES = {f"{_CONTAINERD}/version.Version": f"v{CONTAINERD}"}
_CNI = "github.com/containernetworking/plugins"
# Those of the release's plugins that flannel's configuration and a bridge need: the fewer, the sooner unpacked.
_CNI_NAMES = (
    "ipam/host-local",
    "ipam/static",
    "main/bridge",
    "main/loopback",
    "meta/bandwidth",
    "meta/firewall",
    "meta/portmap",
    "meta/tuning",
)

KUBERNETES_MODULE = GoModule(
    name="kubernetes",
    binaries=(
        Binary(name="kubelet", package="k8s.io/kubernetes/cmd/kubelet", values=_KUBERNETES_VALUES),
        Binary(name="kube-control-plane", package="./kube-control-plane", values=_KUBERNETES_VALUES),
        Binary(name="kube-proxy", package="k8s.io/kubernetes/cmd/kube-proxy", values=_KUBERNETES_VALUES),
        Binary(name="kubectl", package="k8s.io/kubernetes/cmd/kubectl", values=_KUBERNETES_VALUES),
    ),
)
ETCD_MODULE = GoModule(
    name="etcd",
    binaries=(
        Binary(name="etcd", package="go.etcd.io/etcd/server/v3"),
        Binary(name="etcdctl", package="go.etcd.io/etcd/etcdctl/v3"),
    ),
)
CONTAINERD_MODULE = GoModule(
    name="containerd",
    binaries=tuple(
        Binary(name=name, package=f"{_CONTAINERD}/cmd/{name}", values=_CONTAINERD_VALUES, tags=("urfave_cli_no_docs",))
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    ),
)
CNI_MODULE = GoModule(
    name="cni-plugins",
    binaries=tuple(
        Binary(
            name=path.rpartition("/")[2],
            package=f"{_CNI}/plugins/{path}",
            values={f"{_CNI}/pkg/utils/buildversion.BuildVersion": f"v{CNI_PLUGINS}"},
        )
        for path in _CNI_NAMES
    ),
)
# The plugin's last release as a Go module, with a newer libcni so that it speaks CNI 1.0.0, as flannel's manifest asks.
FLANNEL_CNI_MODULE = GoModule(
    name="flannel-cni-plugin",
    binaries=(
        Binary(
            name="flannel",
            package=f"{_CNI}/plugins/meta/flannel",
            values={f"{_CNI}/pkg/utils/buildversion.BuildVersion": "v0.9.1"},
        ),
    ),
)
FLANNEL_MODULE = GoModule(
    name="flannel",
    binaries=(
        Binary(
            name="flanneld",
            package="github.com/flannel-io/flannel",
            values={"github.com/flannel-io/flannel/pkg/version.Version": f"v{FLANNEL}"},
            cgo=True,  # its UDP backend, which cannot be left out on amd64
            static=True,
        ),
    ),
)
COREDNS_MODULE = GoModule(name="coredns", binaries=(Binary(name="coredns", package="github.com/coredns/coredns"),))
IGNITION_MODULE = GoModule(
    name="ignition",
    binaries=(
        Binary(
            name="butane",
            package="github.com/coreos/butane/internal",
            values={"github.com/coreos/butane/internal/version.Raw": f"v{BUTANE}"},
        ),
        Binary(
            name="ignition-validate",
            package="github.com/coreos/ignition/v2/validate",
            values={"github.com/coreos/ignition/v2/internal/version.Raw": IGNITION},
        ),
        Binary(
            name="ignition",
            package="github.com/coreos/ignition/v2/internal",
            values={
                "github.com/coreos/ignition/v2/internal/version.Raw": IGNITION,
                # Debian has no SELinux policy: "failed to handle relabeling" otherwise.
                "github.com/coreos/ignition/v2/internal/distro.selinuxRelabel": "false",
            },
            cgo=True,  # libblkid
        ),
    ),
)
# The references as the tests call them: merging, and many questions to one process.
REFERENCES_MODULE = GoModule(
    name="references",
    binaries=(Binary(name="firestorm-references", package="./batch"), Binary(name="ignition-merge", package="./merge")),
)
NODE_MODULES = (
    ETCD_MODULE,
    CONTAINERD_MODULE,
    CNI_MODULE,
    FLANNEL_CNI_MODULE,
    FLANNEL_MODULE,
    COREDNS_MODULE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Where each built program lies, by its name."""

    programs: dict[str, Path]

    def __getitem__(self, name: str) -> Path:
        return self.programs[name]


def ensure(store: Cache) -> Components:
    """Build everything that runs in a node or checks its config. Raises LabError when something cannot be built."""
    programs = dict(reference_programs(store))
    for module in (KUBERNETES_MODULE, *NODE_MODULES):
        folder = module.ensure(store)
        programs |= {binary.name: folder / "bin" / binary.name for binary in module.binaries}
    programs["pause"] = store.ensure(pause_item(), _build_pause) / "bin" / "pause"
    return Components(programs=programs)


def reference_programs(store: Cache) -> dict[str, Path]:
    """Butane, ignition-validate, Ignition itself, and the programs of ours around their code."""
    if store.find(IGNITION_MODULE.item()) is None:
        packages.require(("gcc", "libc6-dev", "pkg-config", "libblkid-dev"))
    return {
        binary.name: module.ensure(store) / "bin" / binary.name
        for module in (IGNITION_MODULE, REFERENCES_MODULE)
        for binary in module.binaries
    }


def pause_item() -> Item:
    """Keyed by the program's source."""
    return Item(name="pause", inputs={"recipe": "1", **tree_digests(MODULES / "pause")})


def _build_pause(workspace: Workspace) -> None:
    packages.require(("gcc", "libc6-dev"))
    target = workspace.out / "bin" / "pause"
    target.parent.mkdir()
    source = MODULES / "pause" / "pause.c"
    workspace.runner.run(["gcc", "-std=c11", "-Os", "-Wall", "-Wextra", "-static", "-s", "-o", target, source])
