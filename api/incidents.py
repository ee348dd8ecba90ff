"""`/api/v1/incidents`: what happened, what was tried, and what came of it."""

from __future__ import annotations

from fastapi import APIRouter

from api.approvals import view_of
from api.parts import ApiParts, Cursor, Instant, Limit, ObjectId, State, Viewer, Word
from api.problems import ProblemError
from sentinel.alerts import FaultKind, Severity
from sentinel.api_types import IncidentView
from sentinel.decisions import Decision
from sentinel.errors import TransientError
from sentinel.incidents import Incident, IncidentStatus
from sentinel.model_use import models_used
from sentinel.paging import Page
from sentinel.stores.sql.incidents import IncidentFilter

ALERT_MESSAGES = 500
"""Most alert messages in one answer; an alert writes one a window while it fires."""

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])


@router.get("", operation_id="list_incidents")
def list_incidents(  # noqa: PLR0913 one argument for each query parameter
    state: State,
    _caller: Viewer,
    *,
    status: IncidentStatus | None = None,
    kind: FaultKind | None = None,
    severity: Severity | None = None,
    service: Word = "",
    since: Instant = None,
    until: Instant = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[Incident]:
    """Incidents, newest first; `since` and `until` bound when they opened (event time)."""
    only = IncidentFilter(status=status, kind=kind, severity=severity, service=service, since=since, until=until)
    return state.parts.stores.incidents.find(only, cursor=cursor, limit=limit)


@router.get("/{incident_id}", operation_id="get_incident")
def get_incident(state: State, _caller: Viewer, incident_id: ObjectId) -> IncidentView:
    """One incident with its timeline, runs, approvals, actions, outcomes, alert messages and decision rows."""
    stores = state.parts.stores
    incident = stores.incidents.get(incident_id)
    if incident is None:
        raise ProblemError(404, f"there is no incident {incident_id!r}", rule="unknown_incident")
    decisions, missing = _decisions(state.parts, incident_id)
    requests = stores.approvals.find(incident_id=incident_id, limit=200).items
    timeline = tuple(stores.runs.timeline(incident_id))
    return IncidentView(
        incident=incident,
        timeline=timeline,
        runs=tuple(stores.runs.find(incident_id=incident_id)),
        approvals=tuple(view_of(state.parts, one) for one in requests),
        actions=tuple(stores.ledger.find(incident_id=incident_id)),
        outcomes=tuple(stores.outcomes.find(incident_id)),
        alerts=tuple(stores.alerts.messages([alert.alert_id for alert in incident.alerts], last=ALERT_MESSAGES)),
        decisions=decisions,
        missing=missing,
        models=models_used(timeline),
    )


def _decisions(parts: ApiParts, incident_id: str) -> tuple[tuple[Decision, ...], tuple[str, ...]]:
    try:
        return tuple(parts.require_history().decisions(incident_id=incident_id)), ()
    except TransientError:
        return (), ("history",)
