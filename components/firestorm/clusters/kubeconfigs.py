"""A cluster's kubeconfig within the user's own: added as one context, and taken out when the cluster ends.

The file is the first that KUBECONFIG names, else ~/.kube/config, as for `kubectl config`; other entries of it stay as
they are, but comments are lost, as with kubectl. It is locked as kubectl does: by a file beside it.
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from firestorm.clusters.files import give, write_private
from firestorm.errors import ClusterError

_NOTE = "merged-into"
_LISTS = ("clusters", "users", "contexts")
_PATIENCE = 5.0  # seconds


def context_of(name: str) -> str:
    """What the context, the cluster and the user of the cluster `name` are called in the user's kubeconfig."""
    return f"firestorm-{name}"


def merge(kubeconfig: Path) -> Path:
    """Add the cluster with this `kubeconfig`, in its home, to the user's, and make it the current context; the path.

    What was merged of the cluster before is replaced. Raises ClusterError if the user's file cannot be read or written.
    """
    home = kubeconfig.parent
    path, own = _users(), yaml.safe_load(kubeconfig.read_text())
    title = context_of(home.name)
    entries = {
        "clusters": {"name": title, "cluster": own["clusters"][0]["cluster"]},
        "users": {"name": title, "user": own["users"][0]["user"]},
        "contexts": {"name": title, "context": {"cluster": title, "user": title}},
    }
    # Written down first: a run that is killed leaves nothing that `down` does not find.
    write_private(home / _NOTE, str(path))
    with _locked(path):
        whole = _read(path) or {"apiVersion": "v1", "kind": "Config", "preferences": {}}
        for key in _LISTS:
            whole[key] = [entry for entry in whole.get(key) or [] if entry.get("name") != title] + [entries[key]]
        _write(path, {**whole, "current-context": title})
    return path


def withdraw(home: Path) -> Path | None:
    """Take the cluster at `home` out of the kubeconfig that it was merged into; its path, None if it was not there.

    An entry of its name that leads to another cluster stays. Raises ClusterError.
    """
    note, kubeconfig = home / _NOTE, home / "kubeconfig"
    if not note.exists() or not kubeconfig.exists():
        return None
    path = Path(note.read_text())
    title = context_of(home.name)
    if not path.exists():
        return None
    own = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    with _locked(path):
        whole = _read(path)
        if {"name": title, "cluster": own} not in (whole.get("clusters") or []):
            return None
        for key in _LISTS:
            whole[key] = [entry for entry in whole.get(key) or [] if entry.get("name") != title]
        if whole.get("current-context") == title:
            whole["current-context"] = ""
        _write(path, whole)
    return path


def _users() -> Path:
    named = next((word for word in os.environ.get("KUBECONFIG", "").split(os.pathsep) if word), None)
    return (Path(named) if named else Path.home() / ".kube" / "config").absolute()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text()) if path.exists() else {}
    except (OSError, yaml.YAMLError) as error:
        raise ClusterError(f"{path} cannot be read as a kubeconfig: {error}") from error
    if not isinstance(found or {}, dict):
        raise ClusterError(f"{path} is no kubeconfig: it holds no map")
    return found or {}


def _write(path: Path, whole: Mapping[str, Any]) -> None:
    try:
        write_private(path, yaml.safe_dump(dict(whole), sort_keys=False))
    except OSError as error:
        raise ClusterError(f"{path} cannot be written: {error.strerror}") from error
    give(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """As `kubectl config` does it: by the existence of a file (client-go, tools/clientcmd/loader.go, lockFile)."""
    lock = path.with_name(f"{path.name}.lock")
    deadline = time.monotonic() + _PATIENCE
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
                break
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise ClusterError(f"{lock} is there: another program changes {path}, or died at it") from None
                time.sleep(0.05)
    except OSError as error:
        raise ClusterError(f"{lock} cannot be made: {error.strerror}") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
