"""How an attempt to remediate ended, as the detectors that fired saw it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.alerts import FaultKind


class Result(StrEnum):
    """The outcome of one attempt."""

    VERIFIED = "verified"
    NO_EFFECT = "no_effect"
    WORSE = "worse"
    NOT_VERIFIABLE = "not_verifiable"
    NOT_EXECUTED = "not_executed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One attempt's end; the topic `outcomes` carries it to incident memory and history.

    `actions` are readable lines such as `rollback checkout`. `undone` says whether the pre-state was put back.
    Times: `at` is event time (0 when nothing ran), `recorded_at` wall time.
    """

    outcome_id: str
    incident_id: str
    fingerprint: str
    run_id: str
    attempt: int
    result: Result
    reason: str
    service: str
    kind: FaultKind
    title: str
    runbook: str
    actions: tuple[str, ...]
    undone: bool
    at: float
    recorded_at: float
    trace_id: str
    v: int = 1
