"""The question to people and their answers: bound to one digest, counted by person, with an expiry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from sentinel.plans import Plan, PolicyVerdict, Preview
from sentinel.step_facts import StepFacts


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
class Quorum:
    """How many different people must approve, and whose approval does not count.

    `requesters` are those who wanted exactly this plan (they edited it); with `separate` they cannot approve it, though
    they may reject. `people` maps actors that are the same person (`slack:U0ANN`) to that person's name; any other actor
    is a person of its own.
    """

    approvers: int = 1
    separate: bool = True
    requesters: tuple[str, ...] = ()
    people: dict[str, str] = field(default_factory=dict)

    def person(self, actor: str) -> str:
        """Who an actor is."""
        return self.people.get(actor, actor)

    def bars(self, actor: str) -> bool:
        """Whether the actor wanted this plan and may therefore not approve it."""
        return self.separate and self.person(actor) in {self.person(one) for one in self.requesters}

    def approved_by(self, votes: Iterable[ApprovalDecision]) -> tuple[str, ...]:
        """The different people whose approvals count, in the order of `votes`."""
        counted = (vote for vote in votes if vote.choice is Choice.APPROVE and vote.role.rank >= Role.APPROVER.rank)
        return tuple(dict.fromkeys(self.person(vote.actor) for vote in counted if not self.bars(vote.actor)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """One question. `digest` binds plan, live diff and policy version; times are wall seconds.

    `asked` counts how often this question was put (1 at first, more after an expiry). `replaces` is the id of the
    attempt's question before this one, empty for its first; `difference` says what is new since that one; `steps` are
    the facts of the plan's actions, in order. The worker writes requests; the API writes decisions.
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
    quorum: Quorum = field(default_factory=Quorum)
    replaces: str = ""
    difference: tuple[str, ...] = ()
    steps: tuple[StepFacts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecision:
    """A person's answer to one request, for exactly the digest that they saw. Written once.

    `closes` is True for the one answer that decided the request: a rejection, or the last approval that was missing.
    A rejection with a reason asks for another plan, unless it is `final`.
    """

    request_id: str
    digest: str
    choice: Choice
    actor: str
    role: Role
    reason: str
    decided_at: float
    closes: bool = True
    final: bool = False

    @property
    def objection(self) -> str:
        """Why another plan is wanted in place of the rejected one; empty when none is."""
        return self.reason.strip() if self.choice is Choice.REJECT and not self.final else ""
