from __future__ import annotations

from threading import Thread

import pytest

from sentinel.errors import LeaseLostError, PermanentError
from sentinel.runs import LedgerStatus, RunStatus
from tests.contracts.sql.samples import ledger_entry, outcome, run, timeline_row
from tests.contracts.sql.threads import at_once


def test_a_run_is_started_once(stores):
    results = at_once(8, lambda n: stores.runs.start(run(trace_id=str(n))))
    assert [fresh for _, fresh in results].count(True) == 1
    assert len({stored for stored, _ in results}) == 1
    assert stores.runs.get("run-1") == results[0][0]
    assert stores.runs.get("run-2") is None


def test_a_run_is_updated_and_ends_once(stores):
    stores.runs.start(run())
    waiting = stores.runs.update("run-1", now=110.0, status=RunStatus.WAITING, attempt=2, last_error="later")
    assert (waiting.status, waiting.attempt, waiting.updated_at, waiting.last_error) == (
        RunStatus.WAITING,
        2,
        110.0,
        "later",
    )
    assert stores.runs.unfinished() == [waiting]
    ended = stores.runs.update("run-1", now=120.0, status=RunStatus.FINISHED)
    assert ended.finished_at == 120.0
    assert stores.runs.unfinished() == []
    assert stores.runs.find(incident_id="inc-1", statuses=[RunStatus.FINISHED]) == [ended]
    with pytest.raises(PermanentError, match="finished"):
        stores.runs.update("run-1", now=130.0, status=RunStatus.RUNNING)
    with pytest.raises(PermanentError, match="no run"):
        stores.runs.update("run-2", now=130.0)


def claim(stores, owner, **more):
    return stores.runs.claim("run-1", owner=owner, now=100.0, seconds=10.0, **more)


def test_a_lease_has_one_holder_until_it_is_given_back(stores):
    stores.runs.start(run())
    assert claim(stores, "a") == 1
    assert claim(stores, "b") is None
    stores.runs.release("run-1", epoch=1)
    assert claim(stores, "b") == 2
    stores.runs.release("run-1", epoch=1)
    assert claim(stores, "a") is None
    assert claim(stores, "b") == 3, "the same owner that started anew"
    assert stores.runs.claim("run-9", owner="a", now=120.0, seconds=10.0) is None


def test_a_lease_is_taken_over_only_as_it_was_seen(stores):
    stores.runs.start(run())
    claim(stores, "a")
    assert claim(stores, "b", seen=(1, 109.0)) is None
    assert claim(stores, "b", seen=(0, 110.0)) is None
    assert stores.runs.renew("run-1", epoch=1, now=101.0, seconds=10.0)
    assert claim(stores, "b", seen=(1, 110.0)) is None, "renewed meanwhile"
    assert claim(stores, "b", seen=(1, 111.0)) == 2
    assert not stores.runs.renew("run-1", epoch=1, now=102.0, seconds=10.0)
    assert stores.runs.get("run-1").lease_owner == "b"


def test_a_run_that_has_ended_is_nobodys(stores):
    stores.runs.start(run())
    stores.runs.update("run-1", now=110.0, status=RunStatus.FINISHED)
    assert claim(stores, "a") is None
    assert stores.runs.unfinished_ids() == []


def test_who_lost_the_lease_writes_nothing_more(stores):
    stores.runs.start(run())
    claim(stores, "a")
    with stores.runs.holding("run-1", 1):
        stores.ledger.begin(ledger_entry("before"))
        stores.runs.still_held()
        in_thread(lambda: claim(stores, "b", seen=(1, 110.0)))
        with pytest.raises(LeaseLostError, match="epoch is 2, not 1"):
            stores.ledger.begin(ledger_entry("after"))
        with pytest.raises(LeaseLostError):
            stores.runs.tell(timeline_row("a"))
        with pytest.raises(LeaseLostError):
            stores.runs.still_held()
    stores.ledger.begin(ledger_entry("outside"))
    assert {entry.key for entry in stores.ledger.find()} == {"before", "outside"}
    assert stores.runs.timeline("inc-1") == []


