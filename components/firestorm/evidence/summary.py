"""The summary of a collection: the likely cause first, for a CI job's page and for its test report."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from firestorm.evidence.model import Missing
from firestorm.readiness.failure import Report
from firestorm.readiness.lines import shorten

FAULTS = 8
"""Faults told of one by one; the rest is counted."""
_INVALID_XML = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A line of the test report: whether a node came so far, or a part of the cluster runs; `failure` says why not."""

    subject: str
    name: str
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is known of a cluster that failed.

    `cause` is the likely one, in one line; `faults` are all that were found, the likely cause first, empty if the
    cluster shows none and nothing was said. `healthy` says that only what was said is to blame: all that was seen of
    the cluster is well. `error` is what was said when it failed, `files` what was written: paths below the directory.
    """

    cluster: str
    cause: str
    faults: tuple[Report, ...] = ()
    healthy: bool = False
    error: str = ""
    steps: tuple[Step, ...] = ()
    missing: tuple[Missing, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def remedy(self) -> str:
        return self.faults[0].failure.remedy if self.faults else ""

    def markdown(self) -> str:
        """A short document. Its first line names the cluster, the node and the step, the third the cause."""
        lead = self.faults[0] if self.faults else None
        parts = [f"# Cluster {_plain(self._title(lead))}", "", f"**{_plain(self.cause)}**", ""]
        if self.remedy:
            parts += [f"Remedy: {_plain(self.remedy)}.", ""]
        if self.healthy:
            parts += ["Of the cluster itself nothing wrong was seen.", ""]
        if lead and lead.lines:
            parts += _block(lead.lines)
        if rest := self.faults[1:]:
            parts += ["## Also found", ""]
            parts += [
                f"- {_plain(fault.subject)} ({_plain(fault.failure.step)}): {_plain(fault.failure.cause)}"
                for fault in rest[: FAULTS - 1]
            ]
            if len(rest) > FAULTS - 1:
                parts.append(f"- and {len(rest) - FAULTS + 1} more")
            parts.append("")
        if self.error:
            parts += ["## What was said", "", *_block(self.error.splitlines()[-30:])]
        if self.missing:
            parts += ["## What could not be had", ""]
            parts += [f"- {_plain(item.what)}: {_plain(item.why)}" for item in self.missing]
            parts.append("")
        if self.files:
            parts += ["## Files", "", ", ".join(f"`{name}`" for name in self.files), ""]
        return "\n".join(parts)

    def _title(self, lead: Report | None) -> str:
        if lead is None:
            return self.cluster
        where = "" if lead.subject == self.cluster else f"{lead.subject}, "
        return f"{self.cluster} failed: {where}{lead.failure.step}"

    def junit(self) -> str:
        """A JUnit XML report with a test case for each step of each node."""
        failures = [step for step in self.steps if step.failure]
        counts = {"tests": str(len(self.steps)), "failures": str(len(failures)), "errors": "0", "skipped": "0"}
        root = ET.Element("testsuites", counts)
        suite = ET.SubElement(root, "testsuite", {"name": f"firestorm.{_text(self.cluster)}", **counts})
        for step in self.steps:
            where = {"classname": f"firestorm.{_text(self.cluster)}.{_text(step.subject)}", "name": _text(step.name)}
            case = ET.SubElement(suite, "testcase", {**where, "time": "0"})
            if step.failure:
                message = _text(step.failure)
                ET.SubElement(case, "failure", {"message": message.split("\n")[0]}).text = message
        ET.SubElement(suite, "system-out").text = _text(self.markdown())
        ET.indent(root)
        return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"

    def write(self, into: Path) -> None:
        """`summary.md` and `junit.xml`, 0600. Raises OSError."""
        for name, text in (("summary.md", self.markdown()), ("junit.xml", self.junit())):
            fd = os.open(into / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)


def _block(lines: tuple[str, ...] | list[str]) -> list[str]:
    return ["```text", *(shorten(line.replace("```", "'''")) for line in lines), "```", ""]


def _plain(text: str) -> str:
    """One line of Markdown that shows `text` as it is."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*").replace("`", "'")


def _text(text: str) -> str:
    return text.translate(_INVALID_XML)
