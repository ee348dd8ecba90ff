"""Step `correlate`: alert messages into what happened to incidents. Thin; the rules are in `incident_groups`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream, StatefulLogic

from operators import incident_decisions
from operators.incident_group import GroupEvent, GroupVerdict
from operators.incident_groups import IncidentGroups
from operators.incident_settings import IncidentSettings
from sentinel import metrics
from sentinel.alerts import AlertMessage
from sentinel.catalogue import ServiceCatalogue
from sentinel.decisions import Decision

KEY = "incidents"
"""Any alert may join any incident: one key, one state, the order of the topic."""


class CorrelateLogic(StatefulLogic[AlertMessage, GroupEvent | Decision, dict[str, Any]]):
    """All open incidents. Wall time only says when the topic has been idle for so long that a linger is over."""

    def __init__(
        self,
        settings: IncidentSettings,
        catalogue: ServiceCatalogue,
        now: Callable[[], float],
        state: dict[str, Any] | None,
    ) -> None:
        self._settings = settings
        self._hash = settings.hash
        self._now = now
        self._groups = IncidentGroups(settings.grouping, catalogue, state)
        self._heard_at = now()

    def on_item(self, value: AlertMessage) -> tuple[list[GroupEvent | Decision], bool]:
        """Take one alert message."""
        self._heard_at = self._now()
        if not (value.service.strip() and value.rule.strip() and value.alert_id):
            reason = "an alert without service, rule or id cannot be told from others"
            return [incident_decisions.of_refused_alert(value, reason, self._heard_at, self._hash)], self.RETAIN
        repeats = self._groups.repeats
        events = self._groups.feed(value)
        metrics.ALERT_MESSAGES_REPEATED.inc(self._groups.repeats - repeats)
        return self._with_decisions(events), self.RETAIN

    def on_notify(self) -> tuple[list[GroupEvent | Decision], bool]:
        """The topic was idle for `idle_seconds`: the lingers are over."""
        due = self._now() - self._heard_at >= self._settings.grouping.idle_seconds
        return self._with_decisions(self._groups.pass_linger() if due else []), self.RETAIN

    def notify_at(self) -> datetime | None:
        """When the topic will have been idle for long enough, if anything waits for that."""
        if not self._groups.lingering:
            return None
        # One hundredth later, so that rounding never wakes the step a moment too early.
        due = datetime.fromtimestamp(self._heard_at, UTC) + timedelta(seconds=self._settings.grouping.idle_seconds)
        return due + timedelta(milliseconds=10)

    def snapshot(self) -> dict[str, Any]:
        """Plain values."""
        return self._groups.snapshot()

    def _with_decisions(self, events: list[GroupEvent]) -> list[GroupEvent | Decision]:
        rows: list[GroupEvent | Decision] = []
        for event in events:
            rows.append(event)
            if event.verdict is GroupVerdict.UPDATED:
                continue
            _count(event.verdict)
            rows.append(incident_decisions.of_group(event, self._now(), self._hash))
        return rows


def correlate(
    step_id: str,
    alerts: Stream[AlertMessage],
    settings: IncidentSettings,
    catalogue: ServiceCatalogue,
    now: Callable[[], float],
) -> KeyedStream[GroupEvent | Decision]:
    """Group the alerts of `alerts`; emits what happened to incidents, and decision rows. `now` is wall time."""

    def build(state: dict[str, Any] | None) -> CorrelateLogic:
        return CorrelateLogic(settings, catalogue, now, state)

    return op.stateful(step_id, op.key_on(f"{step_id}_key", alerts, lambda _alert: KEY), build)


def _count(verdict: GroupVerdict) -> None:
    if verdict is GroupVerdict.OPENED:
        metrics.INCIDENTS_OPENED.inc()
    elif verdict is GroupVerdict.RESOLVED:
        metrics.INCIDENTS_RESOLVED.inc()
    elif verdict is GroupVerdict.JOINED:
        metrics.PAGES_SAVED.inc()
    if verdict in {GroupVerdict.OPENED, GroupVerdict.JOINED}:
        metrics.ALERTS_GROUPED.inc()
