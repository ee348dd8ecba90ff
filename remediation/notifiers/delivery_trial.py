"""A trial of one destination: an event of an incident that there is not, and, where it pages, the end of it."""

from __future__ import annotations

from remediation.notifiers.delivery import Destination
from sentinel.alerts import Severity
from sentinel.canonical import short_id
from sentinel.errors import RefusedError
from sentinel.incidents import IncidentStatus
from sentinel.notifications import (
    DeliveryState,
    Event,
    Notification,
    NotificationKind,
    Question,
    Told,
    notification_id,
)

_TIERS = range(5)


def try_destination(destination: Destination, *, now: float) -> list[NotificationKind]:
    """Deliver at once, without the queue, what the destination wants first, and then `resolved`; returns what was sent.

    Raises what `Destination.deliver` raises, and `RefusedError` when it wants nothing. `now` is wall time in seconds.
    """
    wanted = (
        event
        for kind in NotificationKind
        for tier in _TIERS
        if destination.wants(event := _event(kind, tier, now), frozenset())
    )
    first = next(wanted, None)
    if first is None:
        raise RefusedError("configuration", f"{destination.name} wants none of the events")
    last = _event(NotificationKind.RESOLVED, first.incident.tier, now)
    told = [first, *([last] if destination.wants(last, frozenset({destination.name})) else [])]
    for event in told:
        over = event.kind is NotificationKind.RESOLVED
        destination.deliver(_notification(destination.name, event), over=over, now=now)
    return [event.kind for event in told]


def _event(kind: NotificationKind, tier: int, now: float) -> Event:
    over = kind is NotificationKind.RESOLVED
    incident = Told(
        id=short_id("inc", "trial", now),
        title="Trial of this destination: nothing happened",
        status=IncidentStatus.RESOLVED if over else IncidentStatus.OPEN,
        kind="trial",
        severity=Severity.INFO,
        services=("sentinel",),
        suspect="sentinel",
        tier=tier,
        opened_at=now,
        revision=1,
    )
    question = Question(
        id=short_id("apr", "trial", now), digest="", asked=99, expires_at=now, summary="nothing", risk="low", actions=()
    )  # fmt: skip
    asked = kind is NotificationKind.ASKED
    text = "Somebody tries out the configuration of Sentinel."
    return Event(
        kind=kind, key="trial", text=text, at=now, trace_id="", incident=incident, approval=question if asked else None
    )  # fmt: skip


def _notification(destination: str, event: Event) -> Notification:
    return Notification(
        seq=0,
        id=notification_id(destination, event),
        destination=destination,
        event=event,
        state=DeliveryState.WAITING,
        attempts=1,
        takes=1,
        due_at=event.at,
        created_at=event.at,
        finished_at=0.0,
        last_error="",
    )
