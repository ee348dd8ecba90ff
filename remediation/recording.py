"""How an attempt ended, in the words that memory, history and the next plan use. Pure."""

from __future__ import annotations

from remediation.evidence import FailedAttempt
from remediation.execution import lines
from remediation.state import RunState, plan_of
from sentinel.canonical import short_id
from sentinel.incidents import Incident
from sentinel.outcomes import Outcome, Result


def make_outcome(state: RunState, incident: Incident, now: float) -> Outcome:
    """The outcome of the present attempt. `now` is wall time; an attempt has one outcome id, whatever repeats."""
    plan = plan_of(state) if state["plan"] else None
    reason = "; ".join((state["reason"], *state["undo_lines"]))
    return Outcome(
        outcome_id=short_id("out", state["run_id"], state["attempt"]),
        incident_id=incident.id,
        fingerprint=incident.fingerprint,
        run_id=state["run_id"],
        attempt=state["attempt"],
        result=Result(state["result"]),
        reason=reason,
        service=state.get("service", "") or (incident.services[0] if incident.services else ""),
        kind=incident.kind,
        title=incident.title,
        runbook=plan.runbook if plan else "",
        actions=lines(plan.actions) if plan else (),
        undone=state["undone"],
        at=state["effective_at"],
        recorded_at=now,
        trace_id=state["trace_id"],
    )


def failed_attempt(state: RunState, outcome: Outcome) -> FailedAttempt:
    """What the next plan must not repeat."""
    return FailedAttempt(
        attempt=outcome.attempt,
        runbook=outcome.runbook,
        actions=plan_of(state).actions if state["plan"] else (),
        result=outcome.result.value,
        reason=outcome.reason,
        objection=state.get("objection", ""),
    )
