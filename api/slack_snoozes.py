"""Snoozing a question: its card is quiet for a while. No expiry moves, and no answer is held up."""

from __future__ import annotations

from api.deciding import Exchange
from api.parts import ApiParts
from api.slack_clicks import Click
from api.slack_views import SNOOZES
from sentinel.approvals import ApprovalStatus, Role
from sentinel.errors import RefusedError
from sentinel.snoozes import Snooze


def take_snooze(parts: ApiParts, click: Click, seconds: float, role: Role, exchange: Exchange) -> Snooze:
    """Make the question's card quiet for `seconds`, but not longer than the question lives; with its audit record.

    Raises `RefusedError` (rule `unknown_request`, `snooze`, `wrong_digest`, or `closed` for a question that waits no more).
    """
    stores, now = parts.stores, parts.now()
    with stores.database.write():
        request = stores.approvals.get(click.request_id)
        if request is None:
            raise RefusedError("unknown_request", f"there is no approval request {click.request_id!r}")
        if seconds not in SNOOZES:
            raise RefusedError("snooze", f"{seconds:g} s is none of the times that a card can be quiet for")
        if click.digest != request.digest:
            raise RefusedError("wrong_digest", f"{request.id} is bound to another digest; look at the card again")
        if request.status is not ApprovalStatus.PENDING or now >= request.expires_at:
            raise RefusedError("closed", f"{request.id} waits for no answer any more")
        snooze = Snooze(
            request_id=request.id,
            incident_id=request.incident_id,
            actor=f"slack:{click.user}",
            at=now,
            until=min(now + seconds, request.expires_at),
        )
        stores.snoozes.add(snooze)
        stores.audit.append(
            actor=snooze.actor,
            action="approval.snoozed",
            target=request.id,
            reason=f"quiet for {snooze.until - now:.0f} s",
            digest=request.digest,
            at=now,
            trace_id=request.trace_id or exchange.trace_id,
            details={
                "role": role.value,
                "incident_id": request.incident_id,
                "until": snooze.until,
                "request_id": exchange.request_id,
            },
        )
    return snooze
