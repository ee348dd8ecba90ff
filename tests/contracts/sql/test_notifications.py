"""The queues of notifications on both databases: once queued, in order, leased, paused, dead, replayed, forgotten."""

import pytest

from sentinel.errors import RefusedError
from sentinel.incidents import IncidentStatus
from sentinel.notifications import DeliveryState, Event, NotificationKind, Told, notification_id
from tests.contracts.sql import samples
from tests.contracts.sql.threads import at_once

OPENED, ASKED, RESOLVED = NotificationKind.OPENED, NotificationKind.ASKED, NotificationKind.RESOLVED
LASTING = NotificationKind.LASTING


def event(incident_id="inc-1", kind=OPENED, key="", at=100.0):
    told = Told(
        id=incident_id,
        title="checkout: errors",
        status=IncidentStatus.OPEN,
        kind="errors",
        severity=samples.incident().severity,
        services=("checkout",),
        suspect="checkout",
        tier=1,
        opened_at=1000.0,
        revision=1,
    )
    return Event(kind=kind, key=key, text="it broke", at=at, trace_id="a" * 32, incident=told)


@pytest.fixture
def queue(stores):
    return stores.notifications


def take(queue, destination="ops", now=200.0):
    return queue.take(destination, now=now, lease=10.0)


def done(queue, taken, now=200.0):
    return queue.finish(taken, DeliveryState.DELIVERED, now=now)


def test_an_event_is_queued_once_for_each_destination_with_the_same_id_forever(queue):
    one = event()
    assert [queue.put(where, one) for where in ("ops", "ops", "pager")] == [True, False, True]
    taken = take(queue)
    assert (taken.id, taken.event, taken.attempts) == (notification_id("ops", one), one, 1)
    assert queue.told("inc-1") == {"ops", "pager"}
    assert done(queue, taken)
    assert not queue.put("ops", event(at=900.0))
    assert take(queue) is None


def test_nothing_is_committed_when_the_callers_transaction_is_not(stores):
    def fail_after_the_put():
        with stores.database.write():
            stores.notifications.put("ops", event())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_the_put()
    assert take(stores.notifications) is None


def test_one_incidents_events_keep_their_order_and_hold_up_no_other(queue):
    queue.put("ops", event(kind=OPENED))
    queue.put("ops", event(kind=RESOLVED))
    queue.put("ops", event("inc-2", at=150.0))
    first = take(queue)
    assert first.event.kind == OPENED
    assert take(queue).event.incident.id == "inc-2"
    assert take(queue) is None
    assert queue.put_back(first, due_at=500.0, reason="away")
    assert take(queue) is None
    again = take(queue, now=500.0)
    assert (again.id, again.attempts, again.last_error) == (first.id, 2, "away")
    done(queue, again)
    assert take(queue, now=500.0).event.kind == RESOLVED


def test_a_dead_one_lets_the_next_go(queue):
    queue.put("ops", event(kind=OPENED))
    queue.put("ops", event(kind=RESOLVED))
    queue.finish(take(queue), DeliveryState.DEAD, now=200.0, reason="refused")
    assert take(queue).event.kind == RESOLVED


def test_incidents_that_wait_for_an_approval_go_first_and_still_in_order(queue):
    for number in range(3):
        queue.put("ops", event(f"inc-{number}"))
    queue.put("ops", event("inc-9", OPENED))
    queue.put("ops", event("inc-9", ASKED, "apr-1"))
    order = []
    while taken := take(queue):
        order.append((taken.event.incident.id, taken.event.kind.value))
        done(queue, taken)
    assert order[:2] == [("inc-9", "opened"), ("inc-9", "asked")]
    assert len(order) == 5


def test_a_row_has_one_owner_until_its_lease_ends(queue):
    queue.put("ops", event())
    taken = [one for one in at_once(8, lambda _: take(queue)) if one]
    assert len(taken) == 1
    assert take(queue, now=209.9) is None
    later = take(queue, now=210.0)
    assert later.id == taken[0].id
    assert not done(queue, taken[0])
    assert not queue.put_back(taken[0], due_at=0.0, reason="late")
    assert done(queue, later)


