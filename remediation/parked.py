"""Runs that wait, and when it is worth driving them on. Reads the stores, changes nothing.

A worker looks many times a second, so a look costs by what is new and due, not by what is parked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice
from math import inf

from remediation.graph import Position
from remediation.nodes import TARGET, WINDOWS
from remediation.orders import targets_of
from remediation.parts import Parts
from remediation.state import RunState, plan_of, watched
from remediation.waiting import Answered, look
from remediation.watching import Watched, escalation, guarded, judge_now

ASKED_AT_ONCE = 1_000
"""Requests whose answer is looked for in one look; with more than that waiting, each look asks about the next ones."""

LATER = 1.0
"""Wall seconds until the next look at a run whose time had come and that was not ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A run that waits: for a decision (`request_id`), for windows (`watched`), or for `targets` to be free.

    `wakes_on`: ids and services whose news is worth a look. `wakes_at`: wall time of expiry or time-out.
    """

    run_id: str
    incident_id: str
    suspect: str
    request_id: str
    watched: Watched | None
    wakes_on: frozenset[str]
    wakes_at: float
    targets: frozenset[str] = frozenset()


def park(parts: Parts, run_id: str, position: Position) -> Parked:
    """What a run waits for, from its last checkpoint."""
    state = position.state
    if position.waiting_for == WINDOWS:
        return _watching(parts, run_id, state)
    targets = targets_of(plan_of(state)) if position.waiting_for == TARGET else frozenset()
    request = parts.stores.approvals.get(state["request_id"]) if state["request_id"] else None
    return Parked(
        run_id=run_id,
        incident_id=state["incident_id"],
        suspect=state["service"],
        request_id="" if targets else state["request_id"],
        watched=None,
        wakes_on=frozenset({state["incident_id"]}),
        wakes_at=request.expires_at if request else inf if targets else 0.0,
        targets=targets,
    )


def _watching(parts: Parts, run_id: str, state: RunState) -> Parked:
    incident_id, watch = state["incident_id"], watched(state)
    incident = parts.stores.incidents.get(incident_id)
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
        return judge_now(parts, parked.watched).result is not None or bool(escalation(parts, parked.watched))
    if parked.targets:
        return True
    request = parts.stores.approvals.get(parked.request_id)
    incident = parts.stores.incidents.get(parked.incident_id)
    if request is None or incident is None:
        return True
    edit = parts.stores.edits.due(request) is not None
    return look(request, incident, parked.suspect, parts.now(), edit=edit) is not Answered.NOT_YET


class Parking:
    """The parked runs of one worker, found by what they wait for. One thread uses it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._runs: dict[str, Parked] = {}
        self._on: defaultdict[str, set[str]] = defaultdict(set)
        self._times: list[tuple[float, str]] = []
        self._asked: dict[str, str] = {}
        self._wanting: dict[str, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    def add(self, parked: Parked) -> None:
        """Park a run, or park it anew."""
        self.remove(parked.run_id)
        self._runs[parked.run_id] = parked
        for name in parked.wakes_on:
            self._on[name].add(parked.run_id)
        if parked.wakes_at < inf:
            heappush(self._times, (parked.wakes_at, parked.run_id))
        if parked.request_id:
            self._asked[parked.request_id] = parked.run_id
        if parked.targets:
            self._wanting[parked.run_id] = parked.targets

    def remove(self, run_id: str) -> None:
        """The run does not wait any more, if it did."""
        parked = self._runs.pop(run_id, None)
        if parked is None:
            return
        for name in parked.wakes_on:
            self._on[name].discard(run_id)
            if not self._on[name]:
                del self._on[name]
        self._asked.pop(parked.request_id, None)
        self._wanting.pop(run_id, None)

    def ready(self, news: Collection[str]) -> list[str]:
        """The runs that have a reason to go on, oldest reason first; `news` are the ids and services that something is new about."""
        decided, due = self._decided(), list(self._due(self._parts.now()))
        told = [run_id for name in news for run_id in sorted(self._on.get(name, ()))]
        found = dict.fromkeys([*decided, *due, *self._freed(), *told])
        return [run_id for run_id in found if ready(self._parts, self._runs[run_id])]

    def _decided(self) -> list[str]:
        """Runs whose request has an answer."""
        asked = list(islice(self._asked, ASKED_AT_ONCE))
        if not asked:
            return []
        if len(self._asked) > len(asked):
            for request_id in asked:
                self._asked[request_id] = self._asked.pop(request_id)
        return [self._asked[one] for one in sorted(self._parts.stores.approvals.decided(asked))]

    def _due(self, now: float) -> Iterator[str]:
        """Runs whose time has come; they are looked at again after a while if they are still here then."""
        while self._times and self._times[0][0] <= now:
            at, run_id = heappop(self._times)
            parked = self._runs.get(run_id)
            if parked is not None and parked.wakes_at <= at:
                heappush(self._times, (now + LATER, run_id))
                yield run_id

    def _freed(self) -> list[str]:
        """Runs all of whose targets are free now."""
        if not self._wanting:
            return []
        holders = self._parts.stores.targets.holders(frozenset().union(*self._wanting.values()))
        return [run_id for run_id, targets in self._wanting.items() if targets.isdisjoint(holders)]
