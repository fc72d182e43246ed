"""What a node's own logs say of a cluster that does not come up: its journal, its containers' logs, its facts.

Pure. The texts are those of kubelet 1.34 to 1.36 (pkg/kubelet/kuberuntime, pkg/kubelet/eviction), containerd 1.7 and
2.x (internal/cri), etcd 3.5 and 3.6 (zap's JSON) and gRPC's client in kube-apiserver.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from firestorm.readiness.failure import Failure
from firestorm.readiness.ignition import SPACE_REMEDY

IMAGE_REMEDY = "check that the image is in the registry and that the node can reach it; `mirrors` can redirect it"
ETCD_REMEDY = (
    "look at etcd's log in the controller's containers.log; a member whose data is lost does not come back by itself"
)
NO_REASON = "no reason is given"
FULL = 97
"""A file system of which so many percent are used is full: the kubelet evicts pods from 85 to 90 % on."""

_PULLED = re.compile(r'PullImage "(\S+?)" returns|Successfully pulled image "(\S+?)"')
_NOT_PULLED = re.compile(
    r'PullImage "(\S+?)" failed|failed to pull and unpack image "(\S+?)"|[Bb]ack-off pulling image "(\S+?)"'
    r'|"Failed to pull image" .*image="(\S+?)"'
)
_SPACE = re.compile(r"no space left on device", re.IGNORECASE)
_PRESSURE = re.compile(r'[Ee]viction manager: .*resourceName="?(ephemeral-storage|nodefs|imagefs)')
_ENDED = re.compile(r'run\.go:\d+\] "command failed" err="(.*)"')
_WRAPPINGS = re.compile(
    r"^(?:rpc error: code = \w+ desc = |failed to (?:resolve (?:image|reference \S+)|do request|copy|extract): "
    r"|failed to extract layer \S+: |(?:ErrImagePull|ImagePullBackOff): )"
)
_REASON_END = re.compile(r'" (?:image|pod|podUID|error)=|"$|\\n')
_LOG = re.compile(r"^==> /var/log/pods/[^_/]+_(?P<pod>[^_/]+)_[^/]+/(?P<container>[^/]+)/")
_FATAL = re.compile(r'"level":"(?:fatal|panic)".*?"msg":"(?P<message>[^"]*)"(?:.*?"error":"(?P<error>[^"]*)")?')
_NO_ETCD = re.compile(
    r"(\d+\.\d+\.\d+\.\d+:2379)\S*: (connect: connection refused|i/o timeout|connect: no route to host)"
)
_COMMAND = re.compile(r"^==> (?P<command>.*)$")
_DISK = re.compile(r"^\S+ +\d+ +\d+ +\d+ +(?P<percent>\d+)% (?P<mount>/.*)$")
_SYSTEM_MOUNTS = ("/usr", "/boot", "/run", "/sys", "/dev", "/proc", "/var/lib/kubelet/pods", "/run/containerd")


def journal_failures(text: str) -> tuple[Failure, ...]:
    """From the journal of kubelet and containerd, in its order: an image that was pulled in the end is not missing."""
    images: dict[str, Failure] = {}
    others: list[Failure] = []
    for raw in text.splitlines():
        line = raw.replace("\\", "")
        if done := _PULLED.search(line):
            images.pop(done[1] or done[2], None)
        elif match := _NOT_PULLED.search(line):
            image = next(group for group in match.groups() if group)
            failure = image_failure(image, line)
            if image not in images or NO_REASON not in failure.cause:
                images[image] = failure
        elif _SPACE.search(line):
            others.append(_full("no space is left on one of the node's disks"))
        elif match := _PRESSURE.search(line):
            others.append(_full(f"the kubelet evicts pods for want of {match[1]}"))
        elif match := _ENDED.search(line):
            others.append(Failure(step="kubelet.service", cause=f"the kubelet ended: {match[1]}", rank=1))
    return _ranked([*images.values(), *others[::-1]])


def image_failure(image: str, words: str) -> Failure:
    """The failure to pull `image`, of which the runtime's `words` tell."""
    if _SPACE.search(words):
        return _full(f"no space is left on the node's disk for the image {image}")
    cause = f"the image {image} cannot be pulled: {_reason(image, words)}"
    return Failure(step="images", cause=cause, remedy=IMAGE_REMEDY, rank=2)


def container_failures(text: str) -> tuple[Failure, ...]:
    """From the containers' logs, each under a line `==> its path`: what etcd ended with, or that it does not answer."""
    found: list[Failure] = []
    for container, line in _by_container(text):
        if container == "etcd" and (match := _FATAL.search(line.replace("\\", ""))):
            reason = ": ".join(part for part in (match["message"], match["error"]) if part)
            if _SPACE.search(reason):
                found.append(_full("no space is left on the node's disk for etcd"))
            else:
                found.append(Failure(step="etcd", cause=f"etcd ended: {reason}", remedy=ETCD_REMEDY, rank=2))
        elif container == "kube-apiserver" and (match := _NO_ETCD.search(line)):
            reason = match[2].removeprefix("connect: ")
            cause = f"the API server cannot reach the etcd member at {match[1]}: {reason}"
            found.append(Failure(step="etcd", cause=cause, remedy=ETCD_REMEDY, rank=1))
    return _ranked(found[::-1])


def node_failures(text: str, role: str) -> tuple[Failure, ...]:
    """From a node's facts, each under a line `==> its command`: file systems that are full, an etcd that is gone."""
    found: list[Failure] = []
    command, manifests, listed = "", "", False
    for line in text.splitlines():
        if match := _COMMAND.match(line):
            command = match["command"]
            listed = listed or command.startswith("ls -l /etc/kubernetes/manifests")
        elif command.startswith("ls "):
            manifests += line + "\n"
        elif command.startswith("df ") and (match := _DISK.match(line)):
            mount, percent = match["mount"], int(match["percent"])
            if percent >= FULL and not mount.startswith(_SYSTEM_MOUNTS):
                what = "inodes" if command.endswith(" -i") else "space"
                found.append(_full(f"{percent} % of the {what} of the file system at {mount} is used"))
    if role == "controller" and listed and "etcd.yaml" not in manifests:
        cause = "the etcd member is gone: /etc/kubernetes/manifests has no etcd.yaml, and so the kubelet runs none"
        found.append(Failure(step="etcd", cause=cause, remedy=ETCD_REMEDY, rank=2))
    return _ranked(found)


def _by_container(text: str) -> Iterator[tuple[str, str]]:
    container = ""
    for line in text.splitlines():
        if match := _LOG.match(line):
            container = match["container"]
        elif container:
            yield container, line


def _reason(image: str, words: str) -> str:
    """The runtime's own reason, without the layers around it and without the image's name."""
    _, found, reason = words.rpartition(f'"{image}": ')
    if not found:
        return NO_REASON
    reason = _REASON_END.split(reason)[0]
    while (inner := _WRAPPINGS.sub("", reason).removeprefix(f"{image}: ")) != reason:
        reason = inner
    return reason.replace('"', "").strip() or NO_REASON


def _full(cause: str) -> Failure:
    return Failure(step="disk", cause=cause, remedy=SPACE_REMEDY, rank=3)


def _ranked(found: list[Failure]) -> tuple[Failure, ...]:
    """Each once, the one that explains most first, and of equals the newest."""
    return tuple(sorted(dict.fromkeys(found), key=lambda failure: -failure.rank))
