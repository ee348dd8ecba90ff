"""The limits that several Sentinels share: asked before an action begins, and never instead of the ledger."""

from __future__ import annotations

from remediation.journal import About
from remediation.parts import Parts
from sentinel.errors import TransientError
from sentinel.logs import get_logger
from sentinel.plans import Action

log = get_logger(__name__)


def away(parts: Parts) -> str:
    """Why the shared counts cannot be read: nothing runs by itself then. Empty when they can, or where there are none."""
    if parts.limiter is None:
        return ""
    try:
        parts.limiter.check()
    except TransientError as error:
        return str(error)
    return ""


def take(parts: Parts, about: About, action: Action, *, approved: bool) -> tuple[str, ...]:
    """Count an action that is about to begin; returns the shared limits that it would break.

    Raises `TransientError` when nobody has approved it and the counts cannot be read; what a person approved goes on, by
    the ledger's own counts.
    """
    if parts.limiter is None:
        return ()
    try:
        return parts.limiter.take(_name(about, action), action, parts.settings.policy.limits, parts.now())
    except TransientError as error:
        if not approved:
            raise
        log.warning("shared limits are away, the ledger counts alone", reason=str(error))
        return ()


def give_back(parts: Parts, about: About, action: Action) -> None:
    """The action did not begin after all."""
    if parts.limiter is None:
        return
    try:
        parts.limiter.give_back(_name(about, action), action, parts.settings.policy.limits)
    except TransientError as error:
        log.warning("shared limits are away, an action stays counted", reason=str(error))


def _name(about: About, action: Action) -> str:
    """One deed of one attempt, however often it is tried."""
    return f"{about.run_id}:{about.attempt}:{action.id}"
