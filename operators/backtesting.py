"""What rules would have said about recorded series: the detection core of the live flow over a recording. Pure.

Rules in shadow fire here as well, because a rule that is being tried out is what a backtest is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from operators.blocks import Floats, Numbers, ShardBlock
from operators.detectors.contract import Rows
from operators.detectors.registry import build
from operators.detectors.settings import HalfSpaceTreesSettings
from operators.rules import DetectionSettings
from operators.shard_core import ShardCore, shard_blocks
from operators.shard_detectors import guard_of
from operators.windows import Windows
from sentinel.alerts import AlertMessage, AlertState, Finding, Resolution, Severity
from sentinel.series import Series, Window

Recorded = tuple[Series, Numbers, Numbers]
"""A series with the times (epoch seconds) and the values of its events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAlert:
    """An alert that the rules would have sent. `ended_at` is None when it still fired at the end of the recording."""

    series: Series
    rule: str
    severity: Severity
    onset_at: float
    fired_at: float
    ended_at: float | None = None
    resolution: Resolution | None = None
    value: float | None = None
    reason: str = ""
    findings: tuple[Finding, ...] = ()

    def span(self, end: float) -> Window:
        """From the onset to the end, or to `end` while it fires."""
        return Window(self.onset_at, self.ended_at if self.ended_at is not None else max(end, self.fired_at))

    def touches(self, other: PastAlert) -> bool:
        """Whether both are about the same series and overlap in time."""
        mine, theirs = self.span(np.inf), other.span(np.inf)
        return self.series == other.series and mine.start < theirs.end and theirs.start < mine.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What came out. `rules` gives each series the name of its rule, empty when none covers it; `spans` its recording."""

    alerts: tuple[PastAlert, ...]
    rules: dict[Series, str]
    spans: dict[Series, Window]
    held_back: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(rule, verdict) of the candidates that made no alert: `pending` and `not_confirmed`."""

    @property
    def start(self) -> float:
        """Time of the first event; 0 when there is none."""
        return min((span.start for span in self.spans.values()), default=0.0)

    @property
    def end(self) -> float:
        """Time of the last event; 0 when there is none."""
        return max((span.end for span in self.spans.values()), default=0.0)

    def weeks(self, series: Iterable[Series]) -> float:
        """Weeks of recording of these series together, at least a minute."""
        return max(sum(self.spans[one].end - self.spans[one].start for one in series), 60.0) / (7 * 86400.0)

    def covered(self, rule: str = "") -> list[Series]:
        """The series of a rule, or of any."""
        return [series for series, name in self.rules.items() if name and (not rule or name == rule)]

    def per_series(self) -> Counter[Series]:
        """Alerts by series, those without any as well."""
        counts = Counter(alert.series for alert in self.alerts)
        return Counter({series: counts[series] for series in self.covered()})


def backtest(settings: DetectionSettings, recorded: Sequence[Recorded]) -> Backtest:
    """Run the rules over the recording as one shard would see it. About 1 us a point and rule.

    Vector rules are left out: they judge services, not series.
    """
    open_rules = {name: rule.model_copy(update={"shadow": False}) for name, rule in settings.rules.items()}
    own = settings.model_copy(update={"rules": open_rules, "vectors": {}})
    rules = {series: _rule_name(own, series) for series, times, _ in recorded if len(times)}
    held: Counter[tuple[str, str]] = Counter()
    alerts: dict[str, PastAlert] = {}
    core = ShardCore(own)
    for block in with_end(shard_blocks(recorded), _longest(own)):
        messages, decisions = core.feed(block)
        for message in messages:
            _note(alerts, message)
        for row in decisions:
            if row.verdict in ("pending", "not_confirmed"):
                held[str(row.details["rule"]), row.verdict] += 1
    spans = {series: Window(float(times[0]), float(times[-1])) for series, times, _ in recorded if len(times)}
    return Backtest(
        alerts=tuple(sorted(alerts.values(), key=lambda alert: (alert.fired_at, alert.series.key))),
        rules=rules,
        spans=spans,
        held_back=held,
    )


@dataclass(frozen=True, slots=True)
class Band:
    """A series as its rule sees it: n windows, their values, and what was usual (NaN while warming up)."""

    starts: Floats
    values: Floats
    low: Floats
    high: Floats


