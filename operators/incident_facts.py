"""What the stores know about an incident: history of its series, changes around it, earlier ones like it.

Nothing here decides: facts give context, and a store that is away leaves its name in `missing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from operators.incident_group import Group
from operators.incident_settings import IncidentSettings
from operators.store_breaker import StoreBreaker
from sentinel.alerts import FaultKind
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import Change, HistoryFact, IncidentAlert, PastIncident
from sentinel.stores.history.protocol import SeriesData, SeriesHistory
from sentinel.stores.memory.protocol import IncidentMemory, MemoryEntry, MemoryQuery

WEEK = 7 * 86400.0
_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What memory is asked about an incident: its text and the labels that gate."""

    text: str
    first: str
    kind: FaultKind


class FactFinder:
    """Asks the series history and the incident memory, each behind a breaker. One per process."""

    def __init__(
        self,
        history: SeriesHistory,
        memory: IncidentMemory,
        catalogue: ServiceCatalogue,
        settings: IncidentSettings,
        now: Callable[[], float],
    ) -> None:
        """Take open stores; `now` is wall time and drives the breakers alone."""
        self._history = history
        self._memory = memory
        self._catalogue = catalogue
        self._settings = settings
        self._history_breaker = StoreBreaker("history", settings.enrich.breaker_seconds, now)
        self._memory_breaker = StoreBreaker("memory", settings.enrich.breaker_seconds, now)

    def changes(self, group: Group) -> tuple[Change, ...]:
        """Changes of the incident's services and their neighbours, from the look-back before it to now, oldest first.

        Raises `SentinelError` while the history is away.
        """
        services = set(group.services)
        for service in group.services:
            services |= self._catalogue.neighbours(service)
        start = min(alert.onset_at for alert in group.alerts) - self._settings.suspects.change_look_back_seconds
        end = group.updated_at + 1.0
        found = self._history_breaker.call(lambda: self._history.changes(sorted(services), start, end))
        return tuple(found)

    def behind(self, alerts: Sequence[IncidentAlert]) -> bool:
        """Whether the history lacks the windows that made one of these alerts: the archive has not come so far.

        Raises `SentinelError` while the history is away. One read of the store per series, `history_series` at most.
        """
        asked = alerts[: self._settings.enrich.history_series]
        return self._history_breaker.call(lambda: any(self._lacks(alert) for alert in asked))

    def history(self, alerts: Sequence[IncidentAlert]) -> tuple[HistoryFact, ...]:
        """How the alerts' series compare with the same hour last week, and their trend before the onset.

        Raises `SentinelError` while the history is away. Two reads of the store per series.
        """
        return self._history_breaker.call(lambda: tuple(self._fact(alert) for alert in alerts))

    def similar(self, group: Group, about: Remembered) -> tuple[PastIncident, ...]:
        """Earlier incidents of the first suspect or a neighbour, of the same kind, most similar first.

        Raises `TransientError` while the memory is away.
        """
        query = MemoryQuery(
            text=about.text,
            services=(about.first, *sorted(self._catalogue.neighbours(about.first))),
            kind=about.kind,
            before=group.opened_at,
            exclude=group.id,
            limit=self._settings.enrich.similar,
        )
        return tuple(self._memory_breaker.call(lambda: self._memory.recall(query)))

    def remember(self, entry: MemoryEntry) -> None:
        """Write one incident to memory. Raises `TransientError` while it is away; the caller keeps the entry."""
        self._memory_breaker.call(lambda: self._memory.remember(entry))

    def set_outcome(self, incident_id: str, outcome: str, action: str) -> bool:
        """Add an outcome to an incident of memory; False when memory does not know it. Raises `TransientError`."""
        return self._memory_breaker.call(lambda: self._memory.set_outcome(incident_id, outcome, action))

    def _lacks(self, alert: IncidentAlert) -> bool:
        return not self._history.read(alert.series, alert.onset_at, alert.last_window_end).values.size

    def _fact(self, alert: IncidentAlert) -> HistoryFact:
        onset = alert.onset_at
        hour = self._history.read(alert.series, onset - WEEK - _HOUR / 2, onset - WEEK + _HOUR / 2)
        before = self._history.read(alert.series, onset - self._settings.enrich.trend_seconds, onset)
        last_week = float(np.mean(hour.values)) if hour.values.size else None
        trend = _trend_per_hour(before)
        return HistoryFact(
            series_key=alert.series.key,
            now=alert.value,
            same_hour_last_week=last_week,
            trend_per_hour=trend,
            text=_sentence(alert, last_week, trend),
        )


def recurrence(similar: Sequence[PastIncident], first: str, kind: FaultKind) -> str:
    """The id of the most similar earlier incident with the same first suspect and kind; empty when there is none."""
    return next((past.incident_id for past in similar if past.service == first and past.kind is kind), "")


def _trend_per_hour(data: SeriesData) -> float | None:
    """Slope of the least-squares line through the points, in units per hour; None for fewer than three points."""
    if data.values.size < 3:
        return None
    hours = (data.times - data.times.mean()) / _HOUR
    spread = float(hours @ hours)
    return float(hours @ (data.values - data.values.mean())) / spread if spread > 0 else None


def _sentence(alert: IncidentAlert, last_week: float | None, trend: float | None) -> str:
    parts = [f"{alert.series.name} of {alert.series.service}"]
    parts.append(f"is {alert.value:.4g}" if alert.value is not None else "has no value now")
    parts.append(
        f"against {last_week:.4g} at the same hour last week" if last_week is not None else "with no value last week"
    )
    text = " ".join(parts)
    return f"{text}; before, it moved by {trend:+.3g} per hour." if trend is not None else f"{text}."
