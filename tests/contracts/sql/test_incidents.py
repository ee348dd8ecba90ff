from __future__ import annotations

import pytest

from sentinel.alerts import AlertState, FaultKind, Severity
from sentinel.errors import RefusedError
from sentinel.incidents import IncidentStatus
from sentinel.stores.sql.incidents import IncidentFilter
from sentinel.stores.sql.projection import Projected
from tests.contracts.sql.samples import alert_message, incident
from tests.contracts.sql.threads import at_once


def test_an_incident_comes_back_as_it_was(stores):
    assert stores.incidents.get("inc-1") is None
    assert stores.incidents.upsert(incident())
    assert stores.incidents.get("inc-1") == incident()


def test_only_newer_revisions_are_stored(stores):
    newer = incident(revision=2, status=IncidentStatus.RESOLVED, services=("cart",))
    assert stores.incidents.upsert(newer)
    assert not stores.incidents.upsert(incident(revision=1))
    assert not stores.incidents.upsert(incident(revision=2, title="again"))
    assert stores.incidents.get("inc-1") == newer
    assert stores.incidents.find(IncidentFilter(service="cart")).items == (newer,)
    assert stores.incidents.find(IncidentFilter(service="checkout")).items == ()


def test_of_concurrent_revisions_the_newest_stays(stores):
    at_once(10, lambda n: stores.incidents.upsert(incident(revision=n + 1)))
    assert stores.incidents.get("inc-1").revision == 10


def test_pages_hold_every_incident_once_newest_first(stores):
    made = [incident(f"inc-{n:02}", opened_at=1000.0 + n // 2) for n in range(7)]
    for one in made:
        stores.incidents.upsert(one)
    seen, cursor = [], ""
    while True:
        page = stores.incidents.find(cursor=cursor, limit=2)
        seen += page.items
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == sorted(made, key=lambda i: (i.opened_at, i.id), reverse=True)


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (IncidentFilter(), {"a", "b"}),
        (IncidentFilter(status=IncidentStatus.OPEN), {"a"}),
        (IncidentFilter(kind=FaultKind.LATENCY), {"b"}),
        (IncidentFilter(severity=Severity.CRITICAL), {"b"}),
        (IncidentFilter(service="web"), {"a"}),
        (IncidentFilter(since=1000.5), {"b"}),
        (IncidentFilter(until=1000.5), {"a"}),
        (IncidentFilter(service="web", status=IncidentStatus.RESOLVED), set()),
    ],
)
def test_filters(stores, only, found):
    stores.incidents.upsert(incident("a"))
    stores.incidents.upsert(
        incident(
            "b",
            opened_at=1001.0,
            status=IncidentStatus.RESOLVED,
            kind=FaultKind.LATENCY,
            severity=Severity.CRITICAL,
            services=("cart",),
        )
    )
    assert {one.id for one in stores.incidents.find(only).items} == found
    assert [one.id for one in stores.incidents.open_incidents()] == ["a"]


@pytest.mark.parametrize("cursor", ["%%%", "bm90IGpzb24", "WzFd", "é"])
def test_a_foreign_cursor_is_refused(stores, cursor):
    with pytest.raises(RefusedError, match="cursor"):
        stores.incidents.find(cursor=cursor)


def test_a_batch_and_its_offsets_are_projected_together_and_once(stores):
    batch = {"incidents": [incident()], "alerts": [alert_message(900.0), alert_message(960.0)]}
    offsets = {("incidents", 0): 5, ("alerts", 0): 9}
    assert stores.projection.apply("worker", offsets, **batch) == Projected(1, 2)
    assert stores.projection.apply("worker", offsets, **batch) == Projected(0, 0)
    assert stores.projection.offsets("worker") == offsets
    assert stores.projection.offsets("other") == {}


def test_offsets_never_go_back(stores):
    stores.projection.apply("worker", {("alerts", 0): 9})
    stores.projection.apply("worker", {("alerts", 0): 4, ("alerts", 1): 1})
    assert stores.projection.offsets("worker") == {("alerts", 0): 9, ("alerts", 1): 1}
    stores.projection.forget("worker")
    assert stores.projection.offsets("worker") == {}


def test_a_batch_that_fails_leaves_neither_rows_nor_offsets(stores):
    with pytest.raises(AttributeError):
        stores.projection.apply("worker", {("alerts", 0): 9}, alerts=[alert_message(), None])
    assert stores.projection.offsets("worker") == {}
    assert stores.alerts.messages(["alr-1"]) == []


def test_windows_after_an_action_are_found_in_order(stores):
    messages = [alert_message(start) for start in (960.0, 900.0, 1020.0)]
    assert stores.alerts.add(messages) == 3
    assert [m.window.start for m in stores.alerts.messages(["alr-1"], starting_at=960.0)] == [960.0, 1020.0]
    assert [m.window.start for m in stores.alerts.messages(["alr-1"], last=2)] == [960.0, 1020.0]
    assert stores.alerts.messages(["alr-2"]) == []
    assert stores.alerts.messages([]) == []


def test_alerts_that_fired_since_are_found_by_service(stores):
    fired = alert_message(900.0, state=AlertState.FIRING, fired_at=960.0)
    stores.alerts.add([fired, alert_message(960.0)])
    assert stores.alerts.fired(["checkout"], since=960.0) == [fired]
    assert stores.alerts.fired(["checkout"], since=961.0) == []
    assert stores.alerts.fired(["cart"], since=0.0) == []


def test_all_messages_of_services_are_found_by_their_windows(stores):
    early, late = alert_message(900.0, state=AlertState.FIRING, fired_at=960.0), alert_message(960.0)
    stores.alerts.add([late, early])
    assert stores.alerts.around(["checkout"], since=early.window.end - 1) == [early, late]
    assert stores.alerts.around(["checkout"], since=early.window.end) == [late]
    assert stores.alerts.around(["cart"], since=0.0) == []
