"""The Pulumi stack of a development cluster, in a home of its own: its commands, its state and its secrets.

Nothing of it is in the tree: the backend, the stack's configuration and the passphrase are files of its home.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from firestorm_lab import runs, tools
from firestorm_lab.cache import Cache
from firestorm_lab.errors import LabError

TREE = Path(__file__).parents[2]
PROJECT = "firestorm"
UP = ("up", "--yes", "--skip-preview")
_WITHOUT_CONFIG = ("stack", "cancel")  # commands that know no --config-file


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The stack called `name`, whose home (of one owner alone) is `home`."""

    name: str
    home: Path

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
        """Run a Pulumi command on this stack; what it printed, when `quiet`, else '' (it went to the terminal).

        Raises LabError if it fails, unless not to `check`.
        """
        done = runs.run(self.command(command, *arguments), self.environment(), self.home, quiet=quiet)
        if check and done.returncode != 0:
            detail = f":\n{done.stderr.strip()}" if done.stderr else "; its own words are above"
            raise LabError(f"pulumi {command} of {self.name} ended with status {done.returncode}{detail}")
        return done.stdout

    def command(self, command: str, *arguments: str) -> list[str]:
        """A Pulumi command on this stack, for those who run it themselves, in `environment`."""
        config = [] if command in _WITHOUT_CONFIG else ["--config-file", str(self.config)]
        place = ["--cwd", str(TREE), "--stack", self.name, *config]
        return ["pulumi", command, *place, *arguments, "--non-interactive"]

    def environment(self) -> dict[str, str]:
        """The environment of a Pulumi command on this stack."""
        found = tools.ensure(Cache.default()).environment()
        return {
            **os.environ,
            **found,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), found["PATH"]]),
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
        shutil.copy(TREE / "Pulumi.yaml", self.home)  # `stack init` writes its configuration beside this file
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
            raise LabError(f"pulumi stack init {self.name} failed:\n{done.stderr.strip()}")

    def _passphrase(self) -> Path:
        path = self.home / "passphrase"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return path


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read: whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _salt(checkpoint: Path) -> str | None:
    """The salt of the passphrase that encrypts a state; None if it holds no secrets. Raises LabError for no state."""
    try:
        latest = json.loads(checkpoint.read_text())["checkpoint"].get("latest") or {}
        found = (latest.get("secrets_providers") or {}).get("state", {}).get("salt")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabError(
            f"the Pulumi state {checkpoint} cannot be read: {error!r}; `make down` removes the cluster without it"
        ) from error
    return str(found) if found else None
