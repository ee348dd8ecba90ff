"""Did the fix work? Judged by the detectors that fired, from their window updates after the action. Pure.

Each of the incident's own series must show N `normal` windows in a row, judged by detection against the parameters
frozen at firing; a rebaselined, suppressed or stale alert proves nothing, and so does silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from remediation.settings import VerificationSettings
from sentinel.alerts import AlertMessage, AlertState, Resolution, WindowVerdict
from sentinel.incidents import IncidentAlert
from sentinel.outcomes import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is watched after an action.

    `alerts`: ids of the incident's own alerts. `neighbours`: services on which a new alert counts against the action,
    those of the incident included. `effective_at`: event time from which the action counts.
    """

    alerts: tuple[str, ...]
    neighbours: frozenset[str]
    effective_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What can be said so far: `result` is None while windows are missing.

    `windows`: normal ones in a row, by alert. `until`: event time up to which windows were looked at; None when none
    came.
    """

    result: Result | None
    reason: str
    windows: dict[str, int]
    until: float | None = None


def own_alerts(alerts: Iterable[IncidentAlert], effective_at: float) -> tuple[str, ...]:
    """Ids of the alerts that an action can be measured by: begun before it took effect and not over by then."""
    return tuple(
        alert.alert_id
        for alert in alerts
        if alert.onset_at < effective_at and (alert.firing or alert.last_window_end > effective_at)
    )


def judge(watch: Watch, messages: Sequence[AlertMessage], settings: VerificationSettings) -> Judgement:
    """Judge what is known. `messages`: every message of the watched alerts and of the neighbours, in any order.

    Cost: linear in the messages. The caller adds the time-out, because that is wall time.
    """
    if not watch.alerts:
        return Judgement(result=Result.NOT_VERIFIABLE, reason="no series of the incident was abnormal then", windows={})
    settled = watch.effective_at + settings.settle
    by_alert: dict[str, list[AlertMessage]] = defaultdict(list)
    for message in messages:
        by_alert[message.alert_id].append(message)
    worse = [*_new_alerts(watch, messages, settled), *_guards(watch, by_alert, settled, settings)]
    until = max(
        (message.window.end for message in messages if message.window.start >= watch.effective_at), default=None
    )
    judged = [_series(alert, by_alert[alert], watch.effective_at, settled, settings) for alert in watch.alerts]
    series = [one for one in judged if one is not None]
    if not series:
        reason = "every series was already recovering when the action took effect"
        return Judgement(result=Result.NOT_VERIFIABLE, reason=reason, windows={}, until=until)
    windows = {one.alert_id: one.normal for one in series}
    if worse:
        return Judgement(result=Result.WORSE, reason="; ".join(worse), windows=windows, until=until)
    for result in (Result.WORSE, Result.NOT_VERIFIABLE, Result.NO_EFFECT):
        reasons = [one.reason for one in series if one.result is result]
        if reasons:
            return Judgement(result=result, reason="; ".join(reasons), windows=windows, until=until)
    pending = [one.reason for one in series if one.result is None]
    if pending:
        return Judgement(result=None, reason="; ".join(pending), windows=windows, until=until)
    reason = f"{len(series)} series normal for {settings.normal_windows} windows, no new alert around"
    return Judgement(result=Result.VERIFIED, reason=reason, windows=windows, until=until)


@dataclass(frozen=True, slots=True)
class _SeriesJudgement:
    alert_id: str
    result: Result | None
    reason: str
    normal: int


def _new_alerts(watch: Watch, messages: Sequence[AlertMessage], settled: float) -> list[str]:
    """That an alert began around after the action had settled, or nothing."""
    services = sorted(
        {
            message.service
            for message in messages
            if message.state is AlertState.FIRING
            and message.alert_id not in watch.alerts
            and message.service in watch.neighbours
            and message.onset_at >= settled
        }
    )
    return [f"new alert on {', '.join(services)}"] if services else []


def _guards(
    watch: Watch, by_alert: Mapping[str, list[AlertMessage]], settled: float, settings: VerificationSettings
) -> list[str]:
    """Series of neighbours that are worse than before the action.

    A standing alert that is much worse now, or one that began while the action settled and has not gone away since.
    """
    found = []
    for alert_id, messages in sorted(by_alert.items()):
        first = messages[0]
        if alert_id in watch.alerts or first.service not in watch.neighbours or first.onset_at >= settled:
            continue
        judged = {m.window.end: m for m in sorted(messages, key=_update_last) if m.window.start >= settled}
        newest_first = [judged[end] for end in sorted(judged, reverse=True)]
        if first.onset_at < watch.effective_at:
            reason = _much_worse(first.series.key, messages, newest_first, watch.effective_at, settings)
            found += [reason] if reason else []
        elif _stays(newest_first, settings):
            found.append(f"{first.series.key} went abnormal with the action and stays so")
    return found


def _stays(newest_first: Sequence[AlertMessage], settings: VerificationSettings) -> bool:
    latest = newest_first[: settings.worse_windows]
    abnormal = all(message.verdict is WindowVerdict.ABNORMAL for message in latest)
    return len(latest) == settings.worse_windows and abnormal


def _series(
    alert_id: str, messages: list[AlertMessage], effective_at: float, settled: float, settings: VerificationSettings
) -> _SeriesJudgement | None:
    """Judge one alert: how it was resolved, its run of normal windows, or that its windows are used up.

    An alert that its detector calls recovered gives no more windows, and its normal ones count from the action on: there
    is nothing left to settle. None for one with too few of them: it was recovering already, and says nothing for or
    against.
    """
    name = messages[0].series.key if messages else alert_id
    ended = next((m for m in messages if m.state is AlertState.RESOLVED), None)
    counts_from = effective_at if ended else settled
    judged = {m.window.end: m for m in sorted(messages, key=_update_last) if m.window.start >= counts_from}
    newest_first = [judged[end] for end in sorted(judged, reverse=True)]
    normal = sum(1 for _ in takewhile(lambda m: m.verdict is WindowVerdict.NORMAL, newest_first))
    if ended and ended.window.end > effective_at and ended.resolution is not Resolution.RECOVERED:
        how = ended.resolution.value if ended.resolution else "without a reason"
        return _SeriesJudgement(alert_id, Result.NOT_VERIFIABLE, f"{name} resolved as {how}", normal)
    if normal >= settings.normal_windows:
        return _SeriesJudgement(alert_id, Result.VERIFIED, f"{name} is normal", normal)
    if ended:
        return None
    if reason := _much_worse(name, messages, newest_first, effective_at, settings):
        return _SeriesJudgement(alert_id, Result.WORSE, reason, normal)
    if len(judged) >= settings.max_windows:
        return _used_up(alert_id, name, newest_first, settings)
    return _SeriesJudgement(alert_id, None, f"{name}: {normal} of {settings.normal_windows} normal windows", normal)


def _update_last(message: AlertMessage) -> int:
    """Where an update and a firing or resolved message share a window, the update's verdict counts."""
    return 1 if message.state is AlertState.UPDATE else 0


