"""What can act on targets. `fleet.py` acts on the simulated fleet, `aws/` and `kubernetes/` on real things.

`dry_run.py` records and changes nothing; `plugins.py` loads what others bring (`docs/executors.md`).
tests/contracts/test_executor.py runs every implementation through one suite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sentinel.canonical import digest
from sentinel.plans import Action, Preview, Scalar, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """A target as it is now: plain fields, and the version that changes whenever one of them does."""

    resource_version: str
    fields: dict[str, Scalar]

    @classmethod
    def of(cls, fields: Mapping[str, Scalar]) -> TargetState:
        """The state of a target that has no version of its own: 16 hexadecimal digits of its fields stand in."""
        return cls(resource_version=digest(fields)[:16], fields=dict(fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What an action did. `effective_at` is event time, `downtime` in seconds.

    `changed` is False when nothing was touched (a dry run); such an action can never be verified.
    """

    changed: bool
    before: TargetState
    after: TargetState
    effective_at: float
    downtime: float


class Executor(Protocol):
    """One way to act. Every method has a deadline of its own.

    Raises `TransientError` when the same call may succeed later, `PermanentError` when the target refuses, and
    `RefusedError` with rule `drift` when the target is not at the expected version any more.
    """

    backend: str
    """Name that `Target.backend` gives."""

    def describe(self, action: Action) -> str:
        """One sentence for a person: what will be done to what."""

    def observe(self, target: Target) -> TargetState:
        """The target as it is now; changes nothing."""

    def dry_run(self, action: Action) -> Preview:
        """What the action would change now; changes nothing."""

    def apply(self, action: Action, resource_version: str, idempotency_key: str) -> Applied:
        """Act, provided that the target is at `resource_version`. The same key again answers the first result."""

    def verify_applied(self, action: Action, applied: Applied) -> str:
        """Why the live target does not show what `applied` promised, or an empty string when it does."""

    def inverse(self, action: Action, before: TargetState) -> Action | None:
        """The action that puts `before` back, or None where nothing does."""

    def close(self) -> None:
        """Release connections."""
