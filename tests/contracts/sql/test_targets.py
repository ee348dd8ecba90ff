from __future__ import annotations

import pytest

from sentinel.errors import LeaseLostError, RefusedError
from sentinel.runs import RunStatus
from tests.contracts.sql.samples import run
from tests.contracts.sql.threads import at_once

A, B = "fleet//service/a", "fleet//service/b"


@pytest.fixture
def two_runs(stores):
    for number in (1, 2):
        stores.runs.start(run(id=f"run-{number}", incident_id=f"inc-{number}"))
    return stores


def take(stores, number, *targets, epoch=1):
    return stores.targets.claim(targets, run_id=f"run-{number}", run_epoch=epoch, now=100.0)


def test_a_target_has_one_run_at_a_time(two_runs):
    assert take(two_runs, 1, A) == {A: 1}
    assert take(two_runs, 1, A, B) == {A: 1, B: 1}
    with pytest.raises(RefusedError, match="in the hands of run-1") as refused:
        take(two_runs, 2, B)
    assert refused.value.rule == "target_busy"
    assert two_runs.targets.holders([A, B, "c"]) == {A: "run-1", B: "run-1"}
    two_runs.targets.release("run-1")
    assert two_runs.targets.holders([A, B]) == {}
    assert take(two_runs, 2, A, B) == {A: 2, B: 2}


def test_all_of_them_or_none(two_runs):
    take(two_runs, 1, B)
    with pytest.raises(RefusedError):
        take(two_runs, 2, A, B)
    assert two_runs.targets.holders([A, B]) == {B: "run-1"}


def test_each_change_of_hands_fences_the_last_one_off(two_runs):
    take(two_runs, 1, A)
    two_runs.targets.check(A, run_id="run-1", epoch=1)
    assert take(two_runs, 1, A, epoch=2) == {A: 2}, "another worker drives the same run"
    with pytest.raises(LeaseLostError):
        two_runs.targets.check(A, run_id="run-1", epoch=1)
    two_runs.targets.release("run-1")
    with pytest.raises(LeaseLostError):
        two_runs.targets.check(A, run_id="run-1", epoch=2)
    assert take(two_runs, 1, A, epoch=2) == {A: 3}


def test_a_run_that_has_ended_holds_nothing(two_runs):
    take(two_runs, 1, A)
    two_runs.runs.update("run-1", now=1.0, status=RunStatus.FAILED)
    assert two_runs.targets.holders([A]) == {}
    assert take(two_runs, 2, A) == {A: 2}


def test_of_many_that_want_it_one_gets_it(stores):
    for number in range(8):
        stores.runs.start(run(id=f"run-{number}"))

    def want(number):
        try:
            return take(stores, number, *((A, B) if number % 2 else (B, A)))
        except RefusedError:
            return None

    assert [one is not None for one in at_once(8, want)].count(True) == 1
