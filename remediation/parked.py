"""Runs that wait, and when it is worth driving them on. Reads the stores, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from remediation.graph import Position
from remediation.nodes import DECISION
from remediation.parts import Parts
from remediation.state import watched
from remediation.waiting import Answered, look
from remediation.watching import Watched, guarded, judge_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A run that waits: for a decision (`request_id`) or for windows (`watched`).

    `wakes_on`: ids and services whose news is worth a look. `wakes_at`: wall time of expiry or time-out.
    """

    run_id: str
    incident_id: str
    suspect: str
    request_id: str
    watched: Watched | None
    wakes_on: frozenset[str]
    wakes_at: float


def park(parts: Parts, run_id: str, position: Position) -> Parked:
    """What a run waits for, from its last checkpoint."""
    state = position.state
    incident_id = state["incident_id"]
    if position.waiting_for == DECISION:
        request = parts.stores.approvals.get(state["request_id"])
        return Parked(
            run_id=run_id,
            incident_id=incident_id,
            suspect=state["service"],
            request_id=state["request_id"],
            watched=None,
            wakes_on=frozenset({incident_id}),
            wakes_at=request.expires_at if request else 0.0,
        )
    watch, incident = watched(state), parts.stores.incidents.get(incident_id)
    services = guarded(parts, incident, watch.targets) if incident else frozenset()
    return Parked(
        run_id=run_id,
        incident_id=incident_id,
        suspect=state["service"],
        request_id="",
        watched=watch,
        wakes_on=services | {incident_id},
        wakes_at=watch.since + parts.settings.verification.timeout,
    )


def ready(parts: Parts, parked: Parked) -> bool:
    """Whether driving the run on would get anywhere; the node looks again for itself."""
    if parked.watched:
        return judge_now(parts, parked.watched).result is not None
    request = parts.stores.approvals.get(parked.request_id)
    incident = parts.stores.incidents.get(parked.incident_id)
    if request is None or incident is None:
        return True
    return look(request, incident, parked.suspect, parts.now()) is not Answered.NOT_YET
