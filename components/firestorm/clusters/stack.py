"""The Pulumi stack of a cluster, in a home of its own: its commands, its state and its secrets.

Nothing of it is elsewhere: the backend, the stack's configuration and the passphrase are files of its home.

Pulumi is run as a command, not through its Automation API: that offers no session of its own for the engine, no
SIGINT that arrives exactly once, and no way to find an engine whose parent was killed (see `runs`).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from firestorm.clusters import runs
from firestorm.clusters.files import Progress, silent, write_private
from firestorm.errors import ClusterError

PROGRAM = Path(__file__).with_name("program")
PROJECT = "firestorm"
UP = ("up", "--yes", "--skip-preview")
_MOST = 40  # lines of a failed command's own words
_WITHOUT_CONFIG = ("stack", "cancel")  # commands that know no --config-file


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The stack called `name`, whose home (of one owner alone) is `home`.

    `program` is the directory of its Pulumi program, `extra` what its environment has besides this process's.
    """

    name: str
    home: Path
    say: Progress = silent
    program: Path = PROGRAM
    extra: Callable[[], Mapping[str, str]] = dict

    @property
    def config(self) -> Path:
        """The stack's configuration file."""
        return self.home / f"Pulumi.{self.name}.yaml"

    @property
    def checkpoint(self) -> Path:
        """Its state, as Pulumi's file backend names it."""
        return self.home / ".pulumi" / "stacks" / PROJECT / f"{self.name}.json"

    @property
    def exists(self) -> bool:
        return self.config.exists() or self.checkpoint.exists()

    def configure(self, document: Mapping[str, Any]) -> None:
        """Make the stack unless it exists, and have its configuration hold `document`, a key for each field."""
        self.ensure()
        kept = yaml.safe_load(self.config.read_text()) or {}
        kept["config"] = {f"{PROJECT}:{key}": value for key, value in document.items()}
        write_private(self.config, yaml.safe_dump(kept, sort_keys=False))

    def pulumi(self, command: str, *arguments: str, check: bool = True, quiet: bool = False) -> str:
        """Run a Pulumi command on this stack; what it printed, when `quiet`, else '' (`say` got it).

        Raises ClusterError with Pulumi's own words if it fails, unless not to `check`.
        """
        done = runs.run(self.command(command, *arguments), self.environment(), self.home, say=self.say, quiet=quiet)
        if check and done.returncode != 0:
            detail = done.stderr.strip() if quiet else _diagnostics((self.home / runs.LOG).read_text(errors="replace"))
            raise ClusterError(f"pulumi {command} of {self.name} ended with status {done.returncode}:\n{detail}")
        return done.stdout

    def command(self, command: str, *arguments: str) -> list[str]:
        """A Pulumi command on this stack, for those who run it themselves, in `environment`."""
        config = [] if command in _WITHOUT_CONFIG else ["--config-file", str(self.config)]
        place = ["--cwd", str(self.program), "--stack", self.name, *config]
        return ["pulumi", command, *place, *arguments, "--non-interactive"]

    def environment(self) -> dict[str, str]:
        """The environment of a Pulumi command on this stack."""
        found = {**os.environ, **self.extra()}
        path = os.pathsep.join([str(Path(sys.executable).parent), found.get("PATH", os.defpath)])
        if shutil.which("pulumi", path=path) is None:
            raise ClusterError(
                "Pulumi is not installed: see https://www.pulumi.com/docs/install/, and then run "
                "`pulumi plugin install resource libvirt 0.5.4`"
            )
        return {
            **found,
            "PATH": path,
            "PULUMI_BACKEND_URL": f"file://{self.home}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase()),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            runs.MARKER: str(self.home),
        }

    def outputs(self) -> dict[str, Any]:
        """All outputs, secrets in the clear; empty before the first `pulumi up` that came to its end."""
        text = self.pulumi("stack", "output", "--json", "--show-secrets", quiet=True)
        found: dict[str, Any] = json.loads(text or "{}")
        return found

    def resources(self) -> list[dict[str, Any]]:
        """The resources in the state, secrets encrypted."""
        found: list[dict[str, Any]] = self._export()["deployment"].get("resources") or []
        return found

    def unlock(self) -> bool:
        """Remove the lock of a run that was killed; whether there was one. None may be under way."""
        locks = self.home / ".pulumi" / "locks"
        if not any(locks.rglob("*.json")):
            return False
        self.pulumi("cancel", "--yes", quiet=True, check=False)
        for path in locks.rglob("*.json*"):  # what `cancel` did not know, or could not remove
            path.unlink()
        return True

    def forget_pending(self) -> int:
        """Forget operations that a killed run left pending: their number.

        Pulumi does not know whether they were done, warns of them in every run and asks for an interactive `pulumi
        refresh`. Here it is known: what they made and did not record has been swept.
        """
        exported = self._export()
        pending = exported["deployment"].pop("pending_operations", None) or []
        if pending:
            path = self.home / "repaired.json"
            write_private(path, json.dumps(exported))
            try:
                self.pulumi("stack", "import", "--file", str(path), quiet=True)
            finally:
                path.unlink()
        return len(pending)

    def _export(self) -> dict[str, Any]:
        exported: dict[str, Any] = json.loads(self.pulumi("stack", "export", quiet=True))
        return exported

    def ensure(self) -> None:
        """`pulumi stack init`, also where a killed run got halfway."""
        if self.config.exists() and self.checkpoint.exists():
            return
        shutil.copy(self.program / "Pulumi.yaml", self.home)  # `stack init` writes its configuration beside this file
        if self.checkpoint.exists():
            salt = _salt(self.checkpoint)
            if salt is not None:
                write_private(self.config, yaml.safe_dump({"encryptionsalt": salt}))
                return
            self.checkpoint.unlink()  # made, and never used: whatever has resources has secrets
        self.config.unlink(missing_ok=True)
        command = ["pulumi", "stack", "init", self.name, "--cwd", str(self.home), "--secrets-provider", "passphrase"]
        done = runs.run([*command, "--non-interactive"], self.environment(), self.home, quiet=True)
        if done.returncode != 0:
            raise ClusterError(f"pulumi stack init {self.name} failed:\n{done.stderr.strip()}")

    def _passphrase(self) -> Path:
        path = self.home / "passphrase"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return path


def _diagnostics(text: str) -> str:
    """Why an update failed, of all that it printed: what follows its own heading, else the end."""
    head, found, rest = text.rpartition("\nDiagnostics:\n")
    lines = [line for line in (rest if found else head or text).splitlines() if line.strip()]
    return "\n".join(lines[:_MOST] if found else lines[-_MOST:])


def _salt(checkpoint: Path) -> str | None:
    """The salt of the passphrase that encrypts a state; None without secrets. Raises ClusterError for no state."""
    try:
        latest = json.loads(checkpoint.read_text())["checkpoint"].get("latest") or {}
        found = (latest.get("secrets_providers") or {}).get("state", {}).get("salt")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClusterError(
            f"the Pulumi state {checkpoint} cannot be read: {error!r}; `firestorm down` removes the cluster without it"
        ) from error
    return str(found) if found else None
