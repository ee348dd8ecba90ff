"""The one way in which a person's answer is taken, whether it came through the API or through Slack."""

from __future__ import annotations

from dataclasses import dataclass

from api.parts import ApiParts
from sentinel import metrics
from sentinel.approvals import ApprovalDecision
from sentinel.edits import ApprovalEdit
from sentinel.errors import RefusedError
from sentinel.stores.sql.approvals import Answer
from sentinel.stores.sql.edits import Wish


@dataclass(frozen=True, slots=True)
class Exchange:
    """The ids of the HTTP request that brought the answer, for the audit."""

    request_id: str
    trace_id: str


def take_answer(parts: ApiParts, answer: Answer, exchange: Exchange) -> ApprovalDecision:
    """Write the decision with its audit record, in one transaction, and mark the incident's cards as behind.

    The same answer with the same idempotency key again returns the first decision. Raises `RefusedError` (see
    `ApprovalStore.decide`), which is in the audit then.
    """
    try:
        decision, fresh = _decide(parts, answer, exchange)
    except RefusedError as error:
        refuse(parts, answer, error, exchange)
        raise
    metrics.APPROVAL_DECISIONS.labels(answer.choice.value if fresh else "repeated").inc()
    return decision


def _decide(parts: ApiParts, answer: Answer, exchange: Exchange) -> tuple[ApprovalDecision, bool]:
    with parts.stores.database.write():
        decision, fresh = parts.stores.approvals.decide(answer, now=parts.now())
        request = parts.stores.approvals.get(answer.request_id)
        if fresh and request is not None:
            parts.stores.cards.touch(request.incident_id)
            parts.stores.audit.append(
                actor=answer.actor,
                action=f"approval.{answer.choice.value}",
                target=request.id,
                reason=answer.reason,
                digest=answer.digest,
                at=decision.decided_at,
                trace_id=request.trace_id or exchange.trace_id,
                details={
                    "role": answer.role.value,
                    "closes": decision.closes,
                    "final": decision.final,
                    "incident_id": request.incident_id,
                    "run_id": request.run_id,
                    "request_id": exchange.request_id,
                },
            )
        return decision, fresh


def take_edit(parts: ApiParts, wish: Wish, exchange: Exchange) -> ApprovalEdit:
    """Write down that somebody wants another value, with its audit record, in one transaction.

    The same wish again is the same edit. Raises `RefusedError` (see `EditStore.ask`), which is in the audit then.
    """
    try:
        with parts.stores.database.write():
            edit, fresh = parts.stores.edits.ask(wish, now=parts.now())
            request = parts.stores.approvals.get(wish.request_id)
            if fresh and request is not None:
                parts.stores.cards.touch(request.incident_id)
                parts.stores.audit.append(
                    actor=wish.actor,
                    action="approval.edit",
                    target=request.id,
                    reason=wish.reason,
                    digest=wish.digest,
                    at=edit.asked_at,
                    trace_id=request.trace_id or exchange.trace_id,
                    details={
                        "edit_id": edit.id,
                        "step": edit.step,
                        "parameter": edit.parameter,
                        "value": edit.value,
                        "role": edit.role.value,
                        "incident_id": request.incident_id,
                        "run_id": request.run_id,
                        "request_id": exchange.request_id,
                    },
                )
    except RefusedError as error:
        refuse(parts, wish, error, exchange)
        raise
    metrics.APPROVAL_DECISIONS.labels("edit" if fresh else "repeated").inc()
    return edit


def refuse(parts: ApiParts, answer: Answer | Wish, error: RefusedError, exchange: Exchange) -> None:
    """Count an answer or an edit that a rule refused, and put it into the audit."""
    metrics.APPROVAL_DECISIONS.labels(error.rule).inc()
    parts.stores.audit.append(
        actor=answer.actor,
        action="approval.refused",
        target=answer.request_id,
        reason=str(error),
        digest=answer.digest,
        at=parts.now(),
        trace_id=exchange.trace_id,
        details={
            "rule": error.rule,
            "choice": answer.choice.value if isinstance(answer, Answer) else "edit",
            "role": answer.role.value,
            "request_id": exchange.request_id,
        },
    )
