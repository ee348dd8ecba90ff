"""The steps of a run that decide, as pure functions of what they are given: the worker runs these, and so does a replay.

What a step needs from outside (live states, a planner's answer, the kill switch, windows) is part of its input, so that
the same input gives the same output at any later time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from remediation import evidence
from remediation.catalogue import Proposal, assemble, refuse_repetition
from remediation.evidence import Analysis, FailedAttempt
from remediation.objections import refuse_rejected
from remediation.policy import Conditions, decide_plan
from remediation.settings import RemediationSettings
from remediation.verification import Judgement, Watch, judge
from remediation.waiting import Answered, look
from sentinel.alerts import AlertMessage
from sentinel.approvals import ApprovalRequest
from sentinel.canonical import canonical_json
from sentinel.catalogue import ServiceCatalogue
from sentinel.errors import RefusedError
from sentinel.incidents import Incident
from sentinel.outcomes import Outcome, Result
from sentinel.plans import Plan, PolicyVerdict, Preview, Scalar, approval_digest


@dataclass(frozen=True, slots=True)
class Ground:
    """The settings that every step stands on."""

    settings: RemediationSettings
    services: ServiceCatalogue

    def plain(self) -> dict[str, Any]:
        """Plain JSON values; secrets are no part of these settings."""
        return {
            "remediation": self.settings.model_dump(mode="json", by_alias=True),
            "services": self.services.model_dump(mode="json", by_alias=True),
        }

    @classmethod
    def of(cls, value: dict[str, Any]) -> Ground:
        """From the plain form; raises ValueError when this release does not know these settings."""
        return cls(
            RemediationSettings.model_validate(value["remediation"]),
            ServiceCatalogue.model_validate(value["services"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysing:
    """`states`: the live fields of the targets that could be looked at. `past`: outcomes of the incidents it cites."""

    incident: Incident
    states: dict[str, dict[str, Scalar]]
    past: tuple[Outcome, ...]

    def run(self, ground: Ground) -> Analysis:
        """The facts, and the claims that cite them."""
        targets = evidence.candidate_targets(self.incident, ground.services)
        # A record has its keys sorted; facts come in the order of the targets.
        states = {name: self.states[name] for name in targets if name in self.states}
        return evidence.analyse(self.incident, targets, states, self.past)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan, or why there is none."""

    plan: Plan | None
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """`proposal`: what the planner answered, None when it knew nothing."""

    analysis: Analysis
    failed: tuple[FailedAttempt, ...]
    proposal: Proposal | None
    incident_id: str
    attempt: int

    def run(self, ground: Ground) -> Planned:
        """Whether the proposal is a plan: catalogue and evidence decide."""
        proposal, failed = self.proposal, self.failed
        if proposal is None:
            return Planned(plan=None, refusal="nothing is left to try" if failed else "no runbook fits")
        try:
            evidence.check_cites(proposal.summary, proposal.cites, {item.id for item in self.analysis.items})
            plan = assemble(proposal, self.incident_id, self.attempt, self.analysis.targets)
            refuse_repetition(plan, [action for attempt in failed for action in attempt.deeds])
            refuse_rejected(plan, failed)
        except RefusedError as error:
            return Planned(plan=None, refusal=str(error))
        return Planned(plan=plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Policy's verdict, and the digest that a person would approve."""

    verdict: PolicyVerdict
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """`previews`: the live dry run. `conditions`: kill switch, breakers and what else policy looks at."""

    plan: Plan
    previews: tuple[Preview, ...]
    conditions: Conditions

    def run(self, ground: Ground) -> Decided:
        """Allow, ask or deny, with every reason."""
        verdict = decide_plan(self.plan, ground.settings.policy, ground.services, self.conditions, self.previews)
        return Decided(verdict=verdict, digest=approval_digest(self.plan, self.previews, verdict.policy_version))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """A question with its votes as they were at `now` (wall seconds); `edit`: a person wants other parameters."""

    request: ApprovalRequest
    incident: Incident
    suspect: str
    now: float
    edit: bool

    def run(self, ground: Ground) -> Answered:
        """What has become of the question."""
        return look(self.request, self.incident, self.suspect, self.now, edit=self.edit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifying:
    """What was watched, the windows that had come by then, and for how many wall seconds."""

    alerts: tuple[str, ...]
    neighbours: tuple[str, ...]
    effective_at: float
    messages: tuple[AlertMessage, ...]
    waited: float

    def run(self, ground: Ground) -> Judgement:
        """The judgement; not verifiable once the time-out is over."""
        settings = ground.settings.verification
        watch = Watch(alerts=self.alerts, neighbours=frozenset(self.neighbours), effective_at=self.effective_at)
        found = judge(watch, self.messages, settings)
        if found.result is None and self.waited >= settings.timeout:
            reason = f"no judgement within {self.waited:.0f} s: {found.reason}"
            return Judgement(result=Result.NOT_VERIFIABLE, reason=reason, windows=found.windows)
        return found


Step = Analysing | Planning | Deciding | Hearing | Verifying
"""The inputs of one step; `run` is what it does."""

STEPS: dict[str, type[Step]] = {
    "analyse": Analysing, "plan": Planning, "policy": Deciding, "answer": Hearing, "verify": Verifying,
}  # fmt: skip
"""Steps by the name in their records."""

NAMES = {kind: name for name, kind in STEPS.items()}
"""The other way round."""


def run_recorded(name: str, inputs: dict[str, Any], ground: Ground) -> Any:
    """Run a step from the plain form of its inputs; returns the plain form of its output.

    Raises msgspec's ValidationError for inputs that this release cannot read, KeyError for a step that it does not know.
    """
    build: Callable[..., Step] = STEPS[name]
    step = msgspec.convert(inputs, build)
    return msgspec.json.decode(canonical_json(step.run(ground)))
