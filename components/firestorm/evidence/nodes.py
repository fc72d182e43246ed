"""What one machine leaves: its console, and what it answers over its journal port."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from firestorm.evidence.files import Folder, bounded
from firestorm.evidence.model import Missing, SubjectNode
from firestorm.readiness.console import STAGE_NAMES, ConsoleParser, ConsoleState, Stage
from firestorm.readiness.failure import Failure
from firestorm.readiness.journal import container_failures, journal_failures, node_failures
from firestorm.readiness.port import PortError, Question, ask

ANSWER = 2 << 20
"""Bytes that a node may answer to one question."""
_FILES: Mapping[Question, str] = {"node": "node.txt", "journal": "journal.log", "containers": "containers.log"}
_KUBELET = re.compile(r"^\S+ (?:kubelet|containerd)\[\d+\]: |^\S+ systemd\[1\]: (?:kubelet|containerd)\.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvidence:
    """What was seen of a node: its console, None where it cannot be read, and what the node tells of itself, the
    failure that explains most first. `has_logs` says whether its containers' logs were had."""

    console: ConsoleState | None = None
    told: tuple[Failure, ...] = ()
    has_logs: bool = False
    missing: tuple[Missing, ...] = ()


def collect_node(node: SubjectNode, folder: Folder, *, deadline: float) -> NodeEvidence:
    """Write what `node` leaves to `nodes/<name>/`, by `deadline` (of time.monotonic)."""
    missing: list[Missing] = []
    console = _console(node, folder, missing)
    answers = _ask(node, folder, console, deadline, missing)
    journal = answers.get("journal", "")
    kubelet = [f"{line}\n" for line in journal.splitlines() if _KUBELET.match(line)]
    if kubelet:
        folder.write(_path(node, "kubelet.log"), kubelet)
    told = (
        *node_failures(answers.get("node", ""), node.role),
        *journal_failures("".join(kubelet)),
        *container_failures(answers.get("containers", "")),
    )
    return NodeEvidence(
        console=console,
        told=tuple(sorted(told, key=lambda failure: -failure.rank)),
        has_logs=bool(answers.get("containers", "").strip()),
        missing=tuple(missing),
    )


def _console(node: SubjectNode, folder: Folder, missing: list[Missing]) -> ConsoleState | None:
    if node.console is None:
        missing.append(Missing(what=f"console of {node.name}", why="it is not on this host"))
        return None
    parser = ConsoleParser()
    try:
        for piece in _shown(node.earlier, node.console):
            parser.feed(piece)
        folder.write(_path(node, "console.log"), _shown(node.earlier, node.console))
    except OSError as error:
        missing.append(
            Missing(what=f"console of {node.name}", why=f"{error.filename or node.console}: {error.strerror}")
        )
        return None
    parser.feed("\n")
    return parser.state()


def _shown(earlier: Path | None, console: Path) -> Iterator[str]:
    if earlier is not None:
        yield from bounded(earlier)
        yield "\n"
    yield from bounded(console)


def _ask(
    node: SubjectNode, folder: Folder, console: ConsoleState | None, deadline: float, missing: list[Missing]
) -> dict[Question, str]:
    """The node's answers; none after the first question that it does not answer."""
    what = f"journal of {node.name}"
    if node.journal is None:
        missing.append(Missing(what=what, why="the node has no journal port on this host"))
        return {}
    if console is not None and console.stage < Stage.IGNITION_DONE:
        step = STAGE_NAMES[console.stage]
        missing.append(Missing(what=what, why=f"the machine has not come so far ({step}); its console tells of it"))
        return {}
    answers: dict[Question, str] = {}
    for question, file in _FILES.items():
        try:
            answer = ask(node.journal, question, timeout=max(1.0, deadline - time.monotonic()), limit=ANSWER)
        except PortError as error:
            missing.append(Missing(what=f"{file} of {node.name}" if answers else what, why=str(error)))
            break
        text = answer.data.decode("utf-8", errors="replace")
        answers[question] = text
        folder.write(_path(node, file), [text])
        if not answer.whole:
            missing.append(Missing(what=f"the rest of {file} of {node.name}", why="the time was up"))
            break
    return answers


def _path(node: SubjectNode, file: str) -> str:
    return f"nodes/{node.name}/{file}"
