"""A person's wish to change one parameter of a plan that waits for approval. Only a request: the worker decides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.approvals import Role
from sentinel.plans import Scalar


class EditOutcome(StrEnum):
    """What came of an edit. One that still waits when its request is closed in another way is void."""

    WAITING = "waiting"
    APPLIED = "applied"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalEdit:
    """`parameter` of the plan's step number `step` (from 1) should be `value`; bound to the digest that the person saw.

    The API writes it; the worker checks it, rehearses the new plan and writes `outcome` and `answer` (why it refused).
    An applied edit has closed its request as superseded; a newer one asks for the edited plan. Times are wall seconds.
    """

    id: str
    request_id: str
    digest: str
    step: int
    parameter: str
    value: Scalar
    actor: str
    role: Role
    reason: str
    asked_at: float
    outcome: EditOutcome = EditOutcome.WAITING
    answer: str = ""
    answered_at: float | None = None
