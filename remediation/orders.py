"""What is to be executed, and whether it may: asked right before, of the stores and never of the one who orders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from remediation.evidence import first_suspect
from remediation.journal import About
from remediation.live import read_conditions
from remediation.parts import Parts
from remediation.policy import decide_plan
from remediation.quorums import quorum_of, unmet
from remediation.worsening import Baseline
from sentinel.approvals import ApprovalStatus
from sentinel.incidents import IncidentStatus
from sentinel.plans import Plan, PolicyAnswer, Preview, approval_digest


class Stop(StrEnum):
    """Why an execution did not run to its end."""

    DRIFT = "drift"
    """The target is not what was previewed: preview and ask again."""
    EXPIRED = "expired"
    """The approval ran out before the action began: ask again."""
    DENIED = "denied"
    """A rule forbids it now."""
    RECOVERED = "recovered"
    """The incident is over, or blames another service."""
    FAILED = "failed"
    """The executor refused for good."""
    UNCONFIRMED = "unconfirmed"
    """The executor acted, and the target does not show it."""
    DRY_RUN = "dry_run"
    """The executor only wrote it down."""
    WORSENED = "worsened"
    """The incident got worse between two actions: the rest does not happen, what was done is undone."""
    BUSY = "busy"
    """Another run acts on a target (rule `target_busy`): wait until it is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be executed. `request_id` is empty when policy allowed it without a person.

    `suspect` is the service that the plan was made for; `epoch` is that of the run's lease;
    `baseline` is how the incident stood when it was decided to act.
    """

    about: About
    plan: Plan
    previews: tuple[Preview, ...]
    digest: str
    request_id: str
    suspect: str
    epoch: int = 0
    baseline: Baseline | None = None


def targets_of(plan: Plan) -> frozenset[str]:
    """Keys of the targets that the plan acts on: what a run must hold before it begins."""
    return frozenset(action.target.key for action in plan.actions)


def refusal(parts: Parts, order: Order) -> tuple[Stop, str] | None:
    """Why the order must not run now, or None: incident, policy with its allow-list, digest, approval, expiry."""
    incident = parts.stores.incidents.get(order.about.incident_id)
    if incident is None or incident.status is IncidentStatus.RESOLVED:
        return Stop.RECOVERED, "the incident is over"
    if first_suspect(incident) != order.suspect:
        return Stop.RECOVERED, f"the incident blames {first_suspect(incident)} now, not {order.suspect}"
    conditions = read_conditions(parts, order.about, order.plan)
    verdict = decide_plan(order.plan, parts.settings.policy, parts.services, conditions, order.previews)
    if verdict.answer is PolicyAnswer.DENY:
        return Stop.DENIED, "; ".join(verdict.reasons)
    if approval_digest(order.plan, order.previews, verdict.policy_version) != order.digest:
        return Stop.DRIFT, "plan, preview or policy are not the ones of the digest"
    if order.request_id:
        return _approval_problem(parts, order)
    if verdict.answer is PolicyAnswer.ASK:
        return Stop.EXPIRED, f"policy asks now: {'; '.join(verdict.reasons)}"
    return None


def _approval_problem(parts: Parts, order: Order) -> tuple[Stop, str] | None:
    request = parts.stores.approvals.get(order.request_id)
    if request is None or request.status is not ApprovalStatus.APPROVED:
        return Stop.DENIED, f"{order.request_id} is not approved"
    if request.run_id != order.about.run_id or request.attempt != order.about.attempt:
        return Stop.DENIED, f"{order.request_id} belongs to another run or attempt"
    if request.digest != order.digest:
        return Stop.DENIED, f"{order.request_id} was approved for another digest"
    if parts.now() >= request.expires_at:
        return Stop.EXPIRED, f"{order.request_id} has expired"
    policy = parts.settings.policy
    quorum = quorum_of(order.plan, policy.approvers, policy.people, parts.services, request.quorum.requesters)
    if problem := unmet(quorum, request, parts.stores.approvals.votes(request.id)):
        return Stop.DENIED, problem
    return None
