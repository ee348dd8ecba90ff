"""From a notice to the event that queues hold: what is known about the incident and the question, as it is now. Pure."""

from __future__ import annotations

from remediation.notifiers.protocol import Notice
from sentinel.approvals import ApprovalRequest
from sentinel.catalogue import ServiceCatalogue, ServiceEntry
from sentinel.incidents import Incident, IncidentStatus
from sentinel.notifications import Event, NotificationKind, Question, Told
from sentinel.plans import Action

_MOST_TEXT = 2000
"""Characters of a text: some destinations refuse long ones, and the whole is in the incident."""


def make_event(notice: Notice, incident: Incident, services: ServiceCatalogue, now: float) -> Event:
    """The event of a notice; raises ValueError for a kind that is none of `NotificationKind`. `now` is wall time."""
    return Event(
        kind=NotificationKind(notice.kind),
        key=notice.key or (notice.request.id if notice.request else ""),
        text=_cut(notice.text),
        at=now,
        trace_id=notice.trace_id,
        incident=_told(incident, services),
        approval=_question(notice.request) if notice.request else None,
        result=notice.result,
        final=notice.final,
    )


def life_notice(incident: Incident) -> Notice:
    """The notice that an incident was opened, or is over."""
    kind = NotificationKind.OPENED if incident.status is IncidentStatus.OPEN else NotificationKind.RESOLVED
    return Notice(incident_id=incident.id, kind=kind.value, text=incident.title, trace_id=incident.trace_id)


def tier_of(incident: Incident, services: ServiceCatalogue) -> int:
    """The tier of the incident's most important service; one that the catalogue does not have counts as usual."""
    usual = ServiceEntry()
    return min((services.services.get(name, usual).tier for name in incident.services), default=usual.tier)


def _told(incident: Incident, services: ServiceCatalogue) -> Told:
    return Told(
        id=incident.id,
        title=_cut(incident.title),
        status=incident.status,
        kind=incident.kind.value,
        severity=incident.severity,
        services=incident.services,
        suspect=incident.suspects[0].service if incident.suspects else "",
        tier=tier_of(incident, services),
        opened_at=incident.opened_at,
        revision=incident.revision,
    )


def _question(request: ApprovalRequest) -> Question:
    actions = request.plan.actions
    risks = [action.risk for action in actions]
    return Question(
        id=request.id,
        digest=request.digest,
        asked=request.asked,
        expires_at=request.expires_at,
        summary=_cut(request.plan.summary),
        risk=max(risks, key=lambda risk: risk.rank).value if risks else "",
        actions=tuple(_cut(_line(action)) for action in actions),
    )


def _line(action: Action) -> str:
    params = " ".join(f"{key}={value}" for key, value in sorted(action.params.items()))
    return f"{action.type} {action.target.key} {params}".strip()


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"
