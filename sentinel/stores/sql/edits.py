"""Edits that people want of plans that wait: written by the API, answered by the worker."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa

from sentinel.approvals import ApprovalRequest, ApprovalStatus, Role
from sentinel.canonical import short_id
from sentinel.edits import ApprovalEdit, EditOutcome
from sentinel.errors import RefusedError
from sentinel.plans import Scalar
from sentinel.stores.sql import tables
from sentinel.stores.sql.approvals import ApprovalStore, refuse_closed
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document

_EDITS = tables.approval_edits


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who wants which parameter to be what; `digest` is that of the request as they saw it, `step` counts from 1."""

    request_id: str
    digest: str
    step: int
    parameter: str
    value: Scalar
    actor: str
    role: Role
    reason: str = ""


class EditStore:
    """Edits by request. `now` is wall time in seconds."""

    def __init__(self, database: Database, approvals: ApprovalStore) -> None:
        self._database = database
        self._approvals = approvals

    def ask(self, wish: Wish, *, now: float) -> tuple[ApprovalEdit, bool]:
        """Write an edit down; returns (edit, whether this call wrote it): the same wish again is the same edit.

        Raises `RefusedError` whose `rule` is `unknown_request`, `role`, `already_decided`, `superseded`,
        `wrong_digest`, `expired` or `unknown_parameter`. Whether the value is within its bounds is the worker's to say.
        """
        with self._database.write() as connection:
            self._database.lock(f"approval:{wish.request_id}")
            request = self._approvals.get(wish.request_id)
            if request is None:
                raise RefusedError("unknown_request", f"there is no approval request {wish.request_id!r}")
            edit = _edit_of(wish, now)
            known = self._get(edit.id)
            if known is not None:
                return known, False
            if wish.role.rank < Role.APPROVER.rank:
                raise RefusedError("role", f"the role {wish.role.value!r} may not edit; approver or admin may")
            refuse_closed(request, wish.digest, now)
            _refuse_unknown(request, wish)
            connection.execute(
                sa.insert(_EDITS).values(
                    id=edit.id,
                    request_id=edit.request_id,
                    asked_at=now,
                    outcome=edit.outcome.value,
                    document=to_document(edit),
                )
            )
        return edit, True

    def of(self, request_id: str) -> tuple[ApprovalEdit, ...]:
        """Every edit of a request, oldest first."""
        query = sa.select(_EDITS.c.document).where(_EDITS.c.request_id == request_id)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(_EDITS.c.asked_at, _EDITS.c.id)).scalars().all()
        return tuple(from_document(text, ApprovalEdit) for text in found)

    def due(self, request: ApprovalRequest) -> ApprovalEdit | None:
        """The edit that the worker should see to: the oldest one that waits, or the one that closed the request."""
        wanted = {
            ApprovalStatus.PENDING: EditOutcome.WAITING,
            ApprovalStatus.SUPERSEDED: EditOutcome.APPLIED,
        }.get(request.status)
        return next((edit for edit in self.of(request.id) if edit.outcome is wanted), None)

    def answer(self, edit: ApprovalEdit, outcome: EditOutcome, text: str, *, now: float) -> ApprovalEdit:
        """Write what came of an edit."""
        done = replace(edit, outcome=outcome, answer=text, answered_at=now)
        with self._database.write() as connection:
            statement = sa.update(_EDITS).where(_EDITS.c.id == edit.id)
            connection.execute(statement.values(outcome=outcome.value, document=to_document(done)))
        return done

    def _get(self, edit_id: str) -> ApprovalEdit | None:
        with self._database.read() as connection:
            text = connection.execute(sa.select(_EDITS.c.document).where(_EDITS.c.id == edit_id)).scalar()
        return None if text is None else from_document(text, ApprovalEdit)


def _edit_of(wish: Wish, now: float) -> ApprovalEdit:
    edit_id = short_id("edt", wish.request_id, wish.digest, wish.step, wish.parameter, repr(wish.value), wish.actor)
    return ApprovalEdit(
        id=edit_id,
        request_id=wish.request_id,
        digest=wish.digest,
        step=wish.step,
        parameter=wish.parameter,
        value=wish.value,
        actor=wish.actor,
        role=wish.role,
        reason=wish.reason,
        asked_at=now,
    )


def _refuse_unknown(request: ApprovalRequest, wish: Wish) -> None:
    actions = request.plan.actions
    if not 1 <= wish.step <= len(actions):
        raise RefusedError("unknown_parameter", f"the plan has {len(actions)} steps, and no step {wish.step}")
    known = sorted(actions[wish.step - 1].params)
    if wish.parameter not in known:
        there = ", ".join(known) or "none"
        raise RefusedError("unknown_parameter", f"step {wish.step} has no parameter {wish.parameter!r}; it has {there}")
