"""`/api/v1/kill-switch`: stop every action at once, and let them run again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from api.parts import Decider, State, Viewer
from sentinel.safety import KillSwitch

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