def band_of(settings: DetectionSettings, recorded: Recorded) -> Band | None:
    """The windows of a series with the narrowest band of the detectors that propose candidates; None without a rule."""
    series, _, _ = recorded
    found = settings.rule_for(series)
    if found is None:
        return None
    rule = found[1]
    windows = Windows(settings.model_copy(update={"vectors": {}}))
    closed = [windows.feed(block) for block in with_end(shard_blocks([recorded]), rule.window + settings.lateness)]
    starts, values = (np.concatenate([getattr(each, name) for each in closed]) for name in ("starts", "values"))
    rows = Rows(np.zeros(len(starts), np.int32), starts, values)
    low, high = np.full(len(starts), np.nan), np.full(len(starts), np.nan)
    for name in rule.detectors:
        own = settings.detectors[name]
        if not isinstance(own, HalfSpaceTreesSettings):
            detector = build(name, own, rule.max_firing)
            detector.assign(0, guard_of(rule))
            scores = detector.observe(rows)
            low, high = np.fmax(low, scores.low), np.fmin(high, scores.high)
    return Band(starts, values, low, high)


def with_end(blocks: Iterable[ShardBlock], after: float) -> Iterable[ShardBlock]:
    """The blocks, and an empty one `after` seconds later that closes the windows which were still open."""
    last = None
    for last in blocks:
        yield last
    if last is not None:
        none = np.empty(0)
        yield ShardBlock(
            last.shard, none, none, np.empty(0, np.uint64), np.empty((0, 2), np.uint64), none, last.high_mark + after
        )


def _rule_name(settings: DetectionSettings, series: Series) -> str:
    found = settings.rule_for(series)
    return found[0] if found else ""


def _longest(settings: DetectionSettings) -> float:
    return max((rule.window for rule in settings.rules.values()), default=0.0) + settings.lateness


def _note(alerts: dict[str, PastAlert], message: AlertMessage) -> None:
    if message.state is AlertState.FIRING:
        alerts[message.alert_id] = PastAlert(
            series=message.series, rule=message.rule, severity=message.severity, onset_at=message.onset_at,
            fired_at=message.fired_at, value=message.value, reason=message.reason, findings=message.findings,
        )  # fmt: skip
    elif message.state is AlertState.RESOLVED and message.alert_id in alerts:
        ended = max(message.window.end, alerts[message.alert_id].fired_at)
        alerts[message.alert_id] = replace(alerts[message.alert_id], ended_at=ended, resolution=message.resolution)


@dataclass(frozen=True, slots=True)
class Quality:
    """Alerts against labelled faults: `true` alerts lie in a fault, `found` faults have an alert."""

    alerts: int
    true: int
    faults: int
    found: int

    @property
    def precision(self) -> float:
        """Share of the alerts that lie in a fault; 1 without alerts."""
        return self.true / self.alerts if self.alerts else 1.0

    @property
    def recall(self) -> float:
        """Share of the faults with an alert; 1 without faults."""
        return self.found / self.faults if self.faults else 1.0


def quality(alerts: Iterable[PastAlert], faults: dict[Series, Sequence[Window]]) -> Quality:
    """Compare the alerts of labelled series with their faults; an alert counts by the window in which it fired."""
    hit: set[tuple[Series, Window]] = set()
    total = true = 0
    for alert in alerts:
        if alert.series not in faults:
            continue
        total += 1
        inside = [one for one in faults[alert.series] if one.start <= alert.fired_at and alert.onset_at <= one.end]
        true += bool(inside)
        hit.update((alert.series, one) for one in inside)
    return Quality(total, true, sum(map(len, faults.values())), len(hit))


@dataclass(frozen=True, slots=True)
class Difference:
    """Two backtests of one recording: alerts that only one of them has."""

    gained: tuple[PastAlert, ...]
    lost: tuple[PastAlert, ...]


def compare(before: Backtest, after: Backtest) -> Difference:
    """Alerts of `after` that touch none of `before` are gained; the other way round they are lost."""
    return Difference(_only(after, before), _only(before, after))


def _only(one: Backtest, other: Backtest) -> tuple[PastAlert, ...]:
    return tuple(alert for alert in one.alerts if not any(alert.touches(each) for each in other.alerts))
