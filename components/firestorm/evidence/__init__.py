"""Evidence: what is kept of a cluster that failed, and its likely cause.

model         plain data: of what, and what could not be had
collecting    gathers everything at once, bounded in time, into a directory: nodes, api, configs
secretvalues  pure: what of a secret value has to be hidden; masking hides it in text that streams by
files         writes what was masked, bounded in size
diagnosis     pure: what was gathered -> the likely cause, which is `firestorm.readiness.blame`'s to say
summary       the likely cause first: Markdown for a CI job's page, JUnit for its test report
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firestorm.late import late

if TYPE_CHECKING:
    from firestorm.evidence.collecting import collect
    from firestorm.evidence.model import Subject, SubjectNode
    from firestorm.evidence.summary import Summary

__all__ = ["Subject", "SubjectNode", "Summary", "collect"]

_HOMES = {
    "Subject": "firestorm.evidence.model",
    "SubjectNode": "firestorm.evidence.model",
    "Summary": "firestorm.evidence.summary",
    "collect": "firestorm.evidence.collecting",
}

# The Kubernetes client alone takes a while.
__getattr__ = late(__name__, _HOMES)
