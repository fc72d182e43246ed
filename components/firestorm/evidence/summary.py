"""The summary of a collection: the likely cause first, for a CI job's page and for its test report."""

from __future__ import annotations

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
    cluster shows none. `error` is what was said when it failed, `files` what was written, as paths below the directory.
    """

    cluster: str
    cause: str
    faults: tuple[Report, ...] = ()
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
        where = f"{lead.subject}, {lead.failure.step}" if lead else "no fault was found in the cluster"
        parts = [f"# Cluster {_plain(self.cluster)} failed: {_plain(where)}", "", f"**{_plain(self.cause)}**", ""]
        if self.remedy:
            parts += [f"Remedy: {_plain(self.remedy)}.", ""]
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
        """`summary.md` and `junit.xml`. Raises OSError."""
        (into / "summary.md").write_text(self.markdown(), encoding="utf-8")
        (into / "junit.xml").write_text(self.junit(), encoding="utf-8")


def _block(lines: tuple[str, ...] | list[str]) -> list[str]:
    return ["```text", *(shorten(line.replace("```", "'''")) for line in lines), "```", ""]


def _plain(text: str) -> str:
    """One line of Markdown that shows `text` as it is."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*").replace("`", "'")


def _text(text: str) -> str:
    return text.translate(_INVALID_XML)
