"""Who is told: `console.py` prints a line; other places come behind the same Protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sentinel.approvals import ApprovalRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that people should know. `kind` as on the timeline; `request` is the question it is about, if any.

    `key` tells notices of one kind and incident apart and is the same when one comes again after a crash. `result` is an
    attempt's; a notice that is not `final` is followed by another attempt.
    """

    incident_id: str
    kind: str
    text: str
    trace_id: str
    request: ApprovalRequest | None = None
    key: str = ""
    result: str = ""
    final: bool = True


class Notifier(Protocol):
    """Tells people. A notice may come twice after a crash; a failure must not hold up the run."""

    def notify(self, notice: Notice) -> None:
        """Tell it, or queue it to be told; never raises because a destination is away."""
