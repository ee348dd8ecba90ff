"""When circuit breakers trip, and what they say to an action. Pure: the rows come from SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from remediation.settings import BreakerSettings
from sentinel.plans import Action
from sentinel.safety import ActionResult, Breaker, BreakerState, scopes_of


def trip_reason(breaker: Breaker, results: Sequence[ActionResult], settings: BreakerSettings, now: float) -> str:
    """Why these results (oldest first) trip the breaker, or an empty string.

    Counted are its own scope's results since it was last closed, within the window.
    """
    since = max(breaker.counts_from, now - settings.window)
    own = [result.ok for result in results if breaker.scope in result.scopes and result.at >= since]
    failed = own.count(False)
    last = own[-settings.in_a_row :]
    if len(last) == settings.in_a_row and not any(last):
        return f"{len(last)} actions in a row failed"
    if len(own) >= settings.min_actions and failed / len(own) > settings.failure_rate:
        return f"{failed} of {len(own)} actions failed, more than {settings.failure_rate:.0%}"
    return ""


def stopped_by(action: Action, breakers: Mapping[str, Breaker], now: float, attempt: str) -> list[str]:
    """Reasons why not even an approved action passes: tripped breakers, and half-open ones that another one probes."""
    reasons = []
    for breaker in _passed(action, breakers):
        match breaker.state(now):
            case BreakerState.TRIPPED:
                until = datetime.fromtimestamp(breaker.tripped_until or now, UTC)
                reasons.append(
                    f"breaker: {breaker.scope} is tripped until {until:%Y-%m-%d %H:%M:%S} UTC: {breaker.reason}"
                )
            case BreakerState.HALF_OPEN if breaker.probe not in ("", attempt) and now < breaker.probe_until:
                reasons.append(f"breaker: {breaker.scope} is half-open and another action probes it")
    return reasons


def asked_by(action: Action, breakers: Mapping[str, Breaker], now: float) -> list[str]:
    """Reasons why an action must not run by itself: breakers that nobody closed, and half-open ones."""
    reasons = []
    for breaker in _passed(action, breakers):
        match breaker.state(now):
            case BreakerState.OPEN:
                reasons.append(f"breaker: {breaker.scope} is open for automatic action until a person closes it")
            case BreakerState.HALF_OPEN:
                reasons.append(f"breaker: {breaker.scope} is half-open: only an approved action may probe it")
    return reasons


def _passed(action: Action, breakers: Mapping[str, Breaker]) -> list[Breaker]:
    return [breakers.get(scope, Breaker(scope=scope)) for scope in scopes_of(action)]
