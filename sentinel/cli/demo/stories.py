"""The story of one incident in the demo: when each thing happened, in event time and in wall time."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.api_types import IncidentView
from sentinel.outcomes import Outcome, Result
from sentinel.runs import TimelineRow

_TOLD = {
    "asked", "approved", "refused", "expired", "superseded", "executing", "executed", "undone", "recorded",
    *(result.value for result in Result),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a story; times are epoch seconds, None where that clock does not apply."""

    what: str
    event_at: float | None
    wall_at: float | None
    text: str


@dataclass
class Story:
    """What a scene did and what came of it."""

    title: str
    fault: str
    fault_at: float
    fault_wall: float
    incident_id: str = ""
    views: list[IncidentView] = field(default_factory=list)

    def see(self, view: IncidentView) -> None:
        """Remember the newest view of the incident."""
        self.incident_id = view.incident.id
        self.views = [view]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """How each attempt ended, as last seen."""
        return self.views[-1].outcomes if self.views else ()

    def moments(self) -> list[Moment]:
        """Fault, first alert, incident, and the rows of the timeline that a person cares about."""
        told = [Moment("fault injected", self.fault_at, self.fault_wall, self.fault)]
        if not self.views:
            return told
        view = self.views[-1]
        first = min(view.incident.alerts, key=lambda alert: alert.fired_at)
        told.append(
            Moment("first alert", first.fired_at, view.incident.detected_at, f"{first.series.key}: {first.text}")
        )
        count = len(view.incident.alerts)
        suspect = view.incident.suspects[0].service if view.incident.suspects else "nobody"
        text = f"{view.incident.title}; {count} alerts in it, first suspect {suspect}"
        told.append(Moment("incident", view.incident.opened_at, None, text))
        told += [_moment(row) for row in view.timeline if row.kind in _TOLD]
        return told


def _moment(row: TimelineRow) -> Moment:
    return Moment(row.kind, row.event_at, row.at, row.text)
