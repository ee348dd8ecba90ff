"""Which open incident absorbs an alert, and when an incident ends. Pure: the same messages give the same incidents.

Rules (docs/decisions/incident-grouping.md has the reasons):

- an alert of a service that an open incident already has joins it;
- an alert of another service joins when one single service could be behind all of the incident's services and this one
  (`incident_topology.common_causes`), and its onset lies within the grouping window of an alert of the incident, or it
  calls a service of the incident that is still firing;
- everything else opens an incident at once;
- an incident whose alerts have all resolved stays open for `linger_seconds` of event time and then ends; an ended
  incident never absorbs.
"""

from __future__ import annotations

from typing import Any

import msgspec

from operators.fingerprints import fingerprint, incident_id
from operators.incident_group import Group, GroupEvent, GroupVerdict, alert_of, update_alert
from operators.incident_settings import GroupingSettings
from operators.incident_topology import common_causes, relation
from sentinel.alerts import AlertMessage, AlertState
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import IncidentStatus


class IncidentGroups:
    """All open incidents and how they grow; one instance per flow, because any alert may join any incident.

    Cost: one message looks at every open incident (tens, not thousands).
    """

    def __init__(
        self, settings: GroupingSettings, catalogue: ServiceCatalogue, state: dict[str, Any] | None = None
    ) -> None:
        """Start empty, or from what `snapshot` returned."""
        self._settings = settings
        self._catalogue = catalogue
        self._open: dict[str, Group] = {}
        self._ended_alerts: dict[str, None] = {}
        self._clock = 0.0
        self.repeats = 0
        """Messages that were seen before and changed nothing."""
        if state is not None:
            self._open = {g.id: g for g in (msgspec.convert(raw, Group) for raw in state["open"])}
            self._ended_alerts = dict.fromkeys(state["ended_alerts"])
            self._clock = state["clock"]
            self.repeats = state["repeats"]

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain values; `IncidentGroups(settings, catalogue, snapshot)` goes on from it."""
        return {
            "v": 1,
            "open": [msgspec.to_builtins(group) for group in self._open.values()],
            "ended_alerts": list(self._ended_alerts),
            "clock": self._clock,
            "repeats": self.repeats,
        }

    @property
    def lingering(self) -> bool:
        """Whether an incident waits for its linger to pass."""
        return any(not group.firing for group in self._open.values())

    def feed(self, message: AlertMessage) -> list[GroupEvent]:
        """Take one message; return what it did to incidents, in order. A repeated message does nothing."""
        events = self._place(message)
        self._clock = max(self._clock, message.window.end)
        return events + self._end_those_before(self._clock - self._settings.linger_seconds)

    def pass_linger(self) -> list[GroupEvent]:
        """End every incident whose alerts have all resolved: nothing has moved event time for long enough."""
        return self._end_those_before(float("inf"))

    def _place(self, message: AlertMessage) -> list[GroupEvent]:
        if message.alert_id in self._ended_alerts:
            return self._repeated()
        group = next((g for g in self._open.values() if g.alert(message.alert_id) is not None), None)
        if group is not None:
            return self._update(group, message)
        if message.state is AlertState.RESOLVED:
            self._forget_alert(message.alert_id)
            return []
        return self._join_or_open(message)

    def _update(self, group: Group, message: AlertMessage) -> list[GroupEvent]:
        known = group.alert(message.alert_id)
        changed = update_alert(known, message) if known is not None else None
        if changed is None:
            return self._repeated()
        group = group.with_alert(changed, message.window.end)
        self._open[group.id] = group
        if changed.firing:
            verdict, reason = GroupVerdict.UPDATED, f"{message.verdict.value} window: {message.reason}"
        else:
            verdict = GroupVerdict.ALERT_RESOLVED
            reason = f"alert resolved ({message.resolution or 'no reason given'}): {message.reason}"
        return [_event(group, verdict, reason, message)]

    def _join_or_open(self, message: AlertMessage) -> list[GroupEvent]:
        choice = min(
            ((rank, group, reason) for group in self._open.values() for rank, reason in self._reasons(group, message)),
            key=lambda option: option[0],
            default=None,
        )
        if choice is None:
            return [self._open_new(message)]
        _, group, reason = choice
        group = group.with_alert(alert_of(message), message.window.end)
        self._open[group.id] = group
        return [_event(group, GroupVerdict.JOINED, f"joined {group.id}: {reason}", message)]

    def _reasons(self, group: Group, message: AlertMessage) -> list[tuple[tuple[float, ...], str]]:
        """Why `group` absorbs the alert, with a rank (lowest first); empty when it does not.

        Order between groups: same service, then the nearest onset, then the older incident.
        """
        if not group.firing and message.onset_at > group.ended_at + self._settings.linger_seconds:
            return []
        if message.service in group.services:
            return [((0.0, 0.0, group.opened_at), f"same service {message.service}")]
        limits = self._settings
        together = (*group.services, message.service)
        if not common_causes(self._catalogue, together, reach=limits.reach, quiet_reach=limits.quiet_reach):
            return []
        near = min(group.alerts, key=lambda alert: (abs(alert.onset_at - message.onset_at), alert.alert_id))
        gap = abs(near.onset_at - message.onset_at)
        joined = relation(self._catalogue, message.service, near.series.service, limits.reach)
        if gap <= limits.window_seconds:
            return [((1.0, gap, group.opened_at), f"{joined}, {_apart(gap)}")]
        firing = {alert.series.service for alert in group.alerts if alert.firing}
        callee = next((name for name in self._catalogue.callees(message.service) if name in firing), "")
        still = f"{message.service} calls {callee}, which is still firing"
        return [((2.0, gap, group.opened_at), still)] if callee else []

    def _open_new(self, message: AlertMessage) -> GroupEvent:
        identity = fingerprint(message.service, message.kind, message.rule)
        group = Group(
            id=incident_id(identity, message.alert_id),
            fingerprint=identity,
            status=IncidentStatus.OPEN,
            alerts=(alert_of(message),),
            opened_at=message.fired_at,
            updated_at=message.window.end,
            resolved_at=None,
            detected_at=message.detected_at,
            trace_id=message.trace_id,
            steps=1,
        )
        self._open[group.id] = group
        why = "no open incident shares a service or a possible cause with it"
        return _event(group, GroupVerdict.OPENED, f"opened {group.id}: {why}", message)

    def _end_those_before(self, limit: float) -> list[GroupEvent]:
        ending = [g for g in self._open.values() if not g.firing and g.ended_at < limit]
        return [self._end(group) for group in sorted(ending, key=lambda g: (g.ended_at, g.id))]

    def _end(self, group: Group) -> GroupEvent:
        del self._open[group.id]
        for alert in group.alerts:
            self._forget_alert(alert.alert_id)
        ended = group.ended()
        reason = (
            f"resolved {group.id}: every alert has resolved and none came back for {self._settings.linger_seconds:g} s"
        )
        return GroupEvent(
            group=ended, verdict=GroupVerdict.RESOLVED, reason=reason, alert_id="", service="", at=group.ended_at
        )

    def _forget_alert(self, alert_id: str) -> None:
        self._ended_alerts[alert_id] = None
        while len(self._ended_alerts) > self._settings.remembered_alerts:
            del self._ended_alerts[next(iter(self._ended_alerts))]

    def _repeated(self) -> list[GroupEvent]:
        self.repeats += 1
        return []


def _event(group: Group, verdict: GroupVerdict, reason: str, message: AlertMessage) -> GroupEvent:
    return GroupEvent(
        group=group,
        verdict=verdict,
        reason=reason,
        alert_id=message.alert_id,
        service=message.service,
        at=message.window.end,
    )


def _apart(seconds: float) -> str:
    return f"{seconds / 60:.0f} min apart" if seconds >= 60 else f"{seconds:.0f} s apart"