def test_many_takers_share_a_queue_without_taking_twice(queue):
    for number in range(40):
        queue.put("ops", event(f"inc-{number}"))

    def work(_):
        mine = []
        for _ in range(60):
            taken = take(queue)
            if taken:
                mine.append(taken.id)
                done(queue, taken)
        return mine

    taken = [one for mine in at_once(4, work) for one in mine]
    assert len(taken) == len(set(taken)) == 40


def test_what_shall_come_later_holds_up_nothing_and_counts_as_told_when_it_was_sent(queue):
    queue.put("ops", event(kind=LASTING), not_before=500.0)
    assert queue.told("inc-1") == frozenset()
    assert queue.depth("ops", 499.9).waiting == 0
    queue.put("ops", event(kind=RESOLVED))
    done(queue, take(queue))
    assert take(queue, now=499.9) is None
    later = take(queue, now=500.0)
    assert later.event.kind == LASTING
    queue.put("pager", event(kind=LASTING), not_before=500.0)
    done(queue, later)
    assert queue.told("inc-1") == {"ops"}


def test_a_pause_holds_one_destination_and_is_not_shortened(queue):
    queue.put("ops", event())
    queue.put("pager", event())
    queue.pause("ops", 300.0)
    queue.pause("ops", 250.0)
    assert take(queue, now=299.9) is None
    assert take(queue, "pager") is not None
    assert take(queue, now=300.0) is not None


def test_what_was_put_off_is_no_try(queue):
    queue.put("ops", event())
    taken = take(queue)
    queue.put_back(taken, due_at=200.0, reason="paused", counts=False)
    again = take(queue)
    assert (again.attempts, again.takes) == (1, 2)
    assert not done(queue, taken)


def test_replay_takes_dead_ones_alone_gives_them_new_tries_and_is_audited(stores):
    queue = stores.notifications
    queue.put("ops", event())
    queue.put("ops", event("inc-2"))
    dead, waiting = take(queue), take(queue)
    queue.finish(dead, DeliveryState.DEAD, now=201.0, reason="HTTP 400")
    assert (queue.depth("ops", 300.0).dead, queue.depth("ops", 300.0).waiting, queue.depth("ops", 300.0).oldest_at) == (
        1,
        1,
        100.0,
    )
    with pytest.raises(RefusedError):
        queue.replay([dead.id], actor="cli:ann", reason=" ", now=300.0)
    ids = [dead.id, waiting.id, "ntf-none"]
    assert queue.replay(ids, actor="cli:ann", reason="fixed", now=300.0) == [dead.id]
    again = take(queue, now=300.0)
    assert (again.id, again.attempts, again.last_error) == (dead.id, 1, "")
    [record] = stores.audit.records()
    assert (record.action, record.actor, record.target) == ("notification.replayed", "cli:ann", "ops")
    assert record.details == {"ids": [dead.id]}


def test_lists_are_filtered_and_paged(queue):
    for number in range(5):
        queue.put("ops", event(f"inc-{number}", at=100.0 + number))
    queue.put("pager", event("inc-4", at=104.0))
    first = queue.find(destination="ops", limit=3)
    rest = queue.find(destination="ops", limit=3, cursor=first.next_cursor)
    assert [one.event.incident.id for one in (*first.items, *rest.items)] == [f"inc-{n}" for n in (4, 3, 2, 1, 0)]
    assert len(queue.find(incident_id="inc-4").items) == 2
    assert queue.find(state=DeliveryState.DEAD).items == ()
    assert queue.get(first.items[0].id) == first.items[0]
    assert queue.get("ntf-none") is None


def test_what_ended_is_forgotten_unless_its_incident_is_open(stores):
    queue = stores.notifications
    stores.incidents.upsert(samples.incident("inc-1"))
    for number in range(1, 5):
        queue.put("ops", event(f"inc-{number}"))
    kept_open, delivered, dead, _waiting = [take(queue) for _ in range(4)]
    done(queue, kept_open)
    done(queue, delivered)
    queue.finish(dead, DeliveryState.DEAD, now=200.0)
    assert queue.forget(finished_before=201.0, dead_before=200.0) == 1
    assert {one.event.incident.id for one in queue.find().items} == {"inc-1", "inc-3", "inc-4"}
    assert queue.forget(finished_before=201.0, dead_before=201.0) == 1
    stores.incidents.upsert(samples.incident("inc-1", revision=2, status=IncidentStatus.RESOLVED))
    assert queue.forget(finished_before=201.0, dead_before=201.0) == 1
