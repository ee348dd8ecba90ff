"""Which incident absorbs an alert, and when incidents end."""

import random
from pathlib import Path

import yaml

from operators.incident_group import GroupEvent, GroupVerdict
from operators.incident_groups import IncidentGroups
from operators.incident_settings import GroupingSettings
from operators.incident_topology import common_causes, relation
from sentinel.alerts import AlertMessage
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import IncidentStatus
from tests.operators.incident_samples import SHOP, message, resolved, shop, update

OPENED, JOINED, UPDATED = GroupVerdict.OPENED, GroupVerdict.JOINED, GroupVerdict.UPDATED
ALERT_RESOLVED, RESOLVED = GroupVerdict.ALERT_RESOLVED, GroupVerdict.RESOLVED


def feed(*messages: AlertMessage, catalogue: ServiceCatalogue = SHOP) -> list[GroupEvent]:
    groups = IncidentGroups(GroupingSettings(), catalogue)
    return [event for item in messages for event in groups.feed(item)]


def verdicts(events: list[GroupEvent]) -> list[GroupVerdict]:
    return [event.verdict for event in events]


def ids(events: list[GroupEvent]) -> set[str]:
    return {event.group.id for event in events}


def test_callers_join_and_the_reason_says_how():
    events = feed(message("payments"), message("checkout", onset=180.0), message("web", onset=180.0))
    assert verdicts(events) == [OPENED, JOINED, JOINED]
    assert len(ids(events)) == 1
    assert "checkout calls payments, 2 min apart" in events[1].reason
    assert events[2].reason.endswith("web calls checkout, 0 s apart")
    assert events[2].group.services == ("payments", "checkout", "web")


def test_two_callers_join_before_the_service_behind_them_fires():
    catalogue = shop(checkout=["payments"], mobile=["payments"])
    events = feed(message("checkout"), message("mobile"), message("payments"), catalogue=catalogue)
    assert verdicts(events) == [OPENED, JOINED, JOINED]
    assert "both depend on payments" in events[1].reason


def test_siblings_under_a_common_caller_are_two_incidents():
    events = feed(message("search"), message("cart"))
    assert verdicts(events) == [OPENED, OPENED]
    assert len(ids(events)) == 2


def test_a_caller_of_both_joins_one_and_links_nothing():
    """The chain guard: web calls search and (through checkout) cart, but no one service is behind all three."""
    events = feed(message("search"), message("web"), message("cart"))
    assert verdicts(events) == [OPENED, JOINED, OPENED]


def test_a_service_that_is_not_in_the_catalogue_is_alone():
    assert verdicts(feed(message("payments"), message("stranger"))) == [OPENED, OPENED]


def test_beyond_the_window_a_caller_joins_only_while_its_callee_fires():
    first = message("payments")
    late = message("checkout", onset=7200.0)
    assert verdicts(feed(first, late)) == [OPENED, JOINED]
    assert verdicts(feed(first, message("web", onset=7200.0))) == [OPENED, OPENED]
    other = message("fraud", onset=100.0)
    events = feed(first, other, resolved(first, 300.0), late)
    assert verdicts(events) == [OPENED, JOINED, ALERT_RESOLVED, OPENED]


def test_the_nearest_incident_absorbs():
    catalogue = shop(web=["search", "cart"])
    events = feed(message("search"), message("cart", onset=300.0), message("web", onset=280.0), catalogue=catalogue)
    assert events[2].group.id == events[1].group.id


def test_repeated_messages_change_nothing():
    groups = IncidentGroups(GroupingSettings(), SHOP)
    first = message("payments")
    life = [first, update(first, 180.0), resolved(first, 240.0)]
    for item in life:
        assert groups.feed(item)
    for item in life:
        assert groups.feed(item) == []
    assert groups.repeats == 3
    groups.pass_linger()
    for item in life:
        assert groups.feed(item) == []
    assert groups.repeats == 6


def test_an_older_window_of_a_firing_alert_changes_nothing():
    groups = IncidentGroups(GroupingSettings(), SHOP)
    first = message("payments")
    groups.feed(first)
    groups.feed(update(first, 240.0))
    assert groups.feed(first) == []
    assert groups.feed(update(first, 180.0)) == []
    assert groups.feed(update(first, 240.0)) == []
    assert groups.repeats == 3


