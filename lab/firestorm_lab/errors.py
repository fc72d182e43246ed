"""What the lab raises."""

from __future__ import annotations


class LabError(Exception):
    """Something could not be built or started; the message is ready to print and names the remedy or the log."""
