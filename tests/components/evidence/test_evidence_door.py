"""What `firestorm.evidence` gives, and what it takes to import it."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import firestorm.evidence


def test_the_door_holds_what_it_says() -> None:
    assert firestorm.evidence.__all__ == ["Subject", "SubjectNode", "Summary", "collect"]
    for name in firestorm.evidence.__all__:
        home = importlib.import_module(firestorm.evidence._HOMES[name])
        assert getattr(firestorm.evidence, name) is getattr(home, name)
    with pytest.raises(AttributeError, match="no attribute 'colect'"):
        firestorm.evidence.colect  # noqa: B018


def test_a_subject_costs_no_kubernetes_client() -> None:
    code = "import sys; from firestorm.evidence import Subject; print({'pulumi', 'lightkube', 'yaml'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"


def test_a_subject_does_not_print_its_secrets() -> None:
    subject = firestorm.evidence.Subject(name="demo", secrets=frozenset({"hunter2"}), configs={"n": "hunter2"})
    assert "hunter2" not in repr(subject)
