"""The question to a person and the answer: bound to one digest, once, with an expiry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.plans import Plan, PolicyVerdict, Preview


class ApprovalStatus(StrEnum):
    """`pending` waits for a person; every other state is final."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class Choice(StrEnum):
    """What a person can answer."""

    APPROVE = "approve"
    REJECT = "reject"


class Role(StrEnum):
    """What a caller of the API may do: each role may do all that the ones before it may."""

    VIEWER = "viewer"
    APPROVER = "approver"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """0 for `viewer` to 2 for `admin`."""
        return list(Role).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """One question. `digest` binds plan, live diff and policy version; times are wall seconds.

    `asked` counts how often this question was put (1 at first, more after an expiry). The worker writes requests; the
    API writes decisions.
    """

    id: str
    incident_id: str
    run_id: str
    attempt: int
    asked: int
    digest: str
    plan: Plan
    previews: tuple[Preview, ...]
    verdict: PolicyVerdict
    requested_by: str
    requested_at: float
    expires_at: float
    status: ApprovalStatus = ApprovalStatus.PENDING
    trace_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecision:
    """A person's answer to one request, for exactly the digest that they saw. Written once."""

    request_id: str
    digest: str
    choice: Choice
    actor: str
    role: Role
    reason: str
    decided_at: float
