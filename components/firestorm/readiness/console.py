"""A node's serial console, read as it grows: how far the node came, and what failed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from firestorm.readiness.failure import Failure
from firestorm.readiness.ignition import SPACE_REMEDY, IgnitionLog
from firestorm.readiness.lines import Redactor, body, clean, relevant_lines, shorten

KEPT_LINES = 400
"""Console lines remembered for messages."""
UNIT_FAILURES = 5
"""So many failures of a unit that systemd starts again are no accident."""


class Stage(IntEnum):
    """How far a node came, in order."""

    OFF = 0
    POWERED_ON = 1
    KERNEL = 2
    IGNITION = 3
    IGNITION_DONE = 4
    BOOTED = 5
    KUBELET = 6


STAGE_NAMES: Mapping[Stage, str] = {
    Stage.OFF: "power on",
    Stage.POWERED_ON: "firmware and boot loader",
    Stage.KERNEL: "kernel and initramfs",
    Stage.IGNITION: "Ignition",
    Stage.IGNITION_DONE: "start of the system",
    Stage.BOOTED: "kubelet",
    Stage.KUBELET: "joining the cluster",
}
"""What a node that stands at a stage is busy with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFailure:
    """A systemd unit that failed `count` times since the node booted, with its last journal lines."""

    unit: str
    count: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleState:
    """A console at one moment. `boots` counts starts of the kernel; all else is about the newest one."""

    stage: Stage = Stage.OFF
    failure: Failure | None = None
    """The failure that explains most: a certain one if there is any."""
    fetch_attempts: int = 0
    """Attempts in a row of Ignition to fetch one file that failed in the same way."""
    units: tuple[UnitFailure, ...] = ()
    boots: int = 0
    lines: tuple[str, ...] = ()
    """The newest lines, safe to show."""

    def relevant(self, n: int = 12) -> tuple[str, ...]:
        return relevant_lines(self.lines, n)

    def unit(self, name: str) -> UnitFailure | None:
        return next((unit for unit in self.units if unit.unit == name), None)


_SYSTEMD_STATUS = re.compile(r"^(?:\[ *(OK|FAILED|DEPEND) *\] |systemd\[1\]: )?(.*)$")
_IGNITION_DONE = re.compile(
    r"(?:Finished|Started) (?:ignition-files\.service - )?Ignition \(files\)|Reached target .*Ignition Complete\.?$"
)
_IGNITION_START = re.compile(r"Starting (?:ignition-[\w-]+\.service - )?Ignition \((\S+)\)")
_LOGIN = re.compile(r"^\S+ login: ?$|Reached target (?:multi-user\.target - )?Multi-User System")
_UNIT_FAILED = re.compile(r"Failed to start (?:(\S+) - )?(.+?)\.?$|^(\S+): Failed with result ")
# A prompt may stand before it on the same line.
_MARKER = re.compile(r"(?:^|\s)firestorm: (?P<node>[\w.-]+): (?P<event>.+)$")
_IGNITION_LINE = re.compile(r"^ignition(?:\[\d+\])?: (.*)$")
_EMERGENCY = re.compile(
    r"Press Enter for emergency shell|Entering emergency mode|You are in emergency mode|Starting Emergency Shell"
    r"|Ignition has failed\. Please ensure your config is valid|dracut: Refusing to continue"
    r"|Cannot open access to console, the root account is locked|dracut: FATAL:"
)
_OUT_OF_MEMORY = re.compile(r"\bOut of memory: Killed process \d+ \((.+?)\)")


def _memory(match: re.Match[str]) -> Failure:
    return Failure(
        step="memory",
        cause=f"the node ran out of memory; the kernel killed {match[1]}",
        remedy="give the pool more `memory`",
        rank=2,
    )


_NO_MEDIUM = Failure(
    step="firmware and boot loader",
    cause="the machine found nothing to boot from",
    remedy="check the operating system image (`os`): it must be a bootable disk image for this architecture",
    certain=True,
    rank=2,
)
_PATTERNS: tuple[tuple[re.Pattern[str], Failure], ...] = (
    # SeaBIOS, OVMF and GRUB when there is nothing to boot.
    (re.compile(r"^No bootable device|BdsDxe: No bootable option or device was found|^grub rescue>"), _NO_MEDIUM),
    (re.compile(r"^error: no such (?:device|partition)|^Boot failed: not a bootable disk"), _NO_MEDIUM),
)
_PANIC = re.compile(r"Kernel panic - not syncing: (.*)$")
_NO_SPACE = re.compile(r"[Nn]o space left on device")


