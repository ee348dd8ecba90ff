"""Facts, memory and candidate revisions of one incident, with stores that come and go."""

from dataclasses import replace
from typing import Any

from operators.incident_facts import WEEK, FactFinder
from operators.incident_group import Group, GroupEvent, GroupVerdict
from operators.incident_record import IncidentRecord
from sentinel.alerts import FaultKind
from sentinel.incidents import Change, IncidentStatus
from sentinel.outcomes import Result
from tests.operators.incident_samples import (
    SETTINGS,
    SHOP,
    Clock,
    DictMemory,
    ListHistory,
    group,
    message,
    outcome,
)

DEPLOY = Change(at=30.0, service="payments", kind="change.deploy", labels={"version": "v2"})


class Room:
    """A record with its stores."""

    def __init__(self, history: ListHistory | None = None) -> None:
        self.clock = Clock()
        self.history = history or ListHistory()
        self.memory = DictMemory()
        self.finder = FactFinder(self.history, self.memory, SHOP, SETTINGS, self.clock)
        self.record = self.reopen(None)

    def reopen(self, state: dict[str, Any] | None) -> IncidentRecord:
        return IncidentRecord(self.finder, SHOP, SETTINGS, state)


def event(of: Group, verdict: GroupVerdict = GroupVerdict.OPENED) -> GroupEvent:
    return GroupEvent(group=of, verdict=verdict, reason="", alert_id="alr", service="payments", at=of.updated_at)


def test_facts_and_first_revision():
    room = Room(ListHistory([DEPLOY], read=lambda t: 0.01 if t < -WEEK / 2 else 0.02 + t / 3600 * 0.05))
    incident = room.record.on_group(event(group(message("payments"))))
    assert incident.revision == 1
    assert incident.title == "errors in payments"
    assert incident.context.changes == (DEPLOY,)
    assert incident.suspects[0].service == "payments"
    (fact,) = incident.context.history
    assert fact.same_hour_last_week is not None
    assert round(fact.same_hour_last_week, 4) == 0.01
    assert fact.trend_per_hour is not None
    assert round(fact.trend_per_hour, 4) == 0.05
    assert "0.01 at the same hour last week" in fact.text
    assert incident.context.missing == ()
    assert room.memory.entries["inc-1"].service == "payments"


def test_changes_turn_the_suspects_and_are_looked_up_again():
    """The archive lags: the deploy is not there at the first look, and is at the second."""
    room = Room()
    found = group(message("cart"), message("search"))
    assert room.record.on_group(event(found)).suspects[0].service == "cart"
    assert room.record.wants_recheck
    room.history.known = [Change(at=30.0, service="search", kind="change.deploy", labels={})]
    again = room.record.on_recheck()
    assert again is not None
    assert again.revision == 2
    assert again.context.changes == tuple(room.history.known)
    assert again.suspects[0].service == "search"
    assert not room.record.wants_recheck


def test_changes_are_looked_up_until_the_archive_has_caught_up():
    """After a crash the archive may be many seconds behind: one more look is not enough."""
    room = Room()
    room.record.on_group(event(group(message("cart"), message("search"))))
    first = room.record.recheck_delay
    assert room.record.on_recheck() is None
    room.record = room.reopen(room.record.snapshot())
    assert room.record.on_recheck() is None
    assert room.record.wants_recheck
    assert room.record.recheck_delay == 4 * first
    room.history.known = [Change(at=30.0, service="search", kind="change.deploy", labels={})]
    found = room.record.on_recheck()
    assert found is not None
    assert found.suspects[0].service == "search"
    assert not room.record.wants_recheck


def test_an_archive_that_is_up_to_date_is_asked_once_more():
    room = Room(ListHistory(read=lambda _: 0.01))
    room.record.on_group(event(group(message("cart"))))
    assert room.record.on_recheck() is not None
    assert not room.record.wants_recheck


def test_an_archive_that_never_comes_is_given_up():
    room = Room()
    room.record.on_group(event(group(message("cart"))))
    looks = 1
    while room.record.on_recheck() is None:
        looks += 1
        assert looks < 100
    assert not room.record.wants_recheck


def test_a_recurrence_needs_the_same_first_suspect_and_kind():
    room = Room()
    room.record.on_group(event(group(message("payments"))))
    room.record.on_outcome(outcome())
    other = room.reopen(None)
    later = replace(group(message("payments", onset=9000.0)), id="inc-2")
    incident = other.on_group(event(later))
    assert incident.recurrence_of == "inc-1"
    assert (incident.context.similar[0].outcome, incident.context.similar[0].action) == (
        "verified",
        "rollback payments",
    )
    neighbour = replace(group(message("fraud", onset=9060.0)), id="inc-3")
    incident = room.reopen(None).on_group(event(neighbour))
    assert [past.incident_id for past in incident.context.similar] == ["inc-1", "inc-2"]
    assert incident.recurrence_of == ""


