"""Who is told: `console.py` prints a line; other places come behind the same Protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sentinel.approvals import ApprovalRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that people should know. `kind` as on the timeline; `request` is there when an answer is wanted."""

    incident_id: str
    kind: str
    text: str
    trace_id: str
    request: ApprovalRequest | None = None


class Notifier(Protocol):
    """Tells people. A notice may come twice after a crash; a failure must not hold up the run."""

    def notify(self, notice: Notice) -> None:
        """Tell it, or queue it to be told; never raises because a destination is away."""
