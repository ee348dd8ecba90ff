"""What the picture on a card shows: the telling series of an incident, its band, last week, and what was done.

The values of the windows since the alert are in SQL; what was before it, and a week earlier, is in the series history,
where the process has one that answers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sentinel.alerts import AlertMessage, AlertState
from sentinel.errors import TransientError
from sentinel.incidents import Incident, IncidentAlert
from sentinel.logs import get_logger
from sentinel.plots import SeriesPlot
from sentinel.runs import LedgerStatus
from sentinel.series import Window
from sentinel.stores.history.protocol import SeriesHistory
from sentinel.stores.sql.stores import SqlStores

BEFORE, MOST = 2 * 3600.0, 6 * 3600.0
"""Seconds of event time that a picture shows before the alert, and at most."""
WEEK = 7 * 86400.0

_BARS = "▁▂▃▄▅▆▇█"
_Frozen = Mapping[str, float | list[float]]

log = get_logger(__name__)


def telling_alert(incident: Incident) -> IncidentAlert | None:
    """The alert that says most: of the first suspect where it has one, of the incident's kind, furthest above its threshold."""
    first = incident.suspects[0].service if incident.suspects else ""

    def rank(alert: IncidentAlert) -> tuple[bool, bool, float]:
        above = alert.score / alert.threshold if alert.threshold > 0 else 0.0
        return alert.series.service == first, alert.kind is incident.kind, above

    return max(incident.alerts, key=rank, default=None)


class SeriesSource:
    """Reads plots. `history` is None where the process has none: then a plot begins with the alert."""

    def __init__(self, stores: SqlStores, history: SeriesHistory | None) -> None:
        self._stores = stores
        self._history = history

    def plot(self, incident: Incident) -> SeriesPlot | None:
        """The plot of the incident as it stands, or None without a single value. Up to two reads of the history."""
        alert = telling_alert(incident)
        if alert is None:
            return None
        messages = self._stores.alerts.messages([alert.alert_id])
        values = {one.window.start: one.value for one in messages if one.value is not None}
        width = alert.window_seconds
        end = alert.last_window_end
        start = max(alert.onset_at - BEFORE, end - MOST)
        start -= start % width
        values = {**self._recorded(alert, start, end, 0.0), **values}
        values = {at: value for at, value in values.items() if start <= at < end}
        if not values:
            return None
        times = sorted(values)
        last_week = self._recorded(alert, start, end, WEEK)
        low, high = band(messages, times, [values[at] for at in times])
        return SeriesPlot(
            title=f"{alert.series.name} of {alert.series.service}",
            unit=alert.series.name,
            times=times,
            values=[values[at] for at in times],
            low=low,
            high=high,
            before=[last_week.get(at, math.nan) for at in times] if last_week else (),
            alerts=[Window(alert.onset_at, max(end, alert.fired_at))],
            marks=self._done(incident.id, start, end),
        )

    def recent(self, incident: Incident, count: int = 30) -> list[float]:
        """The last values of the telling series that are in SQL, oldest first: one indexed query."""
        alert = telling_alert(incident)
        found = self._stores.alerts.messages([alert.alert_id], last=count) if alert else []
        return [one.value for one in found if one.value is not None and one.state is not AlertState.RESOLVED]

    def _recorded(self, alert: IncidentAlert, start: float, end: float, ago: float) -> dict[float, float]:
        """Means by window, moved by `ago` seconds; nothing where there is no history or it does not answer."""
        if self._history is None:
            return {}
        try:
            data = self._history.read(alert.series, start - ago, end - ago, alert.window_seconds)
        except TransientError as error:
            log.info("a picture is drawn without the history", reason=str(error))
            return {}
        return {at + ago: value for at, value in zip(data.times.tolist(), data.values.tolist(), strict=True)}

    def _done(self, incident_id: str, start: float, end: float) -> tuple[tuple[float, str], ...]:
        entries = self._stores.ledger.find(incident_id=incident_id)
        return tuple(
            (one.effective_at, f"undo: {one.action.type}" if one.undo_of else one.action.type)
            for one in entries
            if one.status is LedgerStatus.APPLIED and one.effective_at is not None and start <= one.effective_at < end
        )


def band(
    messages: Sequence[AlertMessage], times: Sequence[float], values: Sequence[float]
) -> tuple[list[float], list[float]]:
    """The band that was frozen when the alert fired, at each time; NaN where it says nothing, empty where there is none.

    A side that the detector does not look at is drawn to the edge of the values.
    """
    fired = next((one for one in messages if one.state is AlertState.FIRING and one.frozen), None)
    if fired is None or fired.frozen is None:
        return [], []
    names = [*(finding.detector for finding in fired.findings), *sorted(fired.frozen)]
    params = next((fired.frozen[name] for name in names if {"low", "high"} & fired.frozen.get(name, {}).keys()), None)
    if params is None:
        return [], []
    floor, ceiling = min(0.0, *values, 0.0), max(values)
    sides = [(_side(params, "low", at, floor), _side(params, "high", at, ceiling)) for at in times]
    return [low for low, _ in sides], [high for _, high in sides]


def _side(params: _Frozen, name: str, at: float, edge: float) -> float:
    value = params.get(name, edge)
    if not isinstance(value, list):
        return edge if math.isinf(value) else value
    first, offset = params.get("first_hour", 0.0), params.get("utc_offset", 0.0)
    if isinstance(first, list) or isinstance(offset, list):
        return math.nan
    hour = math.floor(at / 3600.0 + offset) - int(first)
    if not 0 <= hour < len(value):
        return math.nan
    return edge if math.isinf(value[hour]) else value[hour]


def sparkline(values: Sequence[float]) -> str:
    """Values as bars of one line of text, for where there is no picture.

    >>> sparkline([0.0, 0.0, 7.0, 3.5])
    '▁▁█▄'
    """
    if not values:
        return ""
    low, high = min(values), max(values)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[int((value - low) * scale)] for value in values)