def test_a_takeover_waits_for_the_transaction_that_was_allowed(stores):
    stores.runs.start(run())
    claim(stores, "a")
    order = []

    def take_over():
        claim(stores, "b", seen=(1, 110.0))
        order.append("taken over")

    with stores.runs.holding("run-1", 1), stores.database.write():
        taking = Thread(target=take_over)
        taking.start()
        taking.join(0.2)
        stores.ledger.begin(ledger_entry("intent"))
        order.append("written")
    taking.join(30)
    assert order == ["written", "taken over"]


def in_thread(deed):
    """As another worker: outside the context that holds the lease."""
    thread = Thread(target=deed)
    thread.start()
    thread.join(30)


def test_of_many_claims_at_once_one_gets_the_lease(stores):
    stores.runs.start(run())
    epochs = at_once(12, lambda n: stores.runs.claim("run-1", owner=str(n), now=100.0, seconds=10.0))
    assert sorted(epoch is not None for epoch in epochs) == [False] * 11 + [True]


def test_a_timeline_tells_each_step_once_in_order(stores):
    late, early = timeline_row("b", at=200.0), timeline_row("a", at=100.0)
    assert stores.runs.tell(late)
    assert stores.runs.tell(early)
    assert not stores.runs.tell(timeline_row("a", text="again"))
    assert stores.runs.timeline("inc-1") == [early, late]
    assert stores.runs.timeline("inc-2") == []


def test_of_many_callers_one_begins_an_action(stores):
    results = at_once(12, lambda n: stores.ledger.begin(ledger_entry(started_at=float(n))))
    assert [fresh for _, fresh in results].count(True) == 1
    assert len({entry.started_at for entry, _ in results}) == 1


def test_an_action_ends_once(stores):
    stores.ledger.begin(ledger_entry())
    applied = stores.ledger.applied("run-1:1:act-1", result={"version": "v1"}, effective_at=1100.0, now=101.0)
    assert (applied.status, applied.result, applied.effective_at, applied.ended_at) == (
        LedgerStatus.APPLIED,
        {"version": "v1"},
        1100.0,
        101.0,
    )
    assert stores.ledger.applied("run-1:1:act-1", result={}, effective_at=9.0, now=9.0) == applied
    assert stores.ledger.begin(ledger_entry()) == (applied, False)
    assert stores.ledger.get("run-1:1:act-1") == applied
    with pytest.raises(PermanentError, match="applied"):
        stores.ledger.failed("run-1:1:act-1", error="no", now=102.0)
    with pytest.raises(PermanentError, match="no ledger entry"):
        stores.ledger.failed("other", error="no", now=102.0)


def test_entries_are_found_by_run_and_status(stores):
    stores.ledger.begin(ledger_entry("b", started_at=2.0))
    stores.ledger.begin(ledger_entry("a", started_at=1.0, run_id="run-2", undo_of="b", inverse=None))
    stores.ledger.failed("b", error="409", now=3.0)
    assert [entry.key for entry in stores.ledger.find(incident_id="inc-1")] == ["a", "b"]
    assert [entry.error for entry in stores.ledger.find(run_id="run-1")] == ["409"]
    assert [entry.key for entry in stores.ledger.find(status=LedgerStatus.STARTED)] == ["a"]
    assert stores.ledger.get("c") is None


def test_an_outcome_is_recorded_once_and_published_until_marked(stores):
    assert stores.outcomes.record(outcome())
    assert not stores.outcomes.record(outcome(reason="again"))
    assert stores.outcomes.find("inc-1") == stores.outcomes.unpublished() == [outcome()]
    stores.outcomes.mark_published("out-1")
    assert stores.outcomes.unpublished() == []
    assert stores.outcomes.find() == [outcome()]
    assert stores.outcomes.find("inc-2") == []
