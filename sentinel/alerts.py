"""What the detection flow says on the `alerts` topic: fired, one judgement per window, resolved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.series import Series, Window


class FaultKind(StrEnum):
    """The closed list of kinds of fault that a rule can set."""

    ERRORS = "errors"
    LATENCY = "latency"
    SATURATION = "saturation"
    TRAFFIC = "traffic"
    AVAILABILITY = "availability"
    DATA = "data"


class Severity(StrEnum):
    """How urgent, in PagerDuty's words; ordered from `info` up to `critical`."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for `info` to 3 for `critical`."""
        return list(Severity).index(self)


class AlertState(StrEnum):
    """The place of a message in an alert's life."""

    FIRING = "firing"
    UPDATE = "update"
    RESOLVED = "resolved"


class WindowVerdict(StrEnum):
    """One window of a firing alert, judged against the parameters frozen when it fired."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    NO_DATA = "no_data"


class Resolution(StrEnum):
    """Why an alert ended. Only `recovered` can verify a fix."""

    RECOVERED = "recovered"
    REBASELINED = "rebaselined"
    SUPPRESSED = "suppressed"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one detector said about one window of one series.

    `score` and `threshold` are in the detector's own unit; high is unusual. `low` and `high` are the band that the
    detector would have called normal, in the series' unit, where it has one. `text` is one sentence for a person.
    """

    detector: str
    score: float
    threshold: float
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """One message of the `alerts` topic. `message_id` is deterministic: a repeat after a crash has the same id.

    Times are seconds since the epoch: `window`, `onset_at` (start of the first abnormal window) and `fired_at` (end of
    the window that confirmed it) are event time; `detected_at` is wall time. `frozen` holds the detectors' parameters
    at firing, as plain JSON values: the verdict of every later window is judged against them alone.
    """

    message_id: str
    alert_id: str
    state: AlertState
    verdict: WindowVerdict
    reason: str
    rule: str
    kind: FaultKind
    severity: Severity
    series: Series
    window: Window
    value: float | None
    score: float
    threshold: float
    findings: tuple[Finding, ...]
    onset_at: float
    fired_at: float
    detected_at: float
    trace_id: str
    config_hash: str
    resolution: Resolution | None = None
    frozen: dict[str, dict[str, float | list[float]]] | None = None
    v: int = 1

    @property
    def service(self) -> str:
        """The service that the alert's series belongs to."""
        return self.series.service
