"""Incidents as PagerDuty sees them: which event triggers, acknowledges or resolves, and its JSON. Pure.

Events API v2: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/. The incident's id is the `dedup_key`, so
all events of an incident, repeated or not, are one alert.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from remediation.notifiers.delivery_settings import Reason
from sentinel.alerts import Severity
from sentinel.incidents import IncidentStatus
from sentinel.notifications import Event, Notification, NotificationKind
from sentinel.outcomes import Result

PageAction = Literal["trigger", "acknowledge", "resolve"]
MAX_SUMMARY = 1024
"""Characters that PagerDuty takes."""


def page_action(event: Event, page_when: Collection[Reason], escalate_after: int) -> PageAction | None:
    """What an event is to PagerDuty; None when it is nothing."""
    match event.kind:
        case NotificationKind.RESOLVED:
            return "resolve"
        case NotificationKind.APPROVED | NotificationKind.REFUSED:
            return "acknowledge"
        case _:
            return "trigger" if _reasons(event, escalate_after).intersection(page_when) else None


def _reasons(event: Event, escalate_after: int) -> set[Reason]:
    match event.kind:
        case NotificationKind.OPENED:
            return {"opened"}
        case NotificationKind.ASKED:
            unanswered = event.approval.asked - 1 if event.approval else 0
            return {"asked", "unanswered"} if unanswered >= escalate_after else {"asked"}
        case NotificationKind.UNANSWERED:
            return {"unanswered"}
        case NotificationKind.ESCALATED:
            return {"worse"}
        case NotificationKind.LASTING:
            return {"lasting"}
        case NotificationKind.ESCALATED:
            return {"unanswered", "unresolved"}
        case NotificationKind.RECORDED if event.final and event.result != Result.VERIFIED:
            return {"unresolved"} if event.incident.status is IncidentStatus.OPEN else set()
        case NotificationKind.FAILED:
            return {"unresolved"}
        case _:
            return set()


def page_body(
    notification: Notification, action: PageAction, severities: Mapping[Severity, str], public_url: str
) -> dict[str, Any]:
    """The event's JSON without its routing key."""
    event = notification.event
    body: dict[str, Any] = {"event_action": action, "dedup_key": event.incident.id}
    if action != "trigger":
        return body
    incident = event.incident
    # A repeated trigger is one more line in the alert's log; the id tells that it is the same.
    details: dict[str, Any] = {
        "notification_id": notification.id,
        "what": event.text,
        "services": ", ".join(incident.services),
        "tier": incident.tier,
        "trace_id": event.trace_id,
    }
    if event.result:
        details["result"] = event.result
    if event.approval:
        asked = event.approval
        details |= {"approval": asked.id, "question": asked.asked, "plan": asked.summary, "risk": asked.risk}
        details |= {"actions": list(asked.actions), "answer_until": _text(asked.expires_at)}
    return {
        **body,
        "payload": {
            "summary": _summary(event)[:MAX_SUMMARY],
            "source": incident.suspect or next(iter(incident.services), "sentinel"),
            "severity": severities.get(incident.severity, incident.severity.value),
            "timestamp": _text(event.at),
            "component": incident.suspect,
            "group": ", ".join(incident.services),
            "class": incident.kind,
            "custom_details": details,
        },
        "client": "AIOps Sentinel",
        **_links(event, public_url),
    }


def _summary(event: Event) -> str:
    title = event.incident.title
    match event.kind:
        case NotificationKind.ASKED if event.approval and event.approval.asked > 1:
            return f"{title}: approval wanted, asked {event.approval.asked} times"
        case NotificationKind.ASKED:
            return f"{title}: approval wanted"
        case NotificationKind.UNANSWERED:
            return f"{title}: nobody answered, nothing was done"
        case NotificationKind.ESCALATED:
            return f"{title}: got worse while it was acted on"
        case NotificationKind.LASTING:
            return f"{title}: still open"
        case NotificationKind.FAILED:
            return f"{title}: Sentinel's run failed"
        case NotificationKind.RECORDED:
            return f"{title}: not fixed ({event.result})"
        case _:
            return title


def _links(event: Event, public_url: str) -> dict[str, Any]:
    if not public_url:
        return {}
    incident = incident_url(public_url, event)
    links = [{"href": incident, "text": "Incident"}]
    if url := approval_url(public_url, event):
        links.append({"href": url, "text": "Approval"})
    return {"client_url": incident, "links": links}


def incident_url(public_url: str, event: Event) -> str:
    """Where people find the incident; empty without a public URL."""
    return f"{public_url}/api/v1/incidents/{event.incident.id}" if public_url else ""


def approval_url(public_url: str, event: Event) -> str:
    """Where people find the approval that the event is about; empty without one, or without a public URL."""
    return f"{public_url}/api/v1/approvals/{event.approval.id}" if public_url and event.approval else ""


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
