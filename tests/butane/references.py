"""Butane and Ignition themselves, in one process that answers many requests (lab/modules/references)."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the reference."""

    kind: str
    path: str
    line: int
    column: int
    text: str
    guessed: bool
    """It does not know where the field came from: the path is that of the output, in Butane's spelling."""


@dataclass(frozen=True, slots=True)
class Answer:
    output: str
    error: str
    """Empty if the reference accepts."""
    messages: tuple[Said, ...]

    @property
    def accepted(self) -> bool:
        return not self.error


def tool(name: str, variable: str) -> str:
    found = os.environ.get(variable) or shutil.which(name)
    assert found, f"the reference {name} is needed: set {variable} or put it on PATH"
    return found


class Reference:
    """A running `firestorm-references`; close it by `with`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [tool("firestorm-references", "FIRESTORM_REFERENCES")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        for thread in self._threads:
            thread.join()
        self._process.stdin.close()
        self._process.wait(timeout=10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ask(self, requests: Iterable[Mapping[str, Any]]) -> Iterator[Answer]:
        """The answers in the order of the requests, each as soon as it is there."""
        lines = [json.dumps(request).encode() + b"\n" for request in requests]
        for thread in self._threads:  # of a caller who did not wait for the last answer
            thread.join()
        answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._write, args=(lines,), daemon=True),
            threading.Thread(target=self._read, args=(len(lines), answers), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        for _ in lines:
            answer = json.loads(answers.get(timeout=300))
            assert not answer["crash"], f"the reference crashed: {answer['crash']}"
            messages = tuple(Said(**message) for message in answer["messages"] or ())
            yield Answer(answer["output"], answer["error"], messages)

    def translate(self, source: str, **options: Any) -> Answer:
        return next(self.ask([{"do": "translate", "source": source, **options}]))

    def validate(self, config: str) -> Answer:
        return next(self.ask([{"do": "validate", "source": config}]))

    def _write(self, lines: list[bytes]) -> None:
        assert self._process.stdin is not None
        for line in lines:
            self._process.stdin.write(line)
        self._process.stdin.flush()

    def _read(self, count: int, answers: queue.SimpleQueue[bytes]) -> None:
        assert self._process.stdout is not None
        for _ in range(count):
            answers.put(self._process.stdout.readline())
