"""Senders as they run: beside the worker, through an outage of the database, and two at once."""

import threading
import time
from dataclasses import replace

import pytest

from sentinel.errors import TransientError
from sentinel.metrics import render, totals
from tests.remediation.notif_world import Obedient, notice, queues, send
from tests.remediation.world import bad_deploy


@pytest.fixture
def known(world):
    """A world with three incidents in its view."""
    for number in range(1, 4):
        world.stores.incidents.upsert(bad_deploy(id=f"inc-{number}"))
    return world


@pytest.mark.slow
def test_senders_run_in_the_background_a_stuck_destination_holds_up_neither_runs_nor_others(known):
    class Stuck(Obedient):
        def __init__(self):
            super().__init__("stuck")
            self.inside, self.go = threading.Event(), threading.Event()

        def deliver(self, notification, **how):
            self.inside.set()
            assert self.go.wait(20)
            super().deliver(notification, **how)

    stuck, ops = Stuck(), Obedient()
    known.clock = time.time
    notifier = queues(known, stuck, ops, poll=0.02)
    with notifier.sending():
        started = time.monotonic()
        notifier.notify(notice("inc-1"))
        assert stuck.inside.wait(10)
        notifier.notify(notice("inc-2"))
        while len(ops.got) < 2:
            assert time.monotonic() - started < 10
            time.sleep(0.01)
        assert stuck.got == []
        stuck.go.set()
        while len(stuck.got) < 2:
            assert time.monotonic() - started < 20
            time.sleep(0.01)
    shown = totals(render()[0].decode())
    assert shown["sentinel_notifications_delay_seconds_count"] >= 4
    assert "sentinel_notifications_waiting" in shown


@pytest.mark.slow
def test_a_sender_goes_on_when_the_database_is_back(known):
    class Away:
        """The database does not answer at first."""

        def __init__(self, inner):
            self.inner, self.left = inner, 3

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def take(self, *args, **how):
            self.left -= 1
            if self.left >= 0:
                raise TransientError("database: away")
            return self.inner.take(*args, **how)

    known.clock = time.time
    ops = Obedient()
    queues(known, ops).notify(notice())
    known.stores = replace(known.stores, notifications=Away(known.stores.notifications))
    with queues(known, ops, poll=0.01).sending():
        end = time.monotonic() + 20
        while not ops.got and time.monotonic() < end:
            time.sleep(0.01)
    assert len(ops.got) == 1


def test_two_workers_send_nothing_twice(known):
    class Slow(Obedient):
        def deliver(self, notification, **how):
            time.sleep(0.002)
            super().deliver(notification, **how)

    mine, theirs = Slow(), Slow()
    one, other = queues(known, mine), queues(known, theirs)
    for number in range(30):
        one.notify(notice(f"inc-{number % 3 + 1}", key=str(number)))
    threads = [threading.Thread(target=lambda q=q: [send(q) for _ in range(40)]) for q in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    send(one)
    both = [one_id for *_, one_id in mine.got + theirs.got]
    assert len(both) == len(set(both)) == 30
