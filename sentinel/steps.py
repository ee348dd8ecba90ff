"""What a run decided and from what: one record for each step, by digests of its inputs and its output. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sentinel.canonical import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step of a run: the pure function `step` made `output` from `inputs` under the settings `ground`.

    Values are digests of contents (`sentinel.stores.sql.steps`). `number` counts the run's steps from 1; `at` is wall
    time in seconds. `id` follows from run, step and inputs: the same step after a crash is the same record.
    """

    id: str
    incident_id: str
    run_id: str
    attempt: int
    number: int
    step: str
    at: float
    ground: str
    inputs: dict[str, str]
    output: str


def decision_hash(records: Sequence[StepRecord]) -> str:
    """One digest over all that a run decided, and from what; the audit's record `recorded` holds it."""
    return digest([[one.step, one.ground, one.inputs, one.output] for one in records])
