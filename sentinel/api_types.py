"""What the HTTP API answers beyond the vocabulary itself; the server and the client share it."""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.alerts import AlertMessage
from sentinel.approvals import ApprovalDecision, ApprovalRequest
from sentinel.decisions import Decision
from sentinel.edits import ApprovalEdit
from sentinel.incidents import Incident
from sentinel.model_use import ModelUse
from sentinel.outcomes import Outcome
from sentinel.runs import LedgerEntry, Run, TimelineRow
from sentinel.safety import Breaker, BreakerState
from sentinel.series import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """A request with its one decision, when there is one, and every vote and edit, oldest first."""

    request: ApprovalRequest
    decision: ApprovalDecision | None
    votes: tuple[ApprovalDecision, ...] = ()
    edits: tuple[ApprovalEdit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """All that is known of one incident.

    `alerts` are the last messages of its alerts (at most 500). `decisions` are the rows that the stages wrote;
    `missing` names the stores that did not answer (`history` means that `decisions` is empty for that reason).
    `models` is what language models cost it, by run, model and step.
    """

    incident: Incident
    timeline: tuple[TimelineRow, ...]
    runs: tuple[Run, ...]
    approvals: tuple[ApprovalView, ...]
    actions: tuple[LedgerEntry, ...]
    outcomes: tuple[Outcome, ...]
    alerts: tuple[AlertMessage, ...]
    decisions: tuple[Decision, ...]
    missing: tuple[str, ...]
    models: tuple[ModelUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesView:
    """One known series; `key` is what the other calls take."""

    key: str
    series: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesValues:
    """One series over time: `times` (epoch seconds) and `values`, of equal length, in time order."""

    key: str
    series: Series
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerView:
    """One circuit breaker, and what it lets through now."""

    state: BreakerState
    breaker: Breaker


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDetails:
    """A problem document of RFC 9457. `rule` names what refused, `request_id` finds the call in the logs."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    rule: str = ""
    errors: tuple[str, ...] = ()
