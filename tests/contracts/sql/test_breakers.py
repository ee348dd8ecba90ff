"""Breakers in SQL: closed with a reason, audited; one probe; a result once."""

import pytest

from sentinel.errors import RefusedError
from sentinel.safety import GLOBAL, ActionResult, Breaker, BreakerState


def test_what_nobody_moved_is_open(stores):
    assert stores.breakers.find() == [Breaker(scope=GLOBAL)]
    assert stores.breakers.of(["type:restart"]) == {"type:restart": Breaker(scope="type:restart")}
    assert Breaker(scope=GLOBAL).state(0.0) is BreakerState.OPEN


def test_its_life(stores):
    one = stores.breakers
    closed = one.close(GLOBAL, actor="ann", reason="tried", now=10.0)
    assert one.of([GLOBAL]) == {GLOBAL: closed}
    assert closed.state(10.0) is BreakerState.CLOSED
    tripped = one.trip(GLOBAL, until=30.0, reason="failures", now=20.0)
    assert [tripped.state(at) for at in (20.0, 29.9, 30.0)] == ["tripped", "tripped", "half_open"]
    one.claim_probe(GLOBAL, probe="run:1", until=50.0)
    assert one.of([GLOBAL])[GLOBAL].probe == "run:1"
    one.release_probes("run:2")
    assert one.of([GLOBAL])[GLOBAL].probe == "run:1"
    one.release_probes("run:1")
    assert one.of([GLOBAL])[GLOBAL].probe == ""
    assert one.recover(GLOBAL, reason="well", now=40.0).state(40.0) is BreakerState.OPEN
    told = [(r.actor, r.action, r.target, r.reason) for r in stores.audit.records()]
    assert told == [
        ("ann", "breaker.closed", GLOBAL, "tried"),
        ("worker", "breaker.tripped", GLOBAL, "failures"),
        ("worker", "breaker.recovered", GLOBAL, "well"),
    ]


@pytest.mark.parametrize(
    ("scope", "reason"),
    [("", "x"), ("everything", "x"), ("type:", "x"), ("target:cart", "x"), ("target:a//b/c d", "x"), (GLOBAL, " ")],
)
def test_no_such_scope_or_no_reason(stores, scope, reason):
    with pytest.raises(RefusedError):
        stores.breakers.close(scope, actor="ann", reason=reason, now=1.0)
    assert list(stores.audit.records()) == []


def test_a_result_is_kept_once(stores):
    first = ActionResult(key="k", type="restart", target="fleet//service/a", at=5.0, ok=False)
    assert stores.breakers.record(first)
    assert not stores.breakers.record(ActionResult(key="k", type="restart", target="t", at=6.0, ok=True))
    assert stores.breakers.results(5.0) == [first]
    assert stores.breakers.results(5.1) == []