@dataclass(slots=True)
class ConsoleParser:
    """Reads a console's text in pieces of any size; `state()` is what is known so far.

    A new start of the kernel begins anew, so that a log which holds several boots tells of the newest.
    """

    stage: Stage = Stage.OFF
    boots: int = 0
    ignition: IgnitionLog = field(default_factory=IgnitionLog)
    _pending: str = ""
    _after_return: bool = False
    _redactor: Redactor = field(default_factory=Redactor)
    _lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _failures: list[Failure] = field(default_factory=list[Failure])
    _units: dict[str, UnitFailure] = field(default_factory=dict[str, UnitFailure])
    _failed_unit: str = ""
    _block: tuple[str, list[str]] | None = None
    _memory_kills: int = 0

    def feed(self, text: str) -> None:
        """More console text. A line counts once its end (or a carriage return) was read."""
        if self._after_return and text.startswith("\n"):
            text = text[1:]
        self._after_return = text.endswith("\r") if text else self._after_return
        *lines, self._pending = re.split(r"\r\n|\n|\r", self._pending + text)
        if len(self._pending) > 65536:
            self._pending = self._pending[-4096:]
        if (text.strip() or lines) and self.stage < Stage.POWERED_ON:
            self.stage = Stage.POWERED_ON
        for raw in lines:
            self._line(raw)

    def state(self) -> ConsoleState:
        return ConsoleState(
            stage=self.stage,
            failure=self._worst(),
            fetch_attempts=self.ignition.attempts if self.ignition.waiting() else 0,
            units=tuple(self._units.values()),
            boots=self.boots,
            lines=tuple(self._lines),
        )

    def _worst(self) -> Failure | None:
        candidates = list(self._failures)
        if waiting := self.ignition.waiting():
            candidates.append(waiting)
        return max(candidates, key=lambda failure: (failure.certain, failure.rank), default=None)

    def _reach(self, stage: Stage) -> None:
        self.stage = max(self.stage, stage)

    def _line(self, raw: str) -> None:
        line = self._redactor.feed(clean(raw))
        if line is None or not line.strip():
            return
        text = body(line)
        if re.match(r"Linux version \d", text):
            self._reboot()
        self._lines.append(shorten(line))
        if re.match(r"(?:<\d+>)?\[ *\d+\.\d+\] ", line):
            self._reach(Stage.KERNEL)
        if self._block is not None and self._report_line(text):
            return
        if match := _MARKER.search(text):
            self._event(match["event"])
        elif match := _IGNITION_LINE.match(text):
            self._ignition(match[1])
        else:
            self._status(text)
            self._trouble(text)

    def _reboot(self) -> None:
        self.boots += 1
        self.stage = Stage.KERNEL
        self.ignition = IgnitionLog()
        self._failures.clear()
        self._units.clear()
        self._failed_unit, self._block, self._memory_kills = "", None, 0

    def _ignition(self, message: str) -> None:
        self._reach(Stage.IGNITION)
        failure = self.ignition.feed(message)
        if failure is not None:
            self._failures.append(failure)
        if self.ignition.done:
            self._reach(Stage.IGNITION_DONE)

    def _event(self, event: str) -> None:
        if event == "booted":
            self._reach(Stage.BOOTED)
        elif event == "kubelet started":
            self._reach(Stage.KUBELET)
        elif event.endswith(" failed"):
            self._block = (event.removesuffix(" failed"), [])

    def _report_line(self, text: str) -> bool:
        assert self._block is not None
        unit, lines = self._block
        if text.startswith("firestorm| "):
            lines.append(shorten(text.removeprefix("firestorm| ")))
            return True
        ended = bool(re.match(r"firestorm: \S+: end$", text))
        if ended or text.startswith("firestorm: "):
            before = self._units.get(unit)
            count = before.count + 1 if before else 1
            self._units[unit] = UnitFailure(unit=unit, count=count, lines=tuple(lines))
            self._block = None
        return ended

    def _status(self, text: str) -> None:
        match = _SYSTEMD_STATUS.match(text)
        status, rest = (match[1], match[2]) if match else (None, text)
        if start := _IGNITION_START.search(rest):
            self._reach(Stage.IGNITION)
            if self.ignition.stage != start[1]:
                self.ignition.feed(f"Stage: {start[1]}")
        elif status not in ("FAILED", "DEPEND") and _IGNITION_DONE.search(rest):
            self._reach(Stage.IGNITION_DONE)
        elif _LOGIN.search(rest):
            self._reach(Stage.BOOTED)
        elif failed := _UNIT_FAILED.search(rest):
            self._failed_unit = failed[2] or failed[3]

    def _trouble(self, text: str) -> None:
        if match := _PANIC.search(text):
            step = STAGE_NAMES[self.stage]
            remedy = "the console lines below come from the kernel; check the image and the machine's `memory`"
            self._fail(
                Failure(step=step, cause=f"the kernel panicked: {match[1]}", remedy=remedy, certain=True, rank=2)
            )
        elif match := _OUT_OF_MEMORY.search(text):
            self._memory_kills += 1
            failure = _memory(match)
            # The kubelet and its pods are started again; what the boot needs is not.
            certain = self.stage < Stage.BOOTED or self._memory_kills >= 3
            self._fail(Failure(step=failure.step, cause=failure.cause, remedy=failure.remedy, certain=certain, rank=2))
        elif _EMERGENCY.search(text):
            self._emergency()
        elif _NO_SPACE.search(text):
            step = STAGE_NAMES[self.stage]
            self._fail(
                Failure(step=step, cause="no space is left on one of the node's disks", remedy=SPACE_REMEDY, rank=1)
            )
        else:
            for pattern, failure in _PATTERNS:
                if pattern.search(text):
                    self._fail(failure)

    def _emergency(self) -> None:
        in_ignition = "Ignition" in self._failed_unit or (not self._failed_unit and self.stage == Stage.IGNITION)
        if in_ignition:
            step = self.ignition.step
            cause = "Ignition failed, and the machine waits in its emergency shell"
        else:
            step = STAGE_NAMES[self.stage]
            cause = "the system did not start, and the machine waits in its emergency shell"
        if self._failed_unit and not in_ignition:
            cause += f": {self._failed_unit} failed"
        remedy = "the console lines below name the unit that failed"
        # The reason may follow: Flatcar and Fedora CoreOS print the failed units' journals up to 15 seconds later.
        self._fail(Failure(step=step, cause=cause, remedy=remedy, certain=True, rank=1, settle=20.0))

    def _fail(self, failure: Failure) -> None:
        if failure not in self._failures:
            self._failures.append(failure)
