"""The state of one run as its checkpoints hold it: plain data only, so that any later release can read it."""

from __future__ import annotations

from typing import Any, TypedDict, TypeVar

import msgspec

from remediation.journal import About
from remediation.orders import Order
from remediation.watching import Watched
from remediation.worsening import Baseline
from sentinel.outcomes import Result
from sentinel.plans import Plan, PolicyVerdict, Preview

T = TypeVar("T")

STATE_VERSION = 1
"""Written into every new run's state; grows when the meaning of a field changes."""


class RunState(TypedDict, total=False):
    """What the nodes hand on. `go` names the next node. Objects are in their plain form (`sentinel.canonical.plain`).

    `question` counts all questions of the run (it makes request ids), `asked` those about the present plan, and `drifts` how often its target changed.
    `effective_at` is event time; `watch_since` is the wall time at which watching began. `failed` holds the attempts
    that did not help, `objection` why a person rejected the present plan (another one is wanted), `requesters` who
    edited the present plan, `baseline` how the incident stood when it was decided to act. `result`, `reason` and `again` are what `record` writes and decides by.
    """

    v: int
    run_id: str
    incident_id: str
    trace_id: str
    attempt: int
    go: str
    service: str
    analysis: dict[str, Any]
    plan: dict[str, Any] | None
    previews: list[dict[str, Any]]
    verdict: dict[str, Any]
    digest: str
    question: int
    asked: int
    request_id: str
    drifts: int
    keys: list[str]
    effective_at: float
    watch_since: float
    result: str
    reason: str
    again: bool
    undone: bool
    undo_lines: list[str]
    failed: list[dict[str, Any]]
    objection: str
    requesters: list[str]
    baseline: dict[str, Any] | None


def new_state(run_id: str, incident_id: str, trace_id: str) -> RunState:
    """The state in which a run begins."""
    return {
        **new_attempt(),
        "v": STATE_VERSION,
        "run_id": run_id,
        "incident_id": incident_id,
        "trace_id": trace_id,
        "attempt": 1,
        "question": 0,
        "failed": [],
    }


def new_attempt() -> RunState:
    """Fresh values of the fields that belong to one attempt."""
    return {
        "plan": None,
        "previews": [],
        "digest": "",
        "asked": 0,
        "request_id": "",
        "drifts": 0,
        "keys": [],
        "effective_at": 0.0,
        "again": False,
        "undone": False,
        "undo_lines": [],
        "objection": "",
        "requesters": [],
        "baseline": None,
    }


def not_executed(reason: str, *, again: bool = False) -> RunState:
    """The way to `record` when nothing ran; `again` where another plan may fare better."""
    return {"go": "record", "result": Result.NOT_EXECUTED.value, "reason": reason, "again": again}


def read(value: Any, as_type: type[T]) -> T:
    """An object from its plain form."""
    return msgspec.convert(value, as_type)


def about(state: RunState) -> About:
    """What the journal's rows are about."""
    return About(
        run_id=state["run_id"],
        incident_id=state["incident_id"],
        attempt=state["attempt"],
        trace_id=state["trace_id"],
        service=state.get("service", ""),
    )


def plan_of(state: RunState) -> Plan:
    """The present plan; there must be one."""
    return read(state["plan"], Plan)


def order_of(state: RunState, epoch: int) -> Order:
    """What `execute` is to do."""
    return Order(
        about=about(state),
        plan=plan_of(state),
        previews=previews_of(state),
        digest=state["digest"],
        request_id=state["request_id"],
        suspect=state["service"],
        epoch=epoch,
        baseline=baseline_in(state),
    )


def previews_of(state: RunState) -> tuple[Preview, ...]:
    """The previews of the present plan, in the order of its actions."""
    return read(state["previews"], tuple[Preview, ...])


def verdict_of(state: RunState) -> PolicyVerdict:
    """Policy's verdict on the present plan."""
    return read(state["verdict"], PolicyVerdict)


def baseline_in(state: RunState) -> Baseline | None:
    """How the incident stood when it was decided to act; None in a run that an older release began."""
    kept = state.get("baseline")
    return read(kept, Baseline) if kept else None


def watched(state: RunState) -> Watched:
    """What `verify` watches."""
    return Watched(
        incident_id=state["incident_id"],
        targets=tuple(action.target.serves for action in plan_of(state).actions),
        effective_at=state["effective_at"],
        since=state["watch_since"],
        baseline=baseline_in(state),
    )
