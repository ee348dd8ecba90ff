"""Questions to people: the request that a run puts, and how it is taken back."""

from __future__ import annotations

from remediation.parts import Parts
from remediation.quorums import quorum_of
from remediation.state import RunState, plan_of, previews_of, verdict_of
from sentinel.approvals import ApprovalRequest
from sentinel.canonical import short_id
from sentinel.errors import PermanentError


def make_request(parts: Parts, state: RunState, question: int, asked: int) -> ApprovalRequest:
    """The request for the present plan; question `question` of a run always has the same id."""
    now, plan, policy = parts.now(), plan_of(state), parts.settings.policy
    return ApprovalRequest(
        id=short_id("apr", state["run_id"], question),
        incident_id=state["incident_id"],
        run_id=state["run_id"],
        attempt=state["attempt"],
        asked=asked,
        digest=state["digest"],
        plan=plan,
        previews=previews_of(state),
        verdict=verdict_of(state),
        requested_by=f"worker:{plan.planner}",
        requested_at=now,
        expires_at=now + parts.settings.approvals.expires_after,
        trace_id=state["trace_id"],
        quorum=quorum_of(plan, policy.approvers, policy.people, parts.services),
    )


def stored_request(parts: Parts, request_id: str) -> ApprovalRequest:
    """The request with its present status; raises `PermanentError` when the database has lost it."""
    request = parts.stores.approvals.get(request_id)
    if request is None:
        raise PermanentError(f"there is no approval request {request_id!r}")
    return request
