"""What must be true at the end of a story, whatever was killed on the way: nothing lost, nothing twice, all of it on record."""

from __future__ import annotations

import time
from dataclasses import replace

from sentinel.alerts import AlertMessage
from sentinel.api_types import IncidentView
from sentinel.approvals import ApprovalStatus
from sentinel.incidents import IncidentStatus
from sentinel.kafka import Record
from sentinel.outcomes import Result
from sentinel.runs import LedgerStatus, RunStatus
from tests.e2e.topics import Points, Tap, detected, points, telemetry
from tests.e2e.world import SERVICE, World


def end_of_story(world: World, tap: Tap) -> IncidentView:
    """Wait for the verified end of the one incident, let event time stand still, and judge everything."""
    incident_id = world.until("an incident", world.incidents)[0].id
    world.until("the outcome on its topic", lambda: tap.read().outcomes)
    world.until("the incident to resolve", lambda: _resolved(world, incident_id))
    assert_nothing_lost(world, tap)
    view = world.api.incident(incident_id)
    assert_once(world, tap, view)
    assert world.audit_verified()["ok"]
    return view


def assert_nothing_lost(world: World, tap: Tap) -> None:
    """Every event is in the history exactly once, and detection said exactly what the same events say without a crash."""
    world.fleet.set_clock(paused=True)
    records = world.until("all that the fleet produced", lambda: _everything(world))
    wanted = points(records)
    assert world.until("all telemetry in the history", lambda: _complete(world, wanted)) == wanted
    expected = detected(records, world.settings)
    assert expected, "the story has no alert"
    said: dict[str, AlertMessage] = {}
    for message in world.until("detection to catch up", lambda: _caught_up(tap, len(expected))):
        before = said.setdefault(message.message_id, timeless(message))
        assert before == timeless(message), "repeated with another content"
    assert said == {message_id: timeless(message) for message_id, message in expected.items()}


def assert_once(world: World, tap: Tap, view: IncidentView) -> None:
    """One incident, one run, one approved question, one action, one verified outcome."""
    assert {incident.id for incident in tap.read(0.5).incidents} == {view.incident.id}
    assert [incident.id for incident in world.incidents()] == [view.incident.id]
    assert view.incident.suspects[0].service == SERVICE
    assert world.done() == [("rollback", SERVICE)], "the fleet's own log"
    assert [(entry.action.type, entry.status) for entry in view.actions] == [("rollback", LedgerStatus.APPLIED)]
    assert [run.status for run in view.runs] == [RunStatus.FINISHED]
    statuses = [one.request.status for one in view.approvals]
    assert statuses.count(ApprovalStatus.APPROVED) == 1, statuses
    assert set(statuses) <= {ApprovalStatus.APPROVED, ApprovalStatus.SUPERSEDED}, statuses
    assert [outcome.result for outcome in view.outcomes] == [Result.VERIFIED], view.outcomes
    assert {outcome.outcome_id for outcome in tap.outcomes} == {view.outcomes[0].outcome_id}
    told = [row.kind for row in view.timeline]
    for kind in ("approved", "executing", "executed", "verified", "recorded"):
        assert told.count(kind) == 1, told
    assert told.count("asked") == len(statuses), told
    recorded = [record.action for record in world.api.audit(limit=200).items]
    for action in ("approval.approve", "approved", "executed", "verified"):
        assert recorded.count(action) == 1, recorded


def archived(world: World) -> Points:
    """Every point that the history answers with, over the API."""
    found = {}
    for one in world.api.series():
        data = world.api.series_data(one.key, start=0, end=1e11)
        # Of a repeated time, one of the two would be missing in the mapping.
        assert len(set(data.times)) == len(data.times), one.key
        found[one.key] = dict(zip((round(at * 1e6) for at in data.times), data.values, strict=True))
    return found


def timeless(message: AlertMessage) -> AlertMessage:
    """A message without the wall time at which it was made."""
    return replace(message, detected_at=0.0)


def _resolved(world: World, incident_id: str) -> bool:
    return world.api.incident(incident_id).incident.status is IncidentStatus.RESOLVED


def _everything(world: World) -> list[Record]:
    """The telemetry on the topic, once the fleet produces no more."""
    produced = world.fleet.clock()["events"]
    records = telemetry(world.settings)
    count = sum(len(values) for values in points(records).values())
    time.sleep(0.3)
    return records if count == produced == world.fleet.clock()["events"] else []


def _complete(world: World, wanted: Points) -> Points:
    """What the history holds, once it has as many points of each series as it should."""
    found = archived(world)
    return found if all(len(found.get(key, {})) >= len(values) for key, values in wanted.items()) else {}


def _caught_up(tap: Tap, count: int) -> list[AlertMessage]:
    alerts = tap.read(0.5).alerts
    return alerts if len({message.message_id for message in alerts}) >= count else []