def test_a_fault_anywhere_in_the_example_fleet_is_one_incident_whoever_fires_first():
    text = (Path(__file__).parents[2] / "config" / "catalogue.yaml").read_text()
    catalogue = ServiceCatalogue.model_validate(yaml.safe_load(text))
    for faulty in catalogue.services:
        affected = sorted(catalogue.upstream_of([faulty]))
        for seed in range(20):
            order = random.Random(seed).sample(affected, len(affected))
            events = feed(*(message(name, onset=60.0 * n) for n, name in enumerate(order)), catalogue=catalogue)
            assert verdicts(events).count(OPENED) == 1, (faulty, order)


def test_an_alert_that_comes_back_within_the_linger_is_the_same_incident():
    first = message("payments")
    events = feed(first, resolved(first, 240.0), message("payments", onset=480.0))
    assert verdicts(events) == [OPENED, ALERT_RESOLVED, JOINED]
    assert len(ids(events)) == 1


def test_after_the_linger_it_is_a_new_incident_with_the_same_fingerprint():
    first = message("payments")
    events = feed(first, resolved(first, 240.0), message("payments", onset=600.0))
    assert verdicts(events) == [OPENED, ALERT_RESOLVED, OPENED, RESOLVED]
    assert events[2].group.id != events[0].group.id
    assert events[2].group.fingerprint == events[0].group.fingerprint
    assert events[3].group.status is IncidentStatus.RESOLVED
    assert events[3].group.resolved_at == 240.0


def test_event_time_of_any_alert_ends_a_linger():
    first, other = message("payments"), message("search", onset=60.0)
    events = feed(first, other, resolved(first, 240.0), update(other, 500.0), update(other, 600.0))
    assert verdicts(events) == [OPENED, OPENED, ALERT_RESOLVED, UPDATED, UPDATED, RESOLVED]
    assert events[-1].group.id == events[0].group.id


def test_silence_ends_lingers_and_nothing_else():
    groups = IncidentGroups(GroupingSettings(), SHOP)
    first = message("payments")
    for item in (first, message("search"), resolved(first, 240.0)):
        groups.feed(item)
    assert groups.lingering
    assert [event.group.services for event in groups.pass_linger()] == [("payments",)]
    assert not groups.lingering


def test_an_alert_whose_beginning_was_never_seen():
    known = message("payments", end=600.0)
    assert verdicts(feed(update(known, 600.0))) == [OPENED], (
        "a running alert counts, however its first message got lost"
    )
    assert feed(resolved(known, 600.0), known) == [], "an alert that has ended opens nothing"


def test_the_memory_of_ended_alerts_is_bounded():
    groups = IncidentGroups(GroupingSettings(remembered_alerts=3, linger_seconds=0.0), SHOP)
    for number in range(10):
        first = message("payments", onset=1000.0 * number)
        groups.feed(first)
        groups.feed(resolved(first, first.window.end + 60.0))
        groups.pass_linger()
    assert len(groups.snapshot()["ended_alerts"]) == 3


def test_a_stronger_window_raises_the_score_and_the_last_value_counts():
    first = message("payments", score=6.0)
    groups = IncidentGroups(GroupingSettings(), SHOP)
    groups.feed(first)
    stronger = message("payments", score=9.0)
    (event,) = groups.feed(update(stronger, 180.0))
    assert event.group.alerts[0].score == 9.0
    (event,) = groups.feed(update(first, 240.0))
    assert event.group.alerts[0].score == 9.0
    assert event.group.alerts[0].last_window_end == 240.0


def test_common_causes_tell_firing_from_quiet_ones():
    chain = shop(a=["b"], b=["c"], c=["d"], d=["e"])
    assert "e" in common_causes(chain, ["a", "e"], reach=4, quiet_reach=0)
    assert not common_causes(chain, ["a", "e"], reach=3, quiet_reach=8)
    fork = shop(a=["m"], b=["m"])
    assert common_causes(fork, ["a", "b"], reach=4, quiet_reach=1) == {"m"}
    assert not common_causes(fork, ["a", "b"], reach=4, quiet_reach=0)
    assert common_causes(fork, [], reach=4, quiet_reach=4) == frozenset()


def test_relations_are_told_in_words():
    assert relation(SHOP, "web", "payments", 4) == "web depends on payments (2 calls away)"
    assert relation(SHOP, "web", "web", 4) == "same service web"
    assert relation(SHOP, "search", "fraud", 4) == ""
