"""`firestorm ci run`: a cluster for as long as one command runs."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Literal

from firestorm.clusters import ephemeral_cluster
from firestorm.clusters.environment import ARTIFACTS, environment_of
from firestorm.commands.output import say
from firestorm.commands.run import INTERRUPTED, cannot_run
from firestorm.errors import FirestormError

OURS = 125
"""The exit status that tells a failure of the cluster from those of the command; as `docker run` and `env` have it."""
GRACE = 60.0
"""Seconds that the command has to end itself after Ctrl-C or SIGTERM."""
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable: the file of GitHub Actions whose Markdown is shown on the job's page.
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary"""
_KEEP: Mapping[str, bool | Literal["on-failure"]] = {"never": False, "on-failure": "on-failure", "always": True}


class _CommandError(Exception):
    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{words} ended with status {status}")
        self.status = status


def run(chosen: argparse.Namespace) -> int:
    """The exit status of the user's command, or one of ours."""
    argv: list[str] = chosen.argv
    if not argv:
        say("error: no command: write it after `--`, as in `firestorm ci run -- pytest`")
        return 2
    if chosen.snapshot is not None and chosen.name is not None:
        say("error: --snapshot: its cluster has a name of its own; leave out --name")
        return 2
    evidence = _Evidence(chosen.artifacts)
    try:
        with ephemeral_cluster(
            chosen.spec or {},
            name=chosen.name,
            ttl=chosen.ttl,
            artifacts=chosen.artifacts,
            keep=_KEEP[chosen.keep],
            snapshot=chosen.snapshot,
            progress=say,
        ) as cluster:
            say(f"the cluster {cluster.name} is up: {cluster.kubeconfig}")
            status = _command(argv, {**environment_of(cluster), ARTIFACTS: str(chosen.artifacts.absolute())})
            if status != 0:
                raise _CommandError(status, argv[0])
    except _CommandError as failed:
        evidence.tell(failed, str(failed))
        return OURS if _notes(failed) else failed.status
    except FirestormError as error:
        evidence.tell(error, f"error: {error}")
        return OURS
    except KeyboardInterrupt as interrupt:
        evidence.tell(interrupt, "interrupted")
        return INTERRUPTED
    except SystemExit as exit_:
        evidence.tell(exit_, "told to end")
        raise
    return 0


def _command(argv: list[str], environment: Mapping[str, str]) -> int:
    """Run the command to its end, as a shell would tell it: 128 + the signal that ended it.

    SIGTERM and Ctrl-C are the command's first: it is asked to end, given time, and then made to. They are raised
    again here, as KeyboardInterrupt or SystemExit, once it has ended.
    """
    try:
        process = subprocess.Popen(argv, env=environment)
    except OSError as error:
        return cannot_run(argv[0], error)
    try:
        status = process.wait()
    except BaseException as error:
        # A terminal's Ctrl-C reaches the whole foreground group, hence the command, too.
        if not (isinstance(error, KeyboardInterrupt) and _in_foreground()):
            process.send_signal(signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
        _end(process)
        raise
    return status if status >= 0 else 128 - status


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a command that was asked to end, and kill it after a while, or at the next Ctrl-C."""

    def kill(_number: int, _frame: FrameType | None) -> None:
        process.kill()

    previous = signal.signal(signal.SIGINT, kill)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        say("the command does not end: it is killed")
        process.kill()
        process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _notes(error: BaseException) -> list[str]:
    """What went wrong after `error`, with the evidence or the cluster's end."""
    return getattr(error, "__notes__", [])


class _Evidence:
    """What this run collects in `directory`, told of from an earlier run's."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.summary = directory, directory / "summary.md"
        self.before = self._time()

    def tell(self, error: BaseException, line: str) -> None:
        """`line`, what else went wrong, and where the evidence is: here and on the job's page of GitHub Actions."""
        say(line)
        for note in _notes(error):
            say(f"error: {note}")
        if self._time() in (None, self.before):
            return
        text = self.summary.read_text()
        say(f"evidence is in {self.directory}; its {self.summary.name} begins:")
        for start in text.splitlines()[:5]:
            say(f"    {start}".rstrip())
        if page := os.environ.get(STEP_SUMMARY):
            with suppress(OSError), Path(page).open("a") as file:
                file.write(f"{text}\n")

    def _time(self) -> int | None:
        try:
            return self.summary.stat().st_mtime_ns
        except OSError:
            return None
