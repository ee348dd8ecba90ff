"""Approval requests and the votes on them. The worker writes requests, the API writes votes: two tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from sentinel.approvals import ApprovalDecision, ApprovalRequest, ApprovalStatus, Choice, Role
from sentinel.errors import RefusedError
from sentinel.paging import Page, make_cursor
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document
from sentinel.stores.sql.paging import newest_first

_REQUESTS = tables.approval_requests
_VOTES = tables.approval_votes
_EDITS = tables.approval_edits
_CLOSES = _VOTES.c.closes == 1
_SELECT = sa.select(
    _REQUESTS.c.document, _REQUESTS.c.closed_as, _REQUESTS.c.requested_at, _REQUESTS.c.id, _VOTES.c.choice
).select_from(_REQUESTS.outerjoin(_VOTES, sa.and_(_VOTES.c.request_id == _REQUESTS.c.id, _CLOSES)))
_STATUS_OF = {Choice.APPROVE.value: ApprovalStatus.APPROVED, Choice.REJECT.value: ApprovalStatus.REJECTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person answers to which request; `digest` is the one that they saw, `idempotency_key` may be empty.

    `final`: a rejection that wants no other plan.
    """

    request_id: str
    digest: str
    choice: Choice
    actor: str
    role: Role
    reason: str = ""
    idempotency_key: str = ""
    final: bool = False


