"""The decision rows of the incidents flow: what each stage decided about an alert or an incident, and why. Pure."""

from __future__ import annotations

from operators.incident_group import GroupEvent
from operators.incident_revisions import RevisionVerdict
from sentinel.alerts import AlertMessage
from sentinel.decisions import Decision, decision_id
from sentinel.incidents import Incident
from sentinel.outcomes import Outcome


def of_group(event: GroupEvent, decided_at: float, config_hash: str) -> Decision:
    """What `correlate` decided about an alert; about the incident where time alone ended it."""
    subject = event.alert_id or event.group.id
    return Decision(
        decision_id=decision_id("correlate", subject, event.at),
        stage="correlate",
        subject=subject,
        verdict=event.verdict.value,
        reason=event.reason,
        at=event.at,
        decided_at=decided_at,
        config_hash=config_hash,
        service=event.service or event.group.services[0],
        incident_id=event.group.id,
        trace_id=event.group.trace_id,
        details={"alerts": len(event.group.alerts), "services": len(event.group.services)},
    )


def of_refused_alert(message: AlertMessage, reason: str, decided_at: float, config_hash: str) -> Decision:
    """Why `correlate` left an alert message out."""
    return Decision(
        decision_id=decision_id("correlate", message.message_id, message.window.end),
        stage="correlate",
        subject=message.alert_id or message.message_id,
        verdict="refused",
        reason=reason,
        at=message.window.end,
        decided_at=decided_at,
        config_hash=config_hash,
        service=message.service,
        trace_id=message.trace_id,
    )


def of_facts(incident: Incident, decided_at: float) -> Decision:
    """What `enrich` found: a recurrence, a new problem, or context that is missing; and whom it suspects."""
    first, context = incident.suspects[0], incident.context
    if incident.recurrence_of:
        verdict, found = "recurrence", f"recurrence of {incident.recurrence_of}"
        past = next(past for past in context.similar if past.incident_id == incident.recurrence_of)
        found += f" ({past.outcome}: {past.action})" if past.outcome else " (outcome not known)"
    elif context.missing:
        verdict, found = "context_missing", f"{' and '.join(context.missing)} did not answer"
    else:
        verdict, found = "new", "no earlier incident of the same suspect and kind"
    why = first.reasons[0] if first.reasons else ""
    return Decision(
        decision_id=decision_id("enrich", incident.id, incident.revision),
        stage="enrich",
        subject=incident.id,
        verdict=verdict,
        reason=f"{found}; first suspect {first.service} ({first.score:.2f}). {why}".rstrip(),
        at=incident.updated_at,
        decided_at=decided_at,
        config_hash=incident.config_hash,
        service=first.service,
        incident_id=incident.id,
        trace_id=incident.trace_id,
        details={
            "similar": len(context.similar),
            "changes": len(context.changes),
            "history": len(context.history),
            "missing": ",".join(context.missing),
        },
    )


def of_outcome(outcome: Outcome, result: str, decided_at: float, config_hash: str) -> Decision:
    """What became of an outcome on its way to memory: `written`, `unknown`, `refused` or `away` (kept and tried again)."""
    texts = {
        "written": "incident memory holds the outcome",
        "unknown": "incident memory does not know the incident",
        "refused": "incident memory refused the entry; it is dropped",
        "away": "incident memory did not answer; the outcome is kept and written later",
    }
    return Decision(
        decision_id=decision_id("enrich", outcome.outcome_id, outcome.recorded_at),
        stage="enrich",
        subject=outcome.outcome_id,
        verdict=f"outcome_{result}",
        reason=f"{outcome.result.value}: {texts[result]}",
        at=outcome.at,
        decided_at=decided_at,
        config_hash=config_hash,
        service=outcome.service,
        incident_id=outcome.incident_id,
        trace_id=outcome.trace_id,
        details={"attempt": outcome.attempt},
    )


def of_revision(incident: Incident, verdict: RevisionVerdict, reason: str, decided_at: float) -> Decision:
    """What `dedupe` decided about a candidate revision."""
    return Decision(
        decision_id=decision_id("dedupe", incident.id, incident.revision),
        stage="dedupe",
        subject=incident.id,
        verdict=verdict.value,
        reason=reason,
        at=incident.updated_at,
        decided_at=decided_at,
        config_hash=incident.config_hash,
        service=incident.suspects[0].service,
        incident_id=incident.id,
        trace_id=incident.trace_id,
        details={"revision": incident.revision},
    )
