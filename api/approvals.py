"""`/api/v1/approvals`: the questions that wait for a person, and the one way to answer them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

from api.deciding import Exchange, take_answer, take_edit
from api.parts import ApiParts, Cursor, Decider, IdempotencyKey, Limit, ObjectId, State, Viewer, Word
from api.problems import ProblemError, problem_of
from sentinel.api_types import ApprovalView
from sentinel.approvals import ApprovalDecision, ApprovalRequest, ApprovalStatus, Choice
from sentinel.edits import ApprovalEdit
from sentinel.errors import RefusedError
from sentinel.paging import Page
from sentinel.stores.sql.approvals import Answer
from sentinel.stores.sql.edits import Wish

router = APIRouter(prefix="/api/v1/approvals", tags=["approvals"])


class DecisionBody(BaseModel):
    """A person's answer."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    choice: Choice
    """`approve` or `reject`."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The digest of the request as it was read: the answer is for exactly that plan and diff."""
    reason: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] = ""
    """Why; goes to the audit and, for a rejection, to the planner, which may propose something else."""
    final: bool = False
    """Whether a rejection ends the run. One without a reason always does."""


class EditBody(BaseModel):
    """Another value for one parameter of a plan that waits."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The digest of the request as it was read."""
    step: Annotated[int, Field(ge=1, le=100)]
    """Number of the step in the plan, from 1."""
    parameter: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]*$")]
    """Name of the parameter."""
    value: StrictBool | StrictInt | StrictFloat | Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
    """What it should be; the worker knows the bounds."""
    reason: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] = ""
    """Why; goes to the audit and into the new question's record."""


@router.get("", operation_id="list_approvals")
def list_approvals(
    state: State,
    _caller: Viewer,
    *,
    status: ApprovalStatus | None = None,
    incident_id: Word = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[ApprovalRequest]:
    """Approval requests, newest first. One that has passed its expiry shows as `expired` even before it is marked."""
    page = state.parts.stores.approvals.find(status=status, incident_id=incident_id, cursor=cursor, limit=limit)
    return replace(page, items=tuple(_as_of(state.parts, request) for request in page.items))


@router.get("/{request_id}", operation_id="get_approval")
def get_approval(state: State, _caller: Viewer, request_id: ObjectId) -> ApprovalView:
    """One request with its plan, live diff, policy verdict, and its decision when there is one."""
    request = state.parts.stores.approvals.get(request_id)
    if request is None:
        raise ProblemError(404, f"there is no approval request {request_id!r}", rule="unknown_request")
    return view_of(state.parts, request)


@router.post("/{request_id}/decision", operation_id="decide_approval")
def decide_approval(
    http: Request,
    state: State,
    caller: Decider,
    request_id: ObjectId,
    body: DecisionBody,
    idempotency_key: IdempotencyKey = "",
) -> ApprovalDecision:
    """Approve or reject, once for each person. The answer that `closes` the request decides it.

    403: the requester approves; 409: wrong digest, already decided or already voted; 410: expired or superseded.
    """
    answer = Answer(
        request_id=request_id,
        digest=body.digest,
        choice=body.choice,
        actor=caller.name,
        role=caller.role,
        reason=body.reason,
        idempotency_key=idempotency_key,
        final=body.final,
    )
    try:
        return take_answer(state.parts, answer, Exchange(http.state.request_id, http.state.trace_id))
    except RefusedError as error:
        raise problem_of(error) from error


@router.post("/{request_id}/edit", operation_id="edit_approval", status_code=202)
def edit_approval(http: Request, state: State, caller: Decider, request_id: ObjectId, body: EditBody) -> ApprovalEdit:
    """Ask for another value of one parameter. The worker checks it and asks anew, or writes why not into the edit.

    404, 409 and 410 as for a decision; 422: the plan has no such step or parameter.
    """
    wish = Wish(
        request_id=request_id,
        digest=body.digest,
        step=body.step,
        parameter=body.parameter,
        value=body.value,
        actor=caller.name,
        role=caller.role,
        reason=body.reason,
    )
    try:
        return take_edit(state.parts, wish, Exchange(http.state.request_id, http.state.trace_id))
    except RefusedError as error:
        raise problem_of(error) from error


def view_of(parts: ApiParts, request: ApprovalRequest) -> ApprovalView:
    """A request as of now, with the votes on it."""
    votes = parts.stores.approvals.votes(request.id)
    decision = next((vote for vote in votes if vote.closes), None)
    return ApprovalView(
        request=_as_of(parts, request), decision=decision, votes=votes, edits=parts.stores.edits.of(request.id)
    )


def _as_of(parts: ApiParts, request: ApprovalRequest) -> ApprovalRequest:
    due = request.status is ApprovalStatus.PENDING and parts.now() >= request.expires_at
    return replace(request, status=ApprovalStatus.EXPIRED) if due else request
