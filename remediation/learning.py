"""What the breakers learn from how actions ended: results in SQL, trips, and probes that went well or did not."""

from __future__ import annotations

from collections.abc import Sequence

from remediation.breakers import trip_reason
from remediation.journal import About
from remediation.parts import Parts
from sentinel.metrics import BREAKER_TRIPS
from sentinel.outcomes import Result
from sentinel.plans import Action
from sentinel.safety import ActionResult, Breaker, BreakerState, scopes_of

_OK = {Result.VERIFIED: True, Result.NO_EFFECT: False, Result.WORSE: False}


def attempt_name(about: About) -> str:
    """The name under which an attempt probes half-open breakers."""
    return f"{about.run_id}:{about.attempt}"


def claim_probes(parts: Parts, about: About, action: Action) -> None:
    """The action is about to happen: where a breaker is half-open, it is the probe. Within the intent's transaction."""
    now, cool_down = parts.now(), parts.settings.policy.breakers.cool_down
    for scope, breaker in parts.stores.breakers.of(scopes_of(action)).items():
        if breaker.state(now) is BreakerState.HALF_OPEN:
            parts.stores.breakers.claim_probe(scope, probe=attempt_name(about), until=now + cool_down)


def learn_outcome(parts: Parts, about: About, keys: Sequence[str], result: Result) -> None:
    """An attempt ended: its applied actions helped, or did not; anything else proves nothing either way."""
    ok = _OK.get(result)
    for key in keys:
        entry = parts.stores.ledger.get(key)
        if ok is not None and entry is not None:
            learn(parts, about, entry.action, key, ok=ok)
    parts.stores.breakers.release_probes(attempt_name(about))


def learn(parts: Parts, about: About, action: Action, key: str, *, ok: bool) -> None:
    """One action went well or failed: keep it, once, and move the breakers that it counts for."""
    now, store = parts.now(), parts.stores.breakers
    result = ActionResult(key=key, type=action.type, target=action.target.key, at=now, ok=ok)
    with parts.stores.database.write():
        store.lock()
        if not store.record(result):
            return
        recent = store.results(now - parts.settings.policy.breakers.window)
        for breaker in store.of(scopes_of(action)).values():
            _move(parts, about, breaker, recent, ok=ok, now=now)


def _move(
    parts: Parts, about: About, breaker: Breaker, recent: Sequence[ActionResult], *, ok: bool, now: float
) -> None:
    settings, store = parts.settings.policy.breakers, parts.stores.breakers
    if breaker.probe == attempt_name(about):
        if ok:
            store.recover(breaker.scope, reason="its probe went well", now=now, trace_id=about.trace_id)
            return
        reason = "its probe failed"
    elif breaker.tripped_until is None:
        reason = trip_reason(breaker, recent, settings, now)
    else:
        reason = ""
    if reason:
        store.trip(breaker.scope, until=now + settings.cool_down, reason=reason, now=now, trace_id=about.trace_id)
        BREAKER_TRIPS.labels(breaker.scope.partition(":")[0]).inc()