class ApprovalStore:
    """Requests by id with the status that request and decision give together. `now` is wall time in seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, request: ApprovalRequest) -> ApprovalRequest:
        """Store a request, or return the stored one with the same id (a repeat after a crash)."""
        with self._database.write():
            self._database.insert_or_ignore(
                _REQUESTS,
                {
                    "id": request.id,
                    "incident_id": request.incident_id,
                    "run_id": request.run_id,
                    "digest": request.digest,
                    "requested_at": request.requested_at,
                    "expires_at": request.expires_at,
                    "document": to_document(replace(request, status=ApprovalStatus.PENDING)),
                },
            )
            stored = self.get(request.id)
        return request if stored is None else stored

    def get(self, request_id: str) -> ApprovalRequest | None:
        """The request with its present status, or None."""
        with self._database.read() as connection:
            row = connection.execute(_SELECT.where(_REQUESTS.c.id == request_id)).one_or_none()
        return None if row is None else _request(row)

    def decision(self, request_id: str) -> ApprovalDecision | None:
        """The vote that decided a request, or None while there is none."""
        return next((vote for vote in self.votes(request_id) if vote.closes), None)

    def votes(self, request_id: str) -> tuple[ApprovalDecision, ...]:
        """Every vote on a request, oldest first."""
        query = sa.select(_VOTES).where(_VOTES.c.request_id == request_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(_VOTES.c.decided_at, _VOTES.c.closes, _VOTES.c.person)).all()
        return tuple(_vote(row) for row in rows)

    def decided(self, request_ids: Collection[str]) -> set[str]:
        """Which of these requests have a decision, or an edit that waits: one query for all that the worker waits for."""
        ids = list(request_ids)
        votes = sa.select(_VOTES.c.request_id).where(_CLOSES, _VOTES.c.request_id.in_(ids))
        waiting = sa.select(_EDITS.c.request_id).where(_EDITS.c.outcome == "waiting", _EDITS.c.request_id.in_(ids))
        with self._database.read() as connection:
            return set(connection.execute(votes.union(waiting)).scalars())

    def rejected(self, run_id: str) -> bool:
        """Whether a person has rejected a plan of this run."""
        query = sa.select(_VOTES.c.request_id).join(_REQUESTS, _REQUESTS.c.id == _VOTES.c.request_id)
        query = query.where(_REQUESTS.c.run_id == run_id, _VOTES.c.choice == Choice.REJECT.value).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def find(
        self, *, status: ApprovalStatus | None = None, incident_id: str = "", cursor: str = "", limit: int = 50
    ) -> Page[ApprovalRequest]:
        """Requests, newest first. A pending one may have passed its expiry: `expire` marks it."""
        query: sa.Select[Any] = _SELECT
        if incident_id:
            query = query.where(_REQUESTS.c.incident_id == incident_id)
        if status is not None:
            query = query.where(*_has_status(status))
        with self._database.read() as connection:
            rows = connection.execute(
                newest_first(query, _REQUESTS.c.requested_at, _REQUESTS.c.id, cursor, limit)
            ).all()
        items = tuple(_request(row) for row in rows[:limit])
        return Page(items, make_cursor(items[-1].requested_at, items[-1].id) if len(rows) > limit else "")

    def decide(self, answer: Answer, *, now: float) -> tuple[ApprovalDecision, bool]:
        """Write a person's vote; the first rejection, or the approval that completes the quorum, closes the request.

        Of any number at once exactly one closes it, and none comes after that one. Raises `RefusedError` whose `rule`
        is `unknown_request`, `role`, `wrong_digest`, `already_decided`, `already_voted`, `requester`, `expired`,
        `superseded` or `idempotency_key`. Returns (vote, whether this call wrote it): the same answer with the same
        idempotency key again gets the first vote.
        """
        with self._database.write() as connection:
            self._database.lock(f"approval:{answer.request_id}")
            earlier = self._earlier(connection, answer)
            if earlier is not None:
                return earlier, False
            request = self.get(answer.request_id)
            if request is None:
                raise RefusedError("unknown_request", f"there is no approval request {answer.request_id!r}")
            votes = self.votes(request.id)
            _refuse(request, votes, answer, now)
            vote = _vote_of(request, votes, answer, now)
            connection.execute(
                sa.insert(_VOTES).values(
                    request_id=vote.request_id,
                    person=request.quorum.person(vote.actor),
                    choice=vote.choice.value,
                    closes=int(vote.closes),
                    digest=vote.digest,
                    actor=vote.actor,
                    role=vote.role.value,
                    reason=vote.reason,
                    decided_at=now,
                    idempotency_key=answer.idempotency_key or None,
                    final=int(vote.final),
                )
            )
        return vote, True

    def expire(self, now: float) -> list[ApprovalRequest]:
        """Mark every unanswered request whose time is up; returns those that this call marked."""
        due = sa.select(_REQUESTS.c.id).where(_REQUESTS.c.closed_as == "", _REQUESTS.c.expires_at <= now)
        due = due.where(~sa.exists().where(_VOTES.c.request_id == _REQUESTS.c.id, _CLOSES)).order_by(_REQUESTS.c.id)
        with self._database.read() as connection:
            ids = list(connection.execute(due).scalars())
        marked = [request_id for request_id in ids if self._close(request_id, ApprovalStatus.EXPIRED, now)]
        return [request for request_id in marked if (request := self.get(request_id)) is not None]

    def supersede(self, request_id: str, *, now: float) -> bool:
        """Close an unanswered request because what it asked about has drifted; False when it is final already."""
        return self._close(request_id, ApprovalStatus.SUPERSEDED, now)

    def _close(self, request_id: str, status: ApprovalStatus, now: float) -> bool:
        with self._database.write() as connection:
            # The lock first: a decision that is being written must be seen by the statement that follows.
            self._database.lock(f"approval:{request_id}")
            undecided = ~sa.exists().where(_VOTES.c.request_id == request_id, _CLOSES)
            statement = sa.update(_REQUESTS).where(_REQUESTS.c.id == request_id, _REQUESTS.c.closed_as == "", undecided)
            return bool(connection.execute(statement.values(closed_as=status.value, closed_at=now)).rowcount)

    def _earlier(self, connection: sa.Connection, answer: Answer) -> ApprovalDecision | None:
        if not answer.idempotency_key:
            return None
        mine = sa.select(_VOTES).where(
            _VOTES.c.actor == answer.actor, _VOTES.c.idempotency_key == answer.idempotency_key
        )
        row = connection.execute(mine).one_or_none()
        if row is None:
            return None
        same = (row.request_id, row.digest, row.choice) == (answer.request_id, answer.digest, answer.choice.value)
        if not same:
            raise RefusedError("idempotency_key", "this Idempotency-Key was used for another decision")
        return _vote(row)


def _refuse(request: ApprovalRequest, votes: Sequence[ApprovalDecision], answer: Answer, now: float) -> None:
    if answer.role.rank < Role.APPROVER.rank:
        raise RefusedError("role", f"the role {answer.role.value!r} may not decide; approver or admin may")
    refuse_closed(request, answer.digest, now)
    if answer.choice is Choice.REJECT:
        return
    quorum = request.quorum
    if quorum.bars(answer.actor):
        raise RefusedError("requester", f"{answer.actor} asked for this plan; somebody else must approve it")
    if quorum.person(answer.actor) in quorum.approved_by(votes):
        missing = quorum.approvers - len(quorum.approved_by(votes))
        raise RefusedError("already_voted", f"{answer.actor} has approved {request.id}; {missing} more must")


def refuse_closed(request: ApprovalRequest, digest: str, now: float) -> None:
    """Raise `RefusedError` unless the request waits for an answer and is the one with this digest."""
    if request.status in (ApprovalStatus.APPROVED, ApprovalStatus.REJECTED):
        raise RefusedError("already_decided", f"{request.id} is already {request.status.value}")
    if request.status is ApprovalStatus.SUPERSEDED:
        raise RefusedError("superseded", f"{request.id} was replaced by a newer request; read that one")
    if digest != request.digest:
        raise RefusedError("wrong_digest", f"{request.id} is bound to another digest; read the request again")
    if request.status is ApprovalStatus.EXPIRED or now >= request.expires_at:
        raise RefusedError("expired", f"{request.id} has expired; it will be asked again")


def _vote_of(
    request: ApprovalRequest, votes: Sequence[ApprovalDecision], answer: Answer, now: float
) -> ApprovalDecision:
    """The vote that the answer is, with what it decides beside the earlier ones."""
    vote = ApprovalDecision(
        request_id=answer.request_id,
        digest=answer.digest,
        choice=answer.choice,
        actor=answer.actor,
        role=answer.role,
        reason=answer.reason,
        decided_at=now,
        final=answer.final,
    )
    enough = len(request.quorum.approved_by((*votes, vote))) >= request.quorum.approvers
    return replace(vote, closes=vote.choice is Choice.REJECT or enough)


def _has_status(status: ApprovalStatus) -> tuple[sa.ColumnElement[bool], ...]:
    if status in (ApprovalStatus.EXPIRED, ApprovalStatus.SUPERSEDED):
        return (_REQUESTS.c.closed_as == status.value,)
    if status is ApprovalStatus.PENDING:
        return (_REQUESTS.c.closed_as == "", _VOTES.c.choice.is_(None))
    choice = next(choice for choice, final in _STATUS_OF.items() if final is status)
    return (_VOTES.c.choice == choice,)


def _request(row: sa.Row[*tuple[Any, ...]]) -> ApprovalRequest:
    request = from_document(row.document, ApprovalRequest)
    if row.choice is not None:
        return replace(request, status=_STATUS_OF[row.choice])
    return replace(request, status=ApprovalStatus(row.closed_as)) if row.closed_as else request


def _vote(row: sa.Row[Any]) -> ApprovalDecision:
    return ApprovalDecision(
        request_id=row.request_id,
        digest=row.digest,
        choice=Choice(row.choice),
        actor=row.actor,
        role=Role(row.role),
        reason=row.reason,
        decided_at=row.decided_at,
        closes=bool(row.closes),
        final=bool(row.final),
    )
