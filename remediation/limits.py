"""Rate limits: how many actions may begin in a while, on one target, on one service, of one type, at all. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Protocol

from pydantic import Field

from sentinel.config import Section
from sentinel.plans import Action


class Per(StrEnum):
    """What a rate limit counts together."""

    EVERYTHING = "everything"
    TYPE = "type"
    SERVICE = "service"
    TARGET = "target"


class RateLimit(Section):
    """At most `count` actions begin within any `seconds`, counted in the ledger over all workers; undos do not count."""

    per: Per
    """`everything`, or separately for each `type` of action, `service` or `target` (with backend,
    namespace and kind). No default."""
    count: int = Field(ge=1)
    """Most actions. No default."""
    seconds: Annotated[float, Field(gt=0)]
    """Wall seconds, such as 60 or 3600. No default."""


DEFAULT_LIMITS = (
    RateLimit(per=Per.EVERYTHING, count=10, seconds=60),
    RateLimit(per=Per.EVERYTHING, count=30, seconds=3600),
    RateLimit(per=Per.SERVICE, count=6, seconds=3600),
    RateLimit(per=Per.TARGET, count=3, seconds=3600),
)
"""What holds where nothing is configured: more than a person would do by hand, and far less than a loop gone wild."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One action that began at `at` (wall time)."""

    at: float
    action: Action


class SharedLimiter(Protocol):
    """Counts actions over Sentinels that do not share a database. Raises `TransientError` when it cannot be asked."""

    def take(self, name: str, action: Action, limits: Sequence[RateLimit], now: float) -> tuple[str, ...]:
        """Count an action that is about to begin at `now` (wall time), in all limits or in none, at once for all callers.

        Returns the limits that it would break. The same name again is no second action.
        """

    def give_back(self, name: str, action: Action, limits: Sequence[RateLimit]) -> None:
        """Uncount an action that did not begin after all."""

    def check(self) -> str:
        """Return when it can be asked."""


def exceeded(
    action: Action, earlier: Sequence[Action], deeds: Sequence[Deed], limits: Sequence[RateLimit], now: float
) -> list[str]:
    """The limits that `action` would break. `earlier` are the actions of its own plan that come before it."""
    reasons = []
    for limit in limits:
        mine = counted(action, limit.per)
        recent = [deed.action for deed in deeds if deed.at > now - limit.seconds]
        done = sum(counted(one, limit.per) == mine for one in (*recent, *earlier))
        if done >= limit.count:
            reasons.append(over(limit, mine, done))
    return reasons


def over(limit: RateLimit, mine: str, done: int) -> str:
    """The reason of a limit that is used up; `mine` is what it counts together, see `counted`."""
    of = f" of {limit.per} {mine}" if mine else ""
    return f"rate limit: {done} actions{of} within {limit.seconds:g} s, and {limit.count} may be"


def longest(limits: Sequence[RateLimit]) -> float:
    """Seconds back from which deeds matter; 0 without limits."""
    return max((limit.seconds for limit in limits), default=0.0)


def counted(action: Action, per: Per) -> str:
    """What an action is counted as: actions with the same text are counted together."""
    match per:
        case Per.TYPE:
            return action.type
        case Per.SERVICE:
            return action.target.serves
        case Per.TARGET:
            return action.target.key
        case Per.EVERYTHING:
            return ""
