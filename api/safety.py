"""`/api/v1/kill-switch` stops every action at once; `/api/v1/breakers` shows what may act by itself, and closes them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from api.parts import Decider, State, Viewer
from api.problems import ProblemError
from sentinel.api_types import BreakerView
from sentinel.errors import RefusedError
from sentinel.safety import KillSwitch, check_scope

router = APIRouter(prefix="/api/v1", tags=["safety"])

Reason = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*\S[^\x00]*$")]
"""Why; goes to the audit and to whoever looks."""


class KillSwitchBody(BaseModel):
    """How the switch is to stand."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    on: bool
    """True stops every action; false lets policy decide again."""
    reason: Reason
    """Why; goes to the audit, and every refused action names it."""


@router.get("/kill-switch", operation_id="get_kill_switch")
def get_kill_switch(state: State, _caller: Viewer) -> KillSwitch:
    """How the kill switch stands, who turned it, and why."""
    return state.parts.stores.kill_switch.read()


@router.post("/kill-switch", operation_id="turn_kill_switch")
def turn_kill_switch(http: Request, state: State, caller: Decider, body: KillSwitchBody) -> KillSwitch:
    """Turn it; approvers may, both ways: off again allows nothing that policy and approvals did not allow before.

    The answer is how it stands then: the file of the configuration, while it exists, keeps it on.
    """
    return state.parts.stores.kill_switch.turn(
        on=body.on,
        actor=caller.name,
        reason=body.reason,
        now=state.parts.now(),
        details={"role": caller.role.value, "request_id": http.state.request_id},
        trace_id=http.state.trace_id,
    )


class CloseBody(BaseModel):
    """Which breaker a person closes, and why."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    scope: Annotated[str, Field(min_length=1, max_length=512)]
    """`global`, `type:NAME` or `target:BACKEND/NAMESPACE/KIND/NAME`, as policy's reasons name it."""
    reason: Reason
    """Why actions of this scope may run by themselves, or again; goes to the audit."""


@router.get("/breakers", operation_id="list_breakers")
def list_breakers(state: State, _caller: Viewer) -> list[BreakerView]:
    """Every breaker that was ever moved, and the global one; any other is open: nothing passes by itself."""
    now = state.parts.now()
    return [BreakerView(state=one.state(now), breaker=one) for one in state.parts.stores.breakers.find()]


@router.post("/breakers/close", operation_id="close_breaker")
def close_breaker(http: Request, state: State, caller: Decider, body: CloseBody) -> BreakerView:
    """Close one; approvers may. 422 when no breaker can have the scope."""
    try:
        scope = check_scope(body.scope)
    except RefusedError as error:
        raise ProblemError(422, error.reason, rule=error.rule) from error
    now = state.parts.now()
    closed = state.parts.stores.breakers.close(
        scope,
        actor=caller.name,
        reason=body.reason,
        now=now,
        details={"role": caller.role.value, "request_id": http.state.request_id},
        trace_id=http.state.trace_id,
    )
    return BreakerView(state=closed.state(now), breaker=closed)
