"""Runs a step and records what it was given and what came of it, so that it can be run again later."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar, overload

from remediation.evidence import Analysis
from remediation.parts import Parts
from remediation.state import RunState
from remediation.steps import NAMES, Analysing, Decided, Deciding, Ground, Hearing, Planned, Planning, Step, Verifying
from remediation.verification import Judgement
from remediation.waiting import Answered
from sentinel.canonical import plain, short_id
from sentinel.steps import StepRecord, decision_hash
from sentinel.stores.sql.steps import digest_of

T = TypeVar("T")


class Trail:
    """The steps of one worker's runs. A step costs one transaction of a few inserts; equal contents are stored once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ground = Ground(parts.settings, parts.services)
        self._ground_plain = self._ground.plain()
        self._ground_digest = digest_of(self._ground_plain)

    @overload
    def run(self, state: RunState, step: Analysing) -> Analysis: ...
    @overload
    def run(self, state: RunState, step: Planning) -> Planned: ...
    @overload
    def run(self, state: RunState, step: Deciding) -> Decided: ...
    @overload
    def run(self, state: RunState, step: Hearing) -> Answered: ...
    @overload
    def run(self, state: RunState, step: Verifying) -> Judgement: ...
    def run(self, state: RunState, step: Step) -> Any:
        """The step's output; recorded unless it only says to wait on."""
        output = step.run(self._ground)
        if output is not Answered.NOT_YET and not (isinstance(output, Judgement) and output.result is None):
            self._keep(state, step, output)
        return output

    def decision_hash(self, run_id: str) -> str:
        """The digest over all steps of the run so far."""
        return decision_hash(self._parts.stores.steps.find(run_id=run_id))

    def _keep(self, state: RunState, step: Step, output: Any) -> None:
        name = NAMES[type(step)]
        given = {field.name: plain(getattr(step, field.name)) for field in fields(step)}
        inputs = {key: digest_of(value) for key, value in given.items()}
        made = plain(output)
        values = {inputs[key]: value for key, value in given.items()}
        values |= {digest_of(made): made, self._ground_digest: self._ground_plain}
        record = StepRecord(
            id=short_id("step", state["run_id"], state["attempt"], name, self._ground_digest, inputs),
            incident_id=state["incident_id"],
            run_id=state["run_id"],
            attempt=state["attempt"],
            number=0,
            step=name,
            at=self._parts.now(),
            ground=self._ground_digest,
            inputs=inputs,
            output=digest_of(made),
        )
        self._parts.stores.steps.keep(record, values)
