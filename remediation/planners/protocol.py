"""What a planner is: it may propose, and nothing else. `runbook.py` finds a fitting runbook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from remediation.catalogue import Proposal
from remediation.evidence import Analysis, FailedAttempt


class Planner(Protocol):
    """Finds what could help.

    A proposal names action types, services and parameters; catalogue, policy and people decide what becomes of it.
    """

    name: str
    """Short name, shown on plans."""

    def plan(self, analysis: Analysis, failed: Sequence[FailedAttempt]) -> Proposal | None:
        """A proposal that repeats no failed action, or None when the planner knows nothing better to do."""
