"""What holds of grouping for any call graph and any order of messages."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from operators.incident_group import Group, GroupEvent, GroupVerdict
from operators.incident_groups import IncidentGroups
from operators.incident_settings import GroupingSettings, SuspectSettings
from operators.incident_text import severity_of
from operators.incident_topology import common_causes
from operators.suspects import rank
from sentinel.alerts import AlertMessage, AlertState, FaultKind
from sentinel.catalogue import ServiceCatalogue
from tests.operators.incident_samples import message, resolved, shop, update

SETTINGS = GroupingSettings()


@st.composite
def catalogues(draw: st.DrawFn) -> ServiceCatalogue:
    """Any acyclic call graph of up to nine services."""
    names = [f"s{n}" for n in range(draw(st.integers(2, 9)))]
    calls = {
        name: draw(st.lists(st.sampled_from(names[:number]), unique=True, max_size=3)) if number else []
        for number, name in enumerate(names)
    }
    return shop(**calls)


@st.composite
def lives(draw: st.DrawFn, names: list[str], latest: int, kinds: tuple[FaultKind, ...]) -> list[AlertMessage]:
    """One alert from firing on: some updates, and perhaps its end; whole minutes up to `latest` for its onset."""
    first = message(
        draw(st.sampled_from(names)),
        onset=60.0 * draw(st.integers(0, latest)),
        kind=draw(st.sampled_from(kinds)),
        score=draw(st.sampled_from([4.0, 6.0, 9.0])),
    )
    ends = [first.window.end + 60.0 * n for n in range(1, draw(st.integers(0, 3)) + 1)]
    life = [first, *(update(first, end) for end in ends)]
    if draw(st.booleans()):
        life.append(resolved(first, life[-1].window.end + 60.0))
    return life


@st.composite
def streams(draw: st.DrawFn, all_lives: Iterable[list[AlertMessage]]) -> list[AlertMessage]:
    """Any interleaving that keeps each alert's own order, with some messages repeated later."""
    waiting = [list(life) for life in {life[0].alert_id: life for life in all_lives}.values()]
    merged: list[AlertMessage] = []
    while waiting:
        life = draw(st.sampled_from(waiting))
        merged.append(life.pop(0))
        if not life:
            waiting.remove(life)
        if draw(st.integers(0, 4)) == 0:
            merged.append(draw(st.sampled_from(merged)))
    return merged


def run(catalogue: ServiceCatalogue, stream: list[AlertMessage]) -> tuple[list[GroupEvent], dict[str, Group]]:
    """All events, and the last state of every incident."""
    groups = IncidentGroups(SETTINGS, catalogue)
    events = [event for item in stream for event in groups.feed(item)]
    return events, {event.group.id: event.group for event in events}


@st.composite
def anything(draw: st.DrawFn) -> tuple[ServiceCatalogue, list[AlertMessage]]:
    catalogue = draw(catalogues())
    some = st.lists(lives([*catalogue.services, "stranger"], 60, tuple(FaultKind)), min_size=1, max_size=8)
    return catalogue, draw(streams(draw(some)))


@given(anything())
def test_a_resolved_incident_never_absorbs(case: Any):
    events, _ = run(*case)
    ended: set[str] = set()
    for event in events:
        assert event.group.id not in ended
        if event.verdict is GroupVerdict.RESOLVED:
            ended.add(event.group.id)


@given(anything())
def test_one_service_could_be_behind_every_incident(case: Any):
    """Hence two services without a common cause never share an incident, however long the chain between them."""
    catalogue, stream = case
    for event in run(catalogue, stream)[0]:
        services = event.group.services
        assert len(services) == 1 or common_causes(
            catalogue, services, reach=SETTINGS.reach, quiet_reach=SETTINGS.quiet_reach
        )


@given(anything())
def test_every_alert_is_in_exactly_one_incident_and_no_incident_is_without(case: Any):
    catalogue, stream = case
    _, incidents = run(catalogue, stream)
    inside = [alert.alert_id for group in incidents.values() for alert in group.alerts]
    assert sorted(inside) == sorted({item.alert_id for item in stream if item.state is not AlertState.RESOLVED})
    assert all(group.alerts for group in incidents.values())


@given(anything())
def test_two_open_incidents_never_have_the_same_fingerprint(case: Any):
    catalogue, stream = case
    groups = IncidentGroups(SETTINGS, catalogue)
    for item in stream:
        groups.feed(item)
        prints = [raw["fingerprint"] for raw in groups.snapshot()["open"]]
        assert len(prints) == len(set(prints))


@given(anything(), st.integers(0, 40))
def test_a_crash_anywhere_replays_to_the_same_events(case: Any, cut: int):
    catalogue, stream = case
    groups = IncidentGroups(SETTINGS, catalogue)
    for item in stream[:cut]:
        groups.feed(item)
    again = IncidentGroups(SETTINGS, catalogue, groups.snapshot())
    assert [groups.feed(item) for item in stream[cut:]] == [again.feed(item) for item in stream[cut:]]


@given(anything())
def test_steps_grow_with_every_event(case: Any):
    last: dict[str, int] = {}
    for event in run(*case)[0]:
        assert event.group.steps == last.get(event.group.id, 0) + 1
        last[event.group.id] = event.group.steps


@st.composite
def faults(draw: st.DrawFn) -> tuple[ServiceCatalogue, list[AlertMessage], list[AlertMessage]]:
    """Up to three faults in separate parts of the graph, each with callers up to three calls away; two orders of it all.

    Onsets and ends lie within one grouping window and one linger.
    """
    calls: dict[str, list[str]] = {}
    all_lives = []
    for part in range(draw(st.integers(1, 3))):
        layers = [[f"p{part}root"]]
        for depth in range(1, draw(st.integers(0, 3)) + 1):
            layers.append([f"p{part}d{depth}n{n}" for n in range(draw(st.integers(1, 3)))])
            calls.update({name: [draw(st.sampled_from(layers[depth - 1]))] for name in layers[depth]})
        calls.setdefault(f"p{part}root", [])
        names = [name for layer in layers for name in layer]
        all_lives += draw(st.lists(lives(names, 1, (FaultKind.ERRORS, FaultKind.LATENCY)), min_size=1, max_size=6))
    return shop(**calls), draw(streams(all_lives)), draw(streams(all_lives))


@given(faults())
def test_any_order_and_repetition_within_a_window_gives_the_same_incidents(case: Any):
    catalogue, one, other = case

    def told(stream: list[AlertMessage]) -> set[Any]:
        _, incidents = run(catalogue, stream)
        return {
            (
                frozenset((alert.alert_id, alert.firing, alert.score) for alert in group.alerts),
                rank(group.alerts, catalogue, (), SuspectSettings()),
                severity_of(group.alerts, catalogue),
            )
            for group in incidents.values()
        }

    assert told(one) == told(other)
    parts = {item.service[:2] for item in one if item.state is not AlertState.RESOLVED}
    assert len(told(one)) == len(parts), "one incident per fault"
