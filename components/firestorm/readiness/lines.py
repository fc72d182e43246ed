"""Serial console text as lines a person may read: no terminal control, no status noise, no secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_LINE = 400
"""Characters kept of one line; a longer one ends in an ellipsis."""

FEW = 4
"""Where fewer lines tell of a failure, others are shown beside them."""

_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI sequences (ECMA-48 5.4)
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC strings
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC strings
    r"|\x1b[ -/]*[0-~]"  # two-character and charset sequences
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffd]")

# Stamps that kernel ("[   12.345678] "), journald's console forwarding and journalctl ("Nov 23 18:00:00 ") put first.
STAMP = re.compile(r"^(?:<\d+>)?(?:\[\s*\d+\.\d+\] )?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)? )?")
_KERNEL_STAMP = re.compile(r"^(?:<\d+>)?\[\s*\d+\.\d+\] ")
_IDENTIFIER = re.compile(r"^[A-Za-z(][\w.@()-]*(?:\[\d+\])?: ")

# systemd's status output (systemd.show_status, systemd(1)) and messages of units that go well.
_NOISE = re.compile(
    r"^\s*(?:\[\s*(?:OK|INFO|SKIP)\s*\]|\[[ *]{3,8}\])"
    r"|^\s*(?:Starting|Started|Stopping|Stopped|Mounting|Mounted|Unmounting|Finished|Reached target|Stopped target"
    r"|Listening on|Created slice|Removed slice|Closed|Set up|Found device|Expecting device|Condition check|Loading)\b"
    r"|^\s*(?:A|\(\d+ of \d+\) A) (?:start|stop) job is running"
    r"|^\s*(?:systemd|\(sd-[\w-]+\))(?:\[\d+\])?: (?!.*(?:[Ff]ail|timed out))"
    r"|^audit(?:\[\d+\])?: |^\s*$"
)
_MATTERS = re.compile(
    r"error|fail|fatal|critical|panic|emergency|\boom\b|oom-kill|out of memory|kill|no space|not found|refus|denied"
    r"|forbidden|unauthori[sz]ed|unable|can(?:no|')t|could ?n[o']t|invalid|unsupported|mismatch|timed? ?out"
    r"|unreachable|no such|no bootable|unknown|attempt #|\bresult: |back-?off|bad ",
    re.IGNORECASE,
)
# Drivers of a healthy machine speak of errors too.
_KERNEL_MATTERS = re.compile(
    r"panic|out of memory|oom-killer|no space left|I/O error|VFS: |\bBUG: |\bOops|segfault|soft lockup|Remounting"
    r"|EXT4-fs error|XFS .*(?:corrupt|shutdown)|dm-verity|blocked for more than"
)
# Words that match by accident: names of subsystems, and progress of Ignition's operations that went well.
_HARMLESS = re.compile(
    r"\[finished\]|\[started\]|error(?:s|-)?[ =:]*(?:0\b|none|correct)|RAS: |EDAC|PM: |ignoring|without error"
    r"|fail-?safe"
    r"|result: (?:OK|No Content)\s*$|GET error: resource requires networking|resource requires networking"
    r"|failed to fetch config: resource requires|fetch-offline failed",
    re.IGNORECASE,
)

_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]+-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]+-----")
_JSON = re.compile(r"\s*(?:[\"{}\[\]]|$)")
_PEM_INLINE = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|$)")
_MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bdata:[^\s\"',]*,[^\s\"']*"), "data:(hidden)"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), "(hidden)"),  # JSON Web Tokens (RFC 7519)
    (re.compile(r"\b([a-z0-9]{6})\.[a-z0-9]{16}\b"), r"\1.(hidden)"),  # bootstrap tokens
    (re.compile(r"(?i)\b(bearer|basic) +[\w.+/=-]{8,}"), r"\1 (hidden)"),
    (re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+@"), "(hidden)@"),
    (
        re.compile(r"(?<=[\w/])\?[^\s\"'#]*(?:sig|token|key|secret|credential|auth)[^\s\"'#]*", re.IGNORECASE),
        "?(hidden)",
    ),
    (
        re.compile(
            r"(?i)\b((?:[\w-]*[_-])?(?:password|passwd|passphrase|secret|token|api-?key))"
            r"(\"?\s*[=:]\s*\"?)[^\s\"',]{6,}"
        ),
        r"\1\2(hidden)",
    ),
)
# Base64 of 40 characters and more; hashes in hexadecimal and file paths are not.
_BASE64 = re.compile(r"(?<![\w+/=-])(?=[\w+/-]*[A-Z])(?=[\w+/-]*[a-z])(?=[\w+/-]*\d)[\w+/-]{40,}={0,2}")


def clean(line: str) -> str:
    """One console line as plain text: terminal sequences and control characters removed, tabs kept as spaces."""
    text = _CONTROL.sub("", _ANSI.sub("", line).replace("\t", "    ")).rstrip()
    return text if len(text) <= 16 * MAX_LINE else text[: 16 * MAX_LINE]


def mask(line: str) -> str:
    """The line with what may be a secret replaced by "(hidden)": keys, tokens, data URLs, credentials in URLs."""
    text = _PEM_INLINE.sub("(hidden PEM block)", line)
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return _BASE64.sub("(hidden)", text)


def shorten(line: str, limit: int = MAX_LINE) -> str:
    return line if len(line) <= limit else line[: limit - 1] + "…"


def body(line: str) -> str:
    """The line without its leading time stamps."""
    return STAMP.sub("", line, count=1)


class Redactor:
    """Drops what spans lines and must never be shown: PEM blocks, and the config that a failing Ignition prints.

    Ignition 2 writes "Full config:" and the whole merged config, private keys included, to its standard error when a
    stage fails (internal/exec/engine.go); journald forwards that to the console line by line.
    """

    def __init__(self) -> None:
        self._in_pem = False
        self._in_config = False

    def feed(self, line: str) -> str | None:
        """The cleaned line without secrets; None if it must be dropped as a whole."""
        text = body(line)
        message = _IDENTIFIER.sub("", text, count=1)
        if message.endswith("Full config:"):
            self._in_config = True
            return None
        if self._in_config and message.startswith("}"):
            self._in_config = False
            return None
        # journalctl's last lines of a failed unit may begin in the middle of the config.
        if _JSON.match(message) and (self._in_config or text.startswith("ignition")):
            return None
        if self._in_pem:
            self._in_pem = not _PEM_END.search(message)
            # Anything that does not look like base64 came from elsewhere.
            if not self._in_pem or re.fullmatch(r"[\w+/= |]*", message):
                return None
        if _PEM_BEGIN.search(message) and not _PEM_END.search(message):
            self._in_pem = True
            return None
        return mask(line)


def relevant_lines(text: str | Iterable[str], n: int = 12) -> tuple[str, ...]:
    """The last `n` console lines that matter, oldest first, safe to print.

    Lines that speak of a failure; where there are fewer than `FEW`, the newest others are added to that number.
    Equal lines are folded into the newest, with a count.
    """
    redactor = Redactor()
    split = re.split(r"\r\n|\n|\r", text) if isinstance(text, str) else text
    shown = [line for raw in split if (line := redactor.feed(clean(raw))) is not None]
    kept = _folded(line for line in shown if not _NOISE.search(body(line)))
    telling = [index for index, (line, _) in enumerate(kept) if matters(line)]
    chosen = set(telling[-n:])
    for index in range(len(kept) - 1, -1, -1):
        if len(chosen) >= min(n, FEW):
            break
        if not _is_kernels(kept[index][0]):
            chosen.add(index)
    return tuple(
        shorten(line) if count == 1 else f"{shorten(line)} (x{count})"
        for line, count in (kept[index] for index in sorted(chosen))
    )


def matters(line: str) -> bool:
    """Whether the line tells of something that went wrong."""
    telling = _KERNEL_MATTERS if _is_kernels(line) else _MATTERS
    return bool(telling.search(line)) and not _HARMLESS.search(line)


def _is_kernels(line: str) -> bool:
    """Whether the kernel wrote it: stamped, and not by a named process that journald forwarded."""
    return bool(_KERNEL_STAMP.match(line)) and not re.match(r"[\w.-]+\[\d+\]: ", body(line))


def _folded(lines: Iterable[str]) -> list[tuple[str, int]]:
    """Lines that differ in stamps, process numbers and counts of attempts alone become the newest one, with a count."""
    newest: dict[str, tuple[str, int]] = {}
    for line in lines:
        key = _VARIES.sub("", re.sub(r"^([\w.-]+)\[\d+\]", r"\1", body(line)))
        count = newest.pop(key, ("", 0))[1]
        newest[key] = (line, count + 1)
    return list(newest.values())


_VARIES = re.compile(r"(?<=attempt #)\d+|(?<=or wait )[\w ]+(?= for reboot)")
