"""How many people must approve a plan, by its risk and the tier of what it touches, and whether enough did. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from sentinel.approvals import ApprovalDecision, ApprovalRequest, Choice, Quorum
from sentinel.catalogue import ServiceCatalogue
from sentinel.config import Section
from sentinel.plans import Plan, Risk


class ApproverRule(Section):
    """Plans of at least this risk, on a service of at least this importance, need so many different approvers."""

    approvers: int = Field(ge=1, le=10)
    """Different people that must approve. No default."""
    min_risk: Risk = Risk.LOW
    """Lowest risk, of the riskiest action, at which the rule holds. Default `low`: always."""
    max_tier: int = Field(default=4, ge=0, le=4)
    """The rule holds when a target's tier is this number or lower; an unknown tier counts as 0. Default 4: any."""
    requester_may_approve: bool = False
    """Whether who edited the plan may approve it as well. Default no: somebody else must look at it."""


def quorum_of(
    plan: Plan,
    rules: Sequence[ApproverRule],
    people: Mapping[str, Sequence[str]],
    services: ServiceCatalogue,
    requesters: Sequence[str] = (),
) -> Quorum:
    """The quorum of a plan: the strictest of the rules that hold; without one a single approver, not the requester.

    `people` maps a person's name to the actors that are that person.
    """
    tiers = [services.services[name].tier if name in services.services else 0 for name in _targets(plan)]
    risk = max((action.risk.rank for action in plan.actions), default=0)
    holding = [rule for rule in rules if risk >= rule.min_risk.rank and min(tiers, default=0) <= rule.max_tier]
    return Quorum(
        approvers=max((rule.approvers for rule in holding), default=1),
        separate=not holding or not all(rule.requester_may_approve for rule in holding),
        requesters=tuple(dict.fromkeys(requesters)),
        people={actor: person for person, actors in people.items() for actor in actors},
    )


def unmet(quorum: Quorum, request: ApprovalRequest, votes: Sequence[ApprovalDecision]) -> str:
    """Why the votes do not approve the request, or an empty string.

    Counts for itself, whatever status the request shows: votes of people who may, for its digest, before its expiry.
    """
    if any(vote.choice is Choice.REJECT for vote in votes):
        return f"{request.id} was rejected"
    valid = [vote for vote in votes if vote.digest == request.digest and vote.decided_at < request.expires_at]
    approved = quorum.approved_by(valid)
    if len(approved) >= quorum.approvers:
        return ""
    names = ", ".join(approved) or "nobody"
    return f"{request.id} needs {quorum.approvers} people who may approve it, and it has {len(approved)}: {names}"


def _targets(plan: Plan) -> list[str]:
    return [action.target.serves for action in plan.actions]
