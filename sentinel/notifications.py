"""What people and other systems are told outside of Slack: one notification is one event for one destination.

A notification holds what was true when it was made; its id is the same however often the same thing is told, so that a
destination can leave out what comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.alerts import Severity
from sentinel.canonical import short_id
from sentinel.incidents import IncidentStatus


class NotificationKind(StrEnum):
    """What happened. In the order in which an incident usually lives through them."""

    OPENED = "opened"
    """The incident was opened."""
    SUGGESTED = "suggested"
    """There is a plan, and policy only shows it."""
    ASKED = "asked"
    """A person's answer is wanted."""
    UNANSWERED = "unanswered"
    """The last question ran out without an answer; the run ends."""
    APPROVED = "approved"
    """A person approved the plan."""
    REFUSED = "refused"
    """A person rejected the plan."""
    ESCALATED = "escalated"
    """The incident got worse while it was acted on: what was done is undone, and a person is needed."""
    LASTING = "lasting"
    """The incident is still open a good while after it was opened, whatever is being done about it."""
    RECORDED = "recorded"
    """An attempt ended; `result` says how, `final` whether another one follows."""
    FAILED = "failed"
    """The run ended by a defect."""
    RESOLVED = "resolved"
    """The incident is over."""


class DeliveryState(StrEnum):
    """How a notification stands."""

    WAITING = "waiting"
    """Not delivered yet; it is tried again."""
    DELIVERED = "delivered"
    """The destination took it."""
    DROPPED = "dropped"
    """It was not sent because it had become untrue, such as a page for an incident that is over."""
    DEAD = "dead"
    """It was refused for good, or tried too often; `sentinel notifications replay` tries it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The incident, as it was. `tier` is the lowest of its services (0 earns the money); `opened_at` is event time."""

    id: str
    title: str
    status: IncidentStatus
    kind: str
    severity: Severity
    services: tuple[str, ...]
    suspect: str
    tier: int
    opened_at: float
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The approval that is wanted or was decided. `asked` counts the questions; `expires_at` is wall time."""

    id: str
    digest: str
    asked: int
    expires_at: float
    summary: str
    risk: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What is told, the same for every destination. `at` is wall time; `key` tells events of one kind apart."""

    kind: NotificationKind
    key: str
    text: str
    at: float
    trace_id: str
    incident: Told
    approval: Question | None = None
    result: str = ""
    final: bool = True
    v: int = 1

    @property
    def urgent(self) -> bool:
        """Whether a person is needed at once: such events go first."""
        return self.kind in (NotificationKind.ASKED, NotificationKind.ESCALATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One event on its way to one destination.

    `seq` is its place in the queue. `attempts` counts the tries that began, except those that the destination put off;
    `takes` counts all of them and tells this caller's from a later one's. Times are wall seconds; `finished_at` is 0
    while it waits.
    """

    seq: int
    id: str
    destination: str
    event: Event
    state: DeliveryState
    attempts: int
    takes: int
    due_at: float
    created_at: float
    finished_at: float
    last_error: str


def notification_id(destination: str, event: Event) -> str:
    """The id of an event at a destination: the same after every crash, retry and replay."""
    return short_id("ntf", destination, event.incident.id, event.kind.value, event.key)
