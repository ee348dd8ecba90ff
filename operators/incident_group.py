"""One incident while it grows: its alerts and their states, without facts, suspects or revision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from sentinel.alerts import AlertMessage, AlertState
from sentinel.incidents import IncidentAlert, IncidentStatus


class GroupVerdict(StrEnum):
    """What a message, or the passing of time, did to an incident."""

    OPENED = "opened"
    JOINED = "joined"
    UPDATED = "updated"
    ALERT_RESOLVED = "alert_resolved"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The alerts of one incident. Times are event seconds, `detected_at` is the wall time of the first alert.

    `fingerprint` and `id` are fixed at opening. `steps` counts what happened to the group so far: the same messages give
    the same count after a crash, so revisions are numbered by it.
    """

    id: str
    fingerprint: str
    status: IncidentStatus
    alerts: tuple[IncidentAlert, ...]
    opened_at: float
    updated_at: float
    resolved_at: float | None
    detected_at: float
    trace_id: str
    steps: int
    v: int = 1

    @property
    def services(self) -> tuple[str, ...]:
        """The services of the alerts, each once, in the order in which they joined."""
        return tuple(dict.fromkeys(alert.series.service for alert in self.alerts))

    @property
    def firing(self) -> bool:
        """Whether any alert has not resolved yet."""
        return any(alert.firing for alert in self.alerts)

    @property
    def ended_at(self) -> float:
        """The end of the last window that any alert reported: where the incident ends once nothing fires."""
        return max(alert.last_window_end for alert in self.alerts)

    def alert(self, alert_id: str) -> IncidentAlert | None:
        """The alert with this id, or None."""
        return next((alert for alert in self.alerts if alert.alert_id == alert_id), None)

    def with_alert(self, alert: IncidentAlert, at: float) -> Group:
        """This group with `alert` added, or put in the place of its older state."""
        known = self.alert(alert.alert_id) is not None
        alerts = (
            tuple(alert if a.alert_id == alert.alert_id else a for a in self.alerts) if known else (*self.alerts, alert)
        )
        return replace(self, alerts=alerts, updated_at=max(self.updated_at, at), steps=self.steps + 1)

    def ended(self) -> Group:
        """This group, resolved at the end of its last window."""
        at = self.ended_at
        return replace(self, status=IncidentStatus.RESOLVED, resolved_at=at, updated_at=at, steps=self.steps + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEvent:
    """What happened to a group and why; `alert_id` and `service` are empty when time alone did it. `at`: event time."""

    group: Group
    verdict: GroupVerdict
    reason: str
    alert_id: str
    service: str
    at: float


def alert_of(message: AlertMessage) -> IncidentAlert:
    """The alert inside an incident, from the first message seen of it."""
    finding = message.findings[0] if message.findings else None
    return IncidentAlert(
        alert_id=message.alert_id,
        series=message.series,
        rule=message.rule,
        kind=message.kind,
        severity=message.severity,
        firing=True,
        verdict=message.verdict,
        resolution=None,
        onset_at=message.onset_at,
        fired_at=message.fired_at,
        last_window_end=message.window.end,
        value=message.value,
        expected=finding.expected if finding else None,
        score=message.score,
        threshold=message.threshold,
        text=(finding.text if finding else "") or message.reason,
        window_seconds=message.window.end - message.window.start,
    )


def update_alert(alert: IncidentAlert, message: AlertMessage) -> IncidentAlert | None:
    """The alert after one more message; None when the message was seen before, or is older than what is known.

    `score` and `threshold` stay those of the strongest window so far; `value` and `verdict` are of the last window.
    """
    resolves = message.state is AlertState.RESOLVED and alert.firing
    if not resolves and (not alert.firing or message.window.end <= alert.last_window_end):
        return None
    stronger = message.score * alert.threshold > alert.score * message.threshold
    return replace(
        alert,
        firing=not resolves,
        verdict=message.verdict,
        resolution=message.resolution if resolves else None,
        last_window_end=max(alert.last_window_end, message.window.end),
        value=message.value if message.value is not None else alert.value,
        score=message.score if stronger else alert.score,
        threshold=message.threshold if stronger else alert.threshold,
    )
