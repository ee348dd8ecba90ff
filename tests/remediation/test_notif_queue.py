"""The queues deliver at least once, in order, with backoff, pauses, dead letters and priorities; virtual time."""

import pytest

from remediation.notifiers.delivery import DroppedError, PauseError
from remediation.notifiers.delivery_settings import QueueSettings
from remediation.notifiers.queue_sender import MARGIN, retry_pause
from sentinel.errors import PermanentError, TransientError
from sentinel.incidents import IncidentStatus
from sentinel.metrics import render
from sentinel.notifications import DeliveryState
from tests.remediation.notif_world import Obedient, notice, queues, send
from tests.remediation.world import bad_deploy, later

LEASE = Obedient.deadline + MARGIN


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


@pytest.fixture
def known(world):
    """A world with three incidents in its view."""
    for number in range(1, 4):
        world.stores.incidents.upsert(bad_deploy(id=f"inc-{number}"))
    return world


def stored(world, **only):
    return list(world.stores.notifications.find(**only).items)


def test_a_notice_is_told_once_however_often_it_comes(known):
    ops = Obedient()
    for _ in range(3):
        queues(known, ops).notify(notice(key="run-1:1"))
    notifier = queues(known, ops)
    send(notifier)
    notifier.notify(notice(key="run-1:1"))
    notifier.notify(notice(key="run-1:2"))
    send(notifier)
    assert len(ops.got) == len({one for *_, one in ops.got}) == 2


def test_a_worker_that_died_in_the_delivery_loses_nothing_and_repeats_under_the_same_id(known):
    class Dying(Obedient):
        def deliver(self, notification, **how):
            super().deliver(notification, **how)
            raise Killed

    first = Dying()
    notifier = queues(known, first)
    notifier.notify(notice())
    with pytest.raises(Killed):
        send(notifier)
    second = Obedient()
    again = queues(known, second)
    assert send(again) == 0
    known.clock.at += LEASE
    send(again)
    assert second.got == first.got


def test_a_failure_is_tried_again_later_and_holds_up_its_own_incident_alone(known):
    ops = Obedient(todo=[TransientError("away")])
    notifier = queues(known, ops)
    notifier.notify(notice("inc-1", "opened"))
    notifier.notify(notice("inc-1", "recorded"))
    notifier.notify(notice("inc-2", "opened"))
    send(notifier)
    assert [(i, k) for i, k, _ in ops.got] == [("inc-2", "opened")]
    known.clock.at += 1
    send(notifier)
    assert [(i, k) for i, k, _ in ops.got[1:]] == [("inc-1", "opened"), ("inc-1", "recorded")]


def test_questions_go_first(known):
    ops = Obedient()
    notifier = queues(known, ops)
    for number in (1, 2):
        notifier.notify(notice(f"inc-{number}", "recorded"))
    notifier.notify(notice("inc-3", "opened"))
    notifier.notify(notice("inc-3", "asked", key="apr-1"))
    send(notifier)
    assert [i for i, *_ in ops.got] == ["inc-3", "inc-3", "inc-1", "inc-2"]


def test_the_pause_between_tries_grows_is_bounded_and_fully_jittered():
    settings = QueueSettings()
    bounds = [retry_pause(n, settings, lambda _low, high: high) for n in range(1, 12)]
    assert bounds == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert retry_pause(10_000, settings) <= 300
    assert [retry_pause(5, settings, lambda low, _high: low)] == [0]
    drawn = [retry_pause(5, settings) for _ in range(400)]
    assert min(drawn) < 2
    assert max(drawn) > 14


def test_too_many_tries_are_a_dead_letter_with_the_reason_and_the_next_one_goes(known):
    ops = Obedient(todo=[TransientError("HTTP 500")] * 3)
    notifier = queues(known, ops, max_attempts=3)
    notifier.notify(notice("inc-1", "opened"))
    notifier.notify(notice("inc-1", "recorded"))
    for _ in range(4):
        send(notifier)
        known.clock.at += 300
    [dead] = stored(known, state=DeliveryState.DEAD)
    assert (dead.event.kind, dead.attempts, dead.last_error) == ("opened", 3, "3 tries: HTTP 500")
    assert [k for _, k, _ in ops.got] == ["recorded"]


def test_what_is_refused_for_good_is_dead_at_once(known):
    ops = Obedient(todo=[PermanentError("HTTP 400 no such key")])
    notifier = queues(known, ops)
    notifier.notify(notice())
    send(notifier)
    [dead] = stored(known)
    assert (dead.state, dead.attempts, dead.last_error) == ("dead", 1, "HTTP 400 no such key")
    known.stores.notifications.replay([dead.id], actor="ann", reason="key renewed", now=known.clock.at)
    send(notifier)
    assert ops.got == [("inc-1", "recorded", dead.id)]