def test_stores_that_are_away_are_named_and_asked_once():
    room = Room()
    room.history.switch.away = room.memory.switch.away = True
    found = group(message("payments"))
    incident = room.record.on_group(event(found))
    assert incident.context.missing == ("history", "memory")
    assert (room.history.switch.asked, room.memory.switch.asked) == (1, 1)
    for _ in range(5):
        room.record.on_group(event(found, GroupVerdict.UPDATED))
    assert (room.history.switch.asked, room.memory.switch.asked) == (1, 1), "the breaker is open"
    room.history.switch.away = room.memory.switch.away = False
    room.clock.time += SETTINGS.enrich.breaker_seconds
    incident = room.record.on_group(event(found, GroupVerdict.UPDATED))
    assert incident.context.missing == ()
    assert "inc-1" in room.memory.entries


def test_a_window_that_only_confirms_asks_nothing():
    room = Room()
    room.record.on_group(event(group(message("payments"))))
    asked = room.history.switch.asked, room.memory.switch.asked
    room.record.on_group(event(group(message("payments"), steps=2), GroupVerdict.UPDATED))
    assert (room.history.switch.asked, room.memory.switch.asked) == asked
    room.record.on_group(event(group(message("payments"), message("checkout"), steps=3), GroupVerdict.JOINED))
    assert room.history.switch.asked > asked[0]


def test_an_outcome_outlives_a_memory_that_is_away_and_a_crash():
    room = Room()
    room.record.on_group(event(group(message("payments"))))
    room.memory.switch.away = True
    assert room.record.on_outcome(outcome()) == "away"
    ended = group(message("payments"), steps=2, status=IncidentStatus.RESOLVED)
    room.record.on_group(event(ended, GroupVerdict.RESOLVED))
    assert not room.record.finished
    again = room.reopen(room.record.snapshot())
    room.memory.switch.away = False
    assert again.pay_memory() == "away", "the breaker is still open"
    room.clock.time += SETTINGS.enrich.breaker_seconds
    assert again.pay_memory() == "written"
    assert again.finished
    assert room.memory.entries["inc-1"].outcome == "verified"


def test_an_outcome_of_an_incident_that_ended_before():
    room = Room()
    room.record.on_group(event(group(message("payments"))))
    room.memory.switch.away = True
    later = room.reopen(None)
    assert later.on_outcome(outcome()) == "away"
    assert not later.finished
    room.memory.switch.away = False
    room.clock.time += SETTINGS.enrich.breaker_seconds
    assert room.reopen(later.snapshot()).pay_memory() == "written"
    assert room.memory.entries["inc-1"].outcome == "verified"
    assert room.reopen(None).on_outcome(outcome("inc-unknown")) == "unknown"


def test_the_latest_attempt_counts_and_repeats_change_nothing():
    room = Room()
    room.record.on_group(event(group(message("payments"))))
    room.record.on_outcome(outcome(attempt=1, result=Result.NO_EFFECT))
    room.record.on_outcome(outcome(attempt=2))
    asked = room.memory.switch.asked
    room.record.on_outcome(outcome(attempt=2))
    room.record.on_outcome(outcome(attempt=1, result=Result.NO_EFFECT))
    assert room.memory.switch.asked == asked
    assert room.memory.entries["inc-1"].outcome == "verified"


def test_an_entry_keeps_its_outcome_when_the_incident_grows():
    room = Room()
    room.record.on_group(event(group(message("payments", kind=FaultKind.LATENCY))))
    room.record.on_outcome(outcome())
    grown = group(message("payments", kind=FaultKind.LATENCY), message("payments"), steps=2)
    room.record.on_group(event(grown, GroupVerdict.JOINED))
    assert room.memory.entries["inc-1"].kind is FaultKind.ERRORS
    assert room.memory.entries["inc-1"].outcome == "verified"


def test_a_resolved_incident_is_not_looked_up_again():
    room = Room()
    room.record.on_group(event(group(message("payments"))))
    asked = room.history.switch.asked
    ended = group(message("payments"), steps=3, status=IncidentStatus.RESOLVED)
    incident = room.record.on_group(event(ended, GroupVerdict.RESOLVED))
    assert incident.status is IncidentStatus.RESOLVED
    assert incident.revision == 5
    assert room.record.on_recheck() is None
    assert room.history.switch.asked == asked
    assert room.record.finished
