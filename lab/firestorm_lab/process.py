"""Commands with a log file, a sign of life and no survivors."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from firestorm_lab.errors import LabError
from firestorm_lab.progress import Step

_TAIL_LINES = 15
_TAIL_BYTES = 16 * 1024
_GRACE = 5.0
# `go build -v` names each package on a line of its own: a sign of life, but no reason for a failure.
_PACKAGE = re.compile(r"[\w.~+-]+(/[\w.~+-]+)*")


def tail(path: Path, lines: int = _TAIL_LINES) -> list[str]:
    """The last lines of a file, without reading all of it; none when it does not exist."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines:]


def stop(process: subprocess.Popen[bytes], grace: float = _GRACE) -> None:
    """End a process that leads its own session, with everything it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(grace)
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs the commands of one build: all of them write into `log`; the last line of it is the sign of life."""

    log: Path
    step: Step

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 3600.0,
        stdin: bytes | None = None,
    ) -> None:
        """Run a command to its end.

        `env` is added to this process's environment. Raises LabError with the log's path and last lines when the
        command fails or runs longer than `timeout` seconds; when interrupted, nothing it started is left running.
        """
        words = [str(word) for word in command]
        line = shlex.join(words)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            log.write(f"$ {line}\n".encode())
            log.flush()
            process = None
            try:
                with _uninterrupted():
                    process = self._started(words, log, cwd=cwd, env=env, piped=stdin is not None)
                if stdin is not None and process.stdin is not None:
                    process.stdin.write(stdin)
                    process.stdin.close()
                code = self._wait(process, timeout)
            except BaseException:
                if process is not None:
                    stop(process)
                raise
        if code != 0:
            raise self._failure(line, f"ended with status {code}" if code > 0 else f"was ended by signal {-code}")

    def _started(
        self, words: list[str], log: IO[bytes], *, cwd: Path | None, env: Mapping[str, str] | None, piped: bool
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                words,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise LabError(f"{self.step.name}: cannot run {words[0]}: {error.strerror}") from error

    def _wait(self, process: subprocess.Popen[bytes], timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while True:
            try:
                return process.wait(1.0)
            except subprocess.TimeoutExpired:
                pass
            if time.monotonic() > deadline:
                stop(process)
                raise self._failure(_line(process), f"was still running after {timeout:.0f} s")
            last = tail(self.log, 1)
            self.step.alive(f"still running: {last[0][:110] if last else '(no output yet)'}")

    def _failure(self, line: str, what: str) -> LabError:
        lines = [text for text in tail(self.log, 10 * _TAIL_LINES) if not _PACKAGE.fullmatch(text)]
        shown = "\n".join(f"    {text}" for text in lines[-_TAIL_LINES:])
        return LabError(f"{self.step.name}: {line}\n  {what}. Its log is {self.log}; the last lines:\n{shown}")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Have Ctrl-C wait until the block has ended: a process that is just being started is nobody's to end yet."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _frame: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    for number in caught[:1]:
        signal.raise_signal(number)


def output(command: Sequence[str | Path], *, timeout: float = 60.0) -> str:
    """What a short command prints, stripped; LabError when it cannot run or fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"cannot run {shlex.join(words)}: {error}") from error
    if done.returncode != 0:
        raise LabError(f"{shlex.join(words)} ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def _line(process: subprocess.Popen[bytes]) -> str:
    return shlex.join(process.args) if isinstance(process.args, list) else str(process.args)
