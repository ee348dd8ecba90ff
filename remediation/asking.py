"""The request that a run puts to people, with what is new in it since the one before."""

from __future__ import annotations

from remediation.parts import Parts
from remediation.quorums import quorum_of
from remediation.state import RunState, plan_of, previews_of, verdict_of
from remediation.step_facts import step_facts
from sentinel.approvals import ApprovalRequest
from sentinel.canonical import short_id
from sentinel.errors import PermanentError
from sentinel.incidents import Incident
from sentinel.plan_differences import differences


def make_request(parts: Parts, state: RunState, incident: Incident, question: int, asked: int) -> ApprovalRequest:
    """The request for the present plan; question `question` of a run always has the same id."""
    now, plan, policy = parts.now(), plan_of(state), parts.settings.policy
    previews, verdict, requesters = previews_of(state), verdict_of(state), state.get("requesters", [])
    before = parts.stores.approvals.get(request_id(state["run_id"], question - 1))
    if before is not None and before.attempt != state["attempt"]:
        before = None
    return ApprovalRequest(
        id=request_id(state["run_id"], question),
        incident_id=state["incident_id"],
        run_id=state["run_id"],
        attempt=state["attempt"],
        asked=asked,
        digest=state["digest"],
        plan=plan,
        previews=previews,
        verdict=verdict,
        requested_by=requesters[-1] if requesters else f"worker:{plan.planner}",
        requested_at=now,
        expires_at=now + parts.settings.approvals.expires_after,
        trace_id=state["trace_id"],
        quorum=quorum_of(plan, policy.approvers, policy.people, parts.services, requesters),
        replaces=before.id if before else "",
        difference=differences(before, plan, previews, verdict) if before else (),
        steps=step_facts(parts, incident, plan, previews),
    )


def request_id(run_id: str, question: int) -> str:
    """The id of a run's question number `question` (from 1)."""
    return short_id("apr", run_id, question)


def stored_request(parts: Parts, request_id: str) -> ApprovalRequest:
    """The request with its present status; raises `PermanentError` when the database has lost it."""
    request = parts.stores.approvals.get(request_id)
    if request is None:
        raise PermanentError(f"there is no approval request {request_id!r}")
    return request