def test_a_defect_in_one_body_is_dead_and_stops_nothing(known):
    ops = Obedient(todo=[ZeroDivisionError("secret stuff")])
    notifier = queues(known, ops)
    notifier.notify(notice("inc-1"))
    notifier.notify(notice("inc-2"))
    send(notifier)
    [dead] = stored(known, state=DeliveryState.DEAD)
    assert dead.last_error == "defect: ZeroDivisionError"
    assert len(ops.got) == 1


def test_a_delivery_that_kills_every_worker_ends_as_dead(known):
    class Deadly(Obedient):
        def deliver(self, notification, **how):
            raise Killed

    notifier = queues(known, Deadly(), max_attempts=2)
    notifier.notify(notice())
    for _ in range(2):
        with pytest.raises(Killed):
            send(notifier)
        known.clock.at += LEASE
    send(notifier)
    [dead] = stored(known)
    assert (dead.state, dead.last_error) == ("dead", "2 tries began and none ended")


def test_a_pause_is_kept_by_every_worker_counts_as_no_try_and_holds_up_no_other_destination(known):
    ops, pager = Obedient(todo=[PauseError("HTTP 429", 30)]), Obedient("pager")
    notifier = queues(known, ops, pager, max_attempts=1)
    notifier.notify(notice("inc-1"))
    notifier.notify(notice("inc-2"))
    send(notifier)
    send(notifier, "pager")
    assert (ops.got, len(pager.got)) == ([], 2)
    restarted = queues(known, ops, pager, max_attempts=1)
    known.clock.at += 29
    assert send(restarted) == send(notifier) == 0
    known.clock.at += 1
    send(restarted)
    assert [i for i, *_ in ops.got] == ["inc-1", "inc-2"]


def test_endless_pauses_end_as_dead(known):
    ops = Obedient(todo=[PauseError("HTTP 429", 3600)] * 99)
    notifier = queues(known, ops)
    notifier.notify(notice())
    for _ in range(26):
        send(notifier)
        known.clock.at += 3601
    [dead] = stored(known)
    assert dead.state == "dead"
    assert dead.last_error.startswith("too old: HTTP 429")


def test_what_became_untrue_is_dropped_and_says_why(known):
    notifier = queues(known, Obedient(todo=[DroppedError("the incident is over")]))
    notifier.notify(notice())
    send(notifier)
    [one] = stored(known)
    assert (one.state, one.last_error) == ("dropped", "the incident is over")


def test_the_end_of_an_incident_is_told_in_the_transaction_that_stores_it(known):
    ops = Obedient()
    notifier = queues(known, ops)
    one = bad_deploy(id="inc-9")

    def store_and_fail():
        with known.stores.database.write():
            known.stores.incidents.upsert(one)
            notifier.follow(one)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        store_and_fail()
    assert stored(known) == []
    notifier.follow(one)
    notifier.follow(later(one))
    notifier.follow(later(one, status=IncidentStatus.RESOLVED))
    send(notifier)
    assert [k for _, k, _ in ops.got] == ["opened", "resolved"]


def test_what_became_of_each_try_is_counted(known):
    todo = [PauseError("HTTP 429", 5), TransientError("away"), None, PermanentError("no"), DroppedError("over")]
    notifier = queues(known, Obedient("counted", todo))
    for number in range(3):
        notifier.notify(notice(key=str(number)))
    for _ in range(5):
        send(notifier, "counted")
        known.clock.at += 10
    text = render()[0].decode()
    for result in ("paused", "retry", "delivered", "dead", "dropped"):
        assert f'sentinel_notifications_total{{destination="counted",result="{result}"}} 1.0' in text


@pytest.mark.parametrize("over", [True, False])
def test_that_an_incident_lasts_is_told_an_hour_later_if_it_still_does(known, over):
    ops = Obedient()
    notifier = queues(known, ops)
    one = bad_deploy(id="inc-9")
    known.stores.incidents.upsert(one)
    notifier.follow(one)
    if over:
        known.stores.incidents.upsert(later(one, status=IncidentStatus.RESOLVED))
    send(notifier)
    known.clock.at += 3590
    send(notifier)
    assert [k for _, k, _ in ops.got] == ["opened"]
    known.clock.at += 20
    send(notifier)
    assert [k for _, k, _ in ops.got] == (["opened"] if over else ["opened", "lasting"])


def test_an_unknown_incident_is_no_error(known):
    notifier = queues(known, Obedient())
    notifier.notify(notice("inc-none"))
    assert stored(known) == []
