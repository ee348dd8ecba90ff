"""How a confirmed alert and what happens to it are put into messages and decision rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from operators.blocks import Candidate
from operators.detectors.contract import number
from operators.rules import Rule
from sentinel.alerts import AlertMessage, AlertState, Finding, Resolution, WindowVerdict
from sentinel.canonical import short_id
from sentinel.decisions import Decision, decision_id
from sentinel.series import Series, Window

STAGE = "confirm"
"""The stage's name in decision rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One judged window of one slot."""

    start: float
    end: float
    value: float
    trace_id: str
    candidate: Candidate | None
    vector: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a slot stands for."""

    series: Series
    name: str
    rule: Rule


def strongest(findings: tuple[Finding, ...]) -> Finding:
    """The finding furthest above its own threshold."""
    return max(findings, key=lambda each: each.score / each.threshold if each.threshold > 0 else float("inf"))


def proposed(rule: Rule, candidate: Candidate) -> tuple[Finding, ...]:
    """The findings that made the candidate, without those that could have spoken against it."""
    return tuple(each for each in candidate.findings if each.detector not in rule.unless)


def fired(subject: Subject, onset: float, frozen: Candidate, row: Row, now: float, config_hash: str) -> AlertMessage:
    """The first message of an alert; `frozen` is the candidate at its onset."""
    candidate = row.candidate or frozen
    best = strongest(proposed(subject.rule, candidate))
    alert_id = short_id("alr", subject.name, subject.series.key, onset)
    windows = round((row.end - onset) / subject.rule.window)
    return AlertMessage(
        message_id=message_id(alert_id, AlertState.FIRING, row.end), alert_id=alert_id, state=AlertState.FIRING,
        verdict=WindowVerdict.ABNORMAL, reason=_why(subject.rule, windows, best.text),
        rule=subject.name, kind=subject.rule.kind, severity=subject.rule.severity, series=subject.series,
        window=Window(row.start, row.end), value=row.value, score=best.score, threshold=best.threshold,
        findings=(best, *(each for each in candidate.findings if each is not best)), onset_at=onset, fired_at=row.end, detected_at=now,
        trace_id=row.trace_id, config_hash=config_hash, frozen=frozen.frozen,
    )  # fmt: skip


def updated(
    alert: AlertMessage,
    window: Window,
    value: float | None,
    verdict: WindowVerdict,
    reason: str,
    trace_id: str,
    now: float,
) -> AlertMessage:
    """One judged window of a firing alert."""
    return replace(
        alert, message_id=message_id(alert.alert_id, AlertState.UPDATE, window.end), state=AlertState.UPDATE, verdict=verdict,
        reason=reason, window=window, value=value, score=relative_score(alert, value), findings=(), frozen=None,
        detected_at=now, trace_id=trace_id or alert.trace_id,
    )  # fmt: skip


def resolved(last: AlertMessage, resolution: Resolution, reason: str, now: float) -> AlertMessage:
    """The end of an alert, at the window of its last message."""
    return replace(
        last, message_id=message_id(last.alert_id, AlertState.RESOLVED, last.window.end), state=AlertState.RESOLVED,
        reason=reason, resolution=resolution, findings=(), frozen=None, detected_at=now,
    )  # fmt: skip


def message_id(alert_id: str, state: AlertState, end: float) -> str:
    """The same id whenever the same message is made again."""
    return f"{alert_id}:{state}:{int(end)}"


def relative_score(alert: AlertMessage, value: float | None) -> float:
    """A later value in the unit of the alert's score, by the band of its first finding, the strongest.

    The threshold times (distance from what was expected) / (distance of the band's edge from it); 0 without a value or
    on a side that has no edge; the alert's own score where the finding has no band.
    """
    if value is None:
        return 0.0
    best = alert.findings[0]
    edge = best.high if best.expected is None or value >= best.expected else best.low
    if best.expected is None or edge is None or edge == best.expected:
        return alert.score if best.expected is None else 0.0
    return best.threshold * (value - best.expected) / (edge - best.expected)


def decision(
    subject: Subject, row: Row, verdict: str, reason: str, now: float, config_hash: str, alert_id: str = ""
) -> Decision:
    """The decision row for a candidate, or for a change of its alert; `subject` is the series' key."""
    details: dict[str, str | float | int | bool | None] = {
        "rule": subject.name, "kind": subject.rule.kind.value, "value": row.value, "start": row.start, "end": row.end
    }  # fmt: skip
    if alert_id:
        details["alert_id"] = alert_id
    for finding in row.candidate.findings if row.candidate else ():
        details[f"{finding.detector}.score"] = finding.score
        details[f"{finding.detector}.expected"] = finding.expected
    return Decision(
        decision_id=decision_id(f"{STAGE}.{verdict}", subject.series.key, row.end), stage=STAGE, subject=subject.series.key,
        verdict=verdict, reason=reason, at=row.end, decided_at=now, config_hash=config_hash,
        service=subject.series.service, trace_id=row.trace_id, details=details,
    )  # fmt: skip


def held(alert: AlertMessage, value: float, spoke: str) -> str:
    """The sentence of an update; `spoke` is the detector whose snapshot calls the value abnormal, empty for a normal one."""
    if not spoke:
        return f"{number(value)} lies inside the band frozen when the alert fired"
    return f"{number(value)} is not back inside the band of {spoke} frozen when the alert fired (expected {_expected(alert)})"


def _expected(alert: AlertMessage) -> str:
    expected = alert.findings[0].expected
    return "no value" if expected is None else number(expected)


def _why(rule: Rule, windows: int, text: str) -> str:
    n, m = rule.confirm
    return f"unusual in {n} of {m} windows, {windows} after the onset: {text}" if m > 1 else text
