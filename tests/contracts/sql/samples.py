"""Small valid objects of the vocabulary, for tests that vary one field."""

from __future__ import annotations

from typing import Any

from sentinel.alerts import AlertMessage, AlertState, FaultKind, Severity, WindowVerdict
from sentinel.approvals import ApprovalRequest, Choice, Role
from sentinel.edits import ApprovalEdit
from sentinel.incidents import Context, Incident, IncidentAlert, IncidentStatus, Suspect
from sentinel.outcomes import Outcome, Result
from sentinel.plans import Action, Plan, PolicyAnswer, PolicyVerdict, Preview, Risk, Target, approval_digest
from sentinel.runs import LedgerEntry, Run, RunStatus, TimelineRow
from sentinel.series import Series, Window
from sentinel.stores.sql.approvals import Answer

SERIES = Series.of("error_ratio", {"service": "checkout", "env": "prod"})
TARGET = Target(backend="fleet", kind="service", name="checkout")
ACTION = Action(
    id="act-1",
    type="rollback",
    target=TARGET,
    params={"version": "v1"},
    risk=Risk.MEDIUM,
    expected_downtime=5.0,
    reversible=True,
    reason="the deploy came just before the fault",
)
PLAN = Plan(
    id="pln-1",
    incident_id="inc-1",
    attempt=1,
    planner="runbook",
    runbook="bad-deploy",
    summary="roll back checkout",
    actions=(ACTION,),
    evidence=("chg-1",),
)
PREVIEW = Preview(
    action_id="act-1", resource_version="7", before={"version": "v2"}, after={"version": "v1"}, text="v2 -> v1"
)
DIGEST = approval_digest(PLAN, (PREVIEW,), "p1")


def incident(incident_id: str = "inc-1", **changes: Any) -> Incident:
    alert = IncidentAlert(
        alert_id="alr-1",
        series=SERIES,
        rule="errors",
        kind=FaultKind.ERRORS,
        severity=Severity.ERROR,
        firing=True,
        verdict=WindowVerdict.ABNORMAL,
        resolution=None,
        onset_at=900.0,
        fired_at=960.0,
        last_window_end=960.0,
        value=0.4,
        expected=0.01,
        score=12.0,
        text="0.4, expected 0.01",
    )
    values: dict[str, Any] = {
        "id": incident_id,
        "revision": 1,
        "fingerprint": "f" * 16,
        "status": IncidentStatus.OPEN,
        "title": "checkout: errors",
        "kind": FaultKind.ERRORS,
        "severity": Severity.ERROR,
        "opened_at": 1000.0,
        "updated_at": 1000.0,
        "resolved_at": None,
        "detected_at": 5000.0,
        "services": ("checkout", "web"),
        "alerts": (alert,),
        "suspects": (Suspect(service="checkout", score=0.9, reasons=("deployed at 890",)),),
        "context": Context(),
        "recurrence_of": "",
        "trace_id": "a" * 32,
        "config_hash": "c" * 12,
    }
    return Incident(**{**values, **changes})


def alert_message(start: float = 900.0, alert_id: str = "alr-1", **changes: Any) -> AlertMessage:
    state = changes.get("state", AlertState.UPDATE)
    values: dict[str, Any] = {
        "message_id": f"{alert_id}:{state}:{int(start + 60)}",
        "alert_id": alert_id,
        "state": state,
        "verdict": WindowVerdict.NORMAL,
        "reason": "within the frozen band",
        "rule": "errors",
        "kind": FaultKind.ERRORS,
        "severity": Severity.ERROR,
        "series": SERIES,
        "window": Window(start, start + 60.0),
        "value": 0.01,
        "score": 0.2,
        "threshold": 5.0,
        "findings": (),
        "onset_at": 900.0,
        "fired_at": 960.0,
        "detected_at": 5000.0,
        "trace_id": "a" * 32,
        "config_hash": "c" * 12,
    }
    return AlertMessage(**{**values, **changes})


def request(request_id: str = "apr-1", **changes: Any) -> ApprovalRequest:
    values: dict[str, Any] = {
        "id": request_id,
        "incident_id": "inc-1",
        "run_id": "run-1",
        "attempt": 1,
        "asked": 1,
        "digest": DIGEST,
        "plan": PLAN,
        "previews": (PREVIEW,),
        "requested_by": "worker",
        "requested_at": 100.0,
        "expires_at": 200.0,
        "verdict": PolicyVerdict(answer=PolicyAnswer.ASK, reasons=("risk: medium asks",), policy_version="p1"),
    }
    return ApprovalRequest(**{**values, **changes})


def answer(**changes: Any) -> Answer:
    values: dict[str, Any] = {
        "request_id": "apr-1",
        "digest": DIGEST,
        "choice": Choice.APPROVE,
        "actor": "ann",
        "role": Role.APPROVER,
        "reason": "looks right",
    }
    return Answer(**{**values, **changes})


def run(run_id: str = "run-1", **changes: Any) -> Run:
    values: dict[str, Any] = {
        "id": run_id,
        "incident_id": "inc-1",
        "attempt": 1,
        "status": RunStatus.RUNNING,
        "thread_id": run_id,
        "created_at": 100.0,
        "updated_at": 100.0,
    }
    return Run(**{**values, **changes})


def timeline_row(row_id: str = "tml-1", **changes: Any) -> TimelineRow:
    values: dict[str, Any] = {
        "row_id": row_id,
        "incident_id": "inc-1",
        "run_id": "run-1",
        "attempt": 1,
        "kind": "asked",
        "text": "asked for approval",
        "at": 100.0,
        "event_at": 1000.0,
        "details": {"request": "apr-1"},
    }
    return TimelineRow(**{**values, **changes})


def ledger_entry(key: str = "run-1:1:act-1", **changes: Any) -> LedgerEntry:
    values: dict[str, Any] = {
        "key": key,
        "run_id": "run-1",
        "incident_id": "inc-1",
        "attempt": 1,
        "action": ACTION,
        "pre_state": {"version": "v2", "replicas": 3},
        "inverse": ACTION,
        "started_at": 100.0,
    }
    return LedgerEntry(**{**values, **changes})


def outcome(outcome_id: str = "out-1", **changes: Any) -> Outcome:
    values: dict[str, Any] = {
        "outcome_id": outcome_id,
        "incident_id": "inc-1",
        "fingerprint": "f" * 16,
        "run_id": "run-1",
        "attempt": 1,
        "result": Result.VERIFIED,
        "reason": "3 normal windows",
        "service": "checkout",
        "kind": FaultKind.ERRORS,
        "title": "checkout: errors",
        "runbook": "bad-deploy",
        "actions": ("rollback checkout",),
        "undone": False,
        "at": 1300.0,
        "recorded_at": 300.0,
        "trace_id": "a" * 32,
    }
    return Outcome(**{**values, **changes})


def edit(**changes: Any) -> ApprovalEdit:
    values: dict[str, Any] = {
        "id": "edt-1",
        "request_id": "apr-1",
        "digest": DIGEST,
        "step": 1,
        "parameter": "version",
        "value": "v0",
        "actor": "ann",
        "role": Role.APPROVER,
        "reason": "",
        "asked_at": 150.0,
    }
    return ApprovalEdit(**{**values, **changes})