def _used_up(
    alert_id: str, name: str, newest_first: list[AlertMessage], settings: VerificationSettings
) -> _SeriesJudgement:
    """All windows are there and the series is not normal: still abnormal, or too silent to say."""
    abnormal = any(m.verdict is WindowVerdict.ABNORMAL for m in newest_first[: settings.normal_windows])
    if abnormal:
        text = f"{name} is still abnormal after {len(newest_first)} windows"
        return _SeriesJudgement(alert_id, Result.NO_EFFECT, text, 0)
    return _SeriesJudgement(alert_id, Result.NOT_VERIFIABLE, f"{name} has no data", 0)


def _much_worse(
    name: str,
    messages: list[AlertMessage],
    newest_first: list[AlertMessage],
    effective_at: float,
    settings: VerificationSettings,
) -> str:
    """Why the latest windows are clearly worse than any before the action, or an empty string."""
    before = [m.score for m in messages if m.window.end <= effective_at and m.verdict is WindowVerdict.ABNORMAL]
    latest = newest_first[: settings.worse_windows]
    if not before or len(latest) < settings.worse_windows:
        return ""
    limit = max(before) * settings.worse_factor
    if all(m.verdict is WindowVerdict.ABNORMAL and m.score > limit for m in latest):
        return f"{name} scores over {limit:.3g}, {settings.worse_factor:g} times the highest before the action"
    return ""
