"""What a person counts as one problem: grouped alerts, suspects, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.alerts import FaultKind, Resolution, Severity, WindowVerdict
from sentinel.series import Series


class IncidentStatus(StrEnum):
    """Only open incidents absorb alerts."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentAlert:
    """One alert inside an incident, as of the incident's revision.

    `score` and `threshold` (the detector's own unit) are those of the strongest window so far; `value` and `verdict`
    are of the last window.
    """

    alert_id: str
    series: Series
    rule: str
    kind: FaultKind
    severity: Severity
    firing: bool
    verdict: WindowVerdict
    resolution: Resolution | None
    onset_at: float
    fired_at: float
    last_window_end: float
    value: float | None
    expected: float | None
    score: float
    text: str
    window_seconds: float = 60.0
    threshold: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A service that may have caused the incident; `score` in [0, 1], the highest is the first suspect."""

    service: str
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that people or machines changed: a deploy, a configuration, a scale. `at` is event time."""

    at: float
    service: str
    kind: str
    labels: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFact:
    """How a series looked at the same hour last week and lately; `None` where nothing is known."""

    series_key: str
    now: float | None
    same_hour_last_week: float | None
    trend_per_hour: float | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastIncident:
    """An earlier incident that memory holds similar, and what fixed it. `similarity` is a cosine in [-1, 1]."""

    incident_id: str
    fingerprint: str
    similarity: float
    title: str
    service: str
    kind: FaultKind
    opened_at: float
    outcome: str
    action: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What was known when the incident was enriched. `missing` names the stores that did not answer."""

    history: tuple[HistoryFact, ...] = ()
    similar: tuple[PastIncident, ...] = ()
    changes: tuple[Change, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One revision of an incident; the compacted topic `incidents` keeps the last one for each `id`.

    `id` = hash(fingerprint, first alert id): one occurrence. `fingerprint`: identity without values or times.
    `opened_at`, `updated_at`, `resolved_at` are event time; `detected_at` is the wall time of the first alert.
    """

    id: str
    revision: int
    fingerprint: str
    status: IncidentStatus
    title: str
    kind: FaultKind
    severity: Severity
    opened_at: float
    updated_at: float
    resolved_at: float | None
    detected_at: float
    services: tuple[str, ...]
    alerts: tuple[IncidentAlert, ...]
    suspects: tuple[Suspect, ...]
    context: Context
    recurrence_of: str
    trace_id: str
    config_hash: str
    v: int = 1
