"""What the worker is doing about an incident: runs, their timeline, and the ledger of actions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sentinel.plans import Action, Scalar


class RunStatus(StrEnum):
    """Where a run is. `finished`, `failed` and `abandoned` are final; the others are taken up again after a crash."""

    RUNNING = "running"
    WAITING = "waiting"
    VERIFYING = "verifying"
    FINISHED = "finished"
    FAILED = "failed"
    ABANDONED = "abandoned"

    @property
    def final(self) -> bool:
        """Whether the run has ended and never goes on."""
        return self in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.ABANDONED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the graph over one incident; `attempt` counts its plans from 1. Times are wall seconds.

    `thread_id` is the key of the run's checkpoints. `epoch` grows with every claim of the run's lease: a worker whose
    epoch is older has lost the run. `last_error` is empty while nothing went wrong.
    """

    id: str
    incident_id: str
    attempt: int
    status: RunStatus
    thread_id: str
    created_at: float
    updated_at: float
    finished_at: float | None = None
    last_error: str = ""
    trace_id: str = ""
    lease_owner: str = ""
    lease_until: float = 0.0
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """One step of an incident's story (`asked`, `approved`, `executed`, `verified` ...).

    `row_id` is deterministic, so that a step repeated after a crash is told once. `at` is wall time; `event_at` is
    event time, where the step has one.
    """

    row_id: str
    incident_id: str
    run_id: str
    attempt: int
    kind: str
    text: str
    at: float
    event_at: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


class LedgerStatus(StrEnum):
    """`started` says that the executor may have been called; only its own idempotency key can tell."""

    STARTED = "started"
    APPLIED = "applied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One action that was about to happen, and what came of it; `key` is its idempotency key.

    `pre_state` is the target before the action and `inverse` the action that puts it back (None when nothing can).
    `undo_of` is the key of the entry that this one undoes, else empty. `result` is the executor's answer in plain
    JSON values. `effective_at` is event time, `started_at` and `ended_at` are wall time.
    """

    key: str
    run_id: str
    incident_id: str
    attempt: int
    action: Action
    pre_state: dict[str, Scalar]
    inverse: Action | None
    started_at: float
    status: LedgerStatus = LedgerStatus.STARTED
    undo_of: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    effective_at: float | None = None
    ended_at: float | None = None
    epoch: int = 0
