"""What stops actions whatever a plan or an approval says. Shared by worker, API and command line; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sentinel.errors import RefusedError
from sentinel.plans import Action

GLOBAL = "global"
"""The scope of the breaker that every action passes."""

_SCOPE = re.compile(r"global|type:[a-z][a-z0-9_-]{0,63}|target:[^\s/]+/[^\s/]*/[^\s/]+/[^\s/]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch:
    """Whether everything is stopped, who said so and why. `changed_at` is wall time, 0 when it was never touched."""

    on: bool
    actor: str = ""
    reason: str = ""
    changed_at: float = 0.0

    @property
    def text(self) -> str:
        """One line for people: `on, by ann: reason`, or `off`."""
        return f"on, by {self.actor}: {self.reason}" if self.on else "off"


class BreakerState(StrEnum):
    """What a circuit breaker lets through."""

    OPEN = "open"
    """Approved actions pass; automatic ones do not before a person has closed it. Every breaker begins here."""
    CLOSED = "closed"
    """Everything passes that policy lets through. Only a person closes a breaker."""
    TRIPPED = "tripped"
    """Failures tripped it: nothing passes."""
    HALF_OPEN = "half_open"
    """It has cooled down: one approved action at a time may try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One circuit breaker. `scope` is `global`, `type:NAME` or `target:BACKEND/NAMESPACE/KIND/NAME`; times are wall time.

    `tripped_until` is when a tripped one cools down, None while it is not tripped. Results before `counts_from` do not
    count. `probe` names the attempt that may try a half-open one, until `probe_until`.
    """

    scope: str
    closed: bool = False
    tripped_until: float | None = None
    counts_from: float = 0.0
    probe: str = ""
    probe_until: float = 0.0
    actor: str = ""
    reason: str = ""
    changed_at: float = 0.0

    def state(self, now: float) -> BreakerState:
        """What it lets through at `now`."""
        if self.tripped_until is not None:
            return BreakerState.TRIPPED if now < self.tripped_until else BreakerState.HALF_OPEN
        return BreakerState.CLOSED if self.closed else BreakerState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """How one action ended, for the breakers. `key` is that of the ledger; `target` is the target's key; `at` wall time."""

    key: str
    type: str
    target: str
    at: float
    ok: bool

    @property
    def scopes(self) -> tuple[str, ...]:
        """The breakers that it counts for."""
        return _scopes(self.type, self.target)


def scopes_of(action: Action) -> tuple[str, ...]:
    """The breakers that an action passes: global, its type's, its target's."""
    return _scopes(action.type, action.target.key)


def check_scope(scope: str) -> str:
    """The scope as it was given; raises `RefusedError` (rule `scope`) when no breaker can have it."""
    if not _SCOPE.fullmatch(scope):
        raise RefusedError("scope", f"{scope!r} is none of global, type:NAME, target:BACKEND/NAMESPACE/KIND/NAME")
    return scope


def _scopes(action_type: str, target: str) -> tuple[str, ...]:
    return (GLOBAL, f"type:{action_type}", f"target:{target}")
