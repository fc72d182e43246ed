"""What Ignition's log says: which stage runs, what it fetches, and why it failed.

Texts are those of Ignition 2.27 (internal/exec/engine.go, internal/exec/util/file.go, internal/resource/http.go and
url.go, config/shared/errors); they have been the same since 2.0. What Ignition does when a file cannot be had:

    404                            gives up at once ("resource not found")
    other statuses below 500       gives up at once ("failed to fetch resource")
    500 and above, or no answer    tries again for ever, every 5 seconds at last, unless `httpTotal` is set
    wrong hash                     gives up at once ("hash verification failed")
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus

from firestorm.readiness.failure import Failure

# Go's http.StatusText, where its words differ from Python's HTTPStatus.phrase.
_PHRASES = {status.phrase.lower(): status.value for status in HTTPStatus} | {
    "request entity too large": 413,
    "request uri too long": 414,
    "requested range not satisfiable": 416,
    "expectation failed": 417,
    "i'm a teapot": 418,
    "unprocessable entity": 422,
    "non-authoritative information": 203,
}

_LEVEL = re.compile(r"^(?:EMERGENCY|ALERT {4}|CRITICAL |ERROR {4}|WARNING {2}|NOTICE {3}|INFO {5}|DEBUG {4}): ?")
_STAGE = re.compile(r"^Stage: (\S+)$")
_WRITING = re.compile(r'\[started\] +(?:writing|appending to) file "(.+)"$')
_OPERATION_END = re.compile(r"\[(?:finished)\] ")
_ATTEMPT = re.compile(r"\b(?:GET|PUT) (\S+): attempt #(\d+)$")
_RESULT = re.compile(r"\b(?:GET|PUT) result: (.*)$")
_NO_ANSWER = re.compile(r"\b(?:GET|PUT) error: (.*)$")
_REPORT = re.compile(r"^error(?: at .+?)?: \S")
_REFUSED = re.compile(r"^failed to fetch config: (?P<reason>.*)$")
_FILE_FAILED = re.compile(r'(?:Error fetching file|failed to create file) "(?P<file>[^"]+)": (?P<reason>.*)$')
_FAILED = re.compile(r"^Ignition failed: (?P<reason>.*)$")
_HASH = re.compile(r"hash verification failed \(calculated ([0-9a-f]+) but expected ([0-9a-f]+)\)")
_CONFIG_ERRORS = re.compile(
    r"^(?:config is not valid|invalid config version|unsupported config version|config format deprecated)"
    r"|^(?:merging configs resulted in an invalid config)"
)
_NOT_YET = "resource requires networking"
"""Not a failure: the fetch-offline stage hands over to fetch."""

MIRROR_REMEDY = (
    "check that the file is there and that the node can reach it;"
    " `mirrors` and `artifacts` decide where nodes fetch from"
)
HASH_REMEDY = (
    "put the file that was pinned at this address, or pin the one that is there: set its sha256 in `artifacts`"
)
CONFIG_REMEDY = "correct the snippet or argument that this part of the configuration comes from"
SPACE_REMEDY = "give the pool a larger `disk`"
OTHER_REMEDY = "the console lines below tell what Ignition was doing"


@dataclass(slots=True)
class IgnitionLog:
    """Reads Ignition's log messages in order (`feed`); its fields tell what is going on."""

    stage: str = ""
    done: bool = False
    file: str | None = None
    """The file being written, as the node will see it."""
    url: str | None = None
    trouble: str | None = None
    """Why the last attempt to fetch `url` brought nothing; None if none failed yet or the last one went well."""
    attempts: int = 0
    """Attempts in a row that ended in the same `trouble`."""
    errors: list[str] = field(default_factory=list[str])
    """Errors that Ignition found in its config."""
    reason: str = ""
    """The reason of the newest refusal of a config."""

    def feed(self, message: str) -> Failure | None:
        """One message, without the identifier that the journal put before it; a Failure if Ignition gave up."""
        message = _LEVEL.sub("", message)
        if match := _STAGE.match(message):
            self._start(match[1])
        elif match := _FAILED.match(message):
            return None if match["reason"] == _NOT_YET else self._failure(match["reason"])
        elif match := _WRITING.search(message):
            self.file, self.url, self.trouble, self.attempts = _on_node(match[1]), None, None, 0
        elif _OPERATION_END.search(message):
            self.trouble, self.attempts = None, 0
        elif match := _FILE_FAILED.search(message):
            self.file = _on_node(match["file"])
        elif match := _REFUSED.match(message):
            self.reason = match["reason"]
        elif _REPORT.match(message):
            if message not in self.errors:
                self.errors.append(message)
        elif self.stage == "files" and re.search(r"^files: files passed$|^Ignition finished successfully$", message):
            self.done = True
        else:
            self._request(message)
        return None

    def waiting(self) -> Failure | None:
        """What Ignition keeps trying without success, if anything."""
        if self.trouble is None or self.url is None:
            return None
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        return Failure(
            step=self.step,
            cause=f"Ignition keeps trying to fetch {self._wanted()}: {self.url} {self.trouble} ({times} in a row)",
            remedy=MIRROR_REMEDY,
        )

    @property
    def step(self) -> str:
        return f"Ignition ({self.stage})" if self.stage else "Ignition"

    def _start(self, stage: str) -> None:
        self.stage, self.done = stage, False
        self.file = self.url = self.trouble = None
        self.attempts, self.reason = 0, ""
        self.errors.clear()

    def _request(self, message: str) -> None:
        if match := _ATTEMPT.search(message):
            if self.url != match[1]:
                self.url, self.trouble, self.attempts = match[1], None, 0
        elif match := _RESULT.search(message):
            self._answer(None if match[1] in ("OK", "No Content") else f"answered {_status(match[1])}")
        elif match := _NO_ANSWER.search(message):
            self._answer(f"did not answer: {_network_error(match[1])}")

    def _answer(self, trouble: str | None) -> None:
        again = trouble == self.trouble
        self.trouble = trouble
        self.attempts = 0 if trouble is None else self.attempts + 1 if again else 1

    def _wanted(self) -> str:
        return self.file or ("its configuration" if self.stage.startswith("fetch") else "a file")

    def _failure(self, reason: str) -> Failure:
        if match := _FILE_FAILED.search(reason):
            self.file, detail = _on_node(match["file"]), match["reason"]
        else:
            detail = reason
        cause, remedy = self._explained(reason, detail)
        return Failure(step=self.step, cause=cause, remedy=remedy, certain=True, rank=3)

    def _explained(self, reason: str, detail: str) -> tuple[str, str]:
        fetching = f"Ignition failed while fetching {self._wanted()}"
        if match := _HASH.search(detail):
            kind = {64: "SHA-256", 128: "SHA-512"}.get(len(match[1]), "hash")
            source = self.url or "the file"
            return f"{fetching}: {source} has the {kind} {match[1]}, expected is {match[2]}", HASH_REMEDY
        if detail in ("resource not found", "failed to fetch resource", "unable to fetch resource in time"):
            return f"{fetching}: {self.url or 'its source'} {self.trouble or _PLAIN[detail]}", MIRROR_REMEDY
        if _CONFIG_ERRORS.search(reason) or self.errors:
            errors = "; ".join(error.removeprefix("error at ") for error in self.errors[:3]) or self.reason or reason
            more = f"; and {len(self.errors) - 3} more" if len(self.errors) > 3 else ""
            return f"Ignition refuses the configuration: {errors}{more}", CONFIG_REMEDY
        if "no space left on device" in reason:
            return f"Ignition failed: {_plain(reason)}", SPACE_REMEDY
        return f"Ignition failed: {_plain(reason)}", OTHER_REMEDY


_PLAIN = {
    "resource not found": "answered 404 Not Found",
    "failed to fetch resource": "answered with an error",
    "unable to fetch resource in time": "did not answer in time",
}


def _on_node(path: str) -> str:
    """A path as the booted node knows it: Ignition runs with the node's root at /sysroot."""
    return path.removeprefix("/sysroot") if path.startswith("/sysroot/") else path


def _plain(reason: str) -> str:
    """Go's nested error without the parts that it repeats, and with paths as the booted node knows them."""
    parts = re.sub(r"(?<![\w/])/sysroot(?=/)", "", reason).split(": ")
    return ": ".join(part for index, part in enumerate(parts) if part not in parts[:index])


def _status(phrase: str) -> str:
    code = _PHRASES.get(phrase.lower())
    return f"{code} {phrase}" if code is not None else (phrase or "with a status without a name")


def _network_error(text: str) -> str:
    """The end of Go's error, which begins with the method and the URL: `Get "http://…": dial tcp …: refused`."""
    return re.sub(r'^(?:Get|Put) "[^"]*": ', "", text)
