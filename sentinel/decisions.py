"""The decision row: every stage writes what it decided about a candidate, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.canonical import short_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision of one stage about one subject; the topic `decisions` and the history hold them.

    `stage`: `decode`, `confirm`, `correlate`, `enrich`, `dedupe`, `plan`, `policy`, `verify` ... `subject`: id of what
    was decided on (alert id, series key, incident id, action id). `at` is event time, `decided_at` wall time, both in
    seconds. `details` holds the numbers behind the reason.
    """

    decision_id: str
    stage: str
    subject: str
    verdict: str
    reason: str
    at: float
    decided_at: float
    config_hash: str
    service: str = ""
    incident_id: str = ""
    trace_id: str = ""
    details: dict[str, str | float | int | bool | None] = field(default_factory=dict)
    v: int = 1


def decision_id(stage: str, subject: str, at: float) -> str:
    """The deterministic id of a decision: a repeat after a crash overwrites, never doubles."""
    return short_id("dec", stage, subject, at)
