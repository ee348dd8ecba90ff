"""The typed answer of a model, and the checks that make a proposal of it. Pure.

Nothing here is more lenient than for a runbook: the proposal goes through the same validator and catalogue, here (so that
a bad answer falls over to the next provider) and again in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from remediation.catalogue import Proposal, Step, assemble, refuse_repetition
from remediation.evidence import Analysis, Claim, FailedAttempt, check_cites, check_claims
from remediation.objections import refuse_rejected
from sentinel.plans import Scalar

Text = Annotated[str, Field(min_length=1, max_length=1000)]
"""A sentence or two."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ClaimAnswer(_Answer):
    """One conclusion and the facts that carry it."""

    text: Text
    """The conclusion, in one sentence."""
    cites: tuple[str, ...] = Field(min_length=1, max_length=20)
    """Ids of the facts that carry it."""


class StepAnswer(_Answer):
    """One action of the plan."""

    action: Text
    """Name of an action of the catalogue."""
    service: Text
    """Name of a service from `targets`."""
    params: dict[str, int | float | bool | str] = Field(default={}, max_length=10)
    """Exactly the parameters that the action takes."""
    reason: Text
    """Why this helps, in one sentence."""


class PlanAnswer(_Answer):
    """The proposed plan."""

    summary: Text
    """One or two sentences for the person who is asked."""
    claims: tuple[ClaimAnswer, ...] = Field(min_length=1, max_length=10)
    """What is concluded from which facts."""
    steps: tuple[StepAnswer, ...] = Field(max_length=5)
    """What to do, in order; empty when nothing can be said."""


def proposal_of(answer: PlanAnswer, planner: str, analysis: Analysis, failed: Sequence[FailedAttempt]) -> Proposal:
    """The answer as a proposal that has passed the validator, the catalogue and the list of what failed.

    Raises `RefusedError` for a claim without known evidence, an unknown action or service, parameters out of bounds,
    and a repeated step.
    """
    known = {item.id for item in analysis.items}
    check_claims([Claim(text=claim.text, cites=claim.cites) for claim in answer.claims], analysis.items)
    proposal = Proposal(
        planner=planner,
        runbook="",
        summary=_printable(answer.summary),
        steps=tuple(_step(step) for step in answer.steps),
        cites=tuple(dict.fromkeys(cite for claim in answer.claims for cite in claim.cites)),
    )
    check_cites(proposal.summary, proposal.cites, known)
    plan = assemble(proposal, analysis.incident.id, len(failed) + 1, analysis.targets)
    refuse_repetition(plan, [action for attempt in failed for action in attempt.deeds])
    refuse_rejected(plan, failed)
    return proposal


def _step(step: StepAnswer) -> Step:
    params: dict[str, Scalar] = dict(step.params)
    return Step(type=step.action, service=step.service, params=params, reason=_printable(step.reason))


def _printable(text: str) -> str:
    """Without control and direction characters: the text is shown to the person who approves."""
    return "".join(char if char.isprintable() else " " for char in text)
