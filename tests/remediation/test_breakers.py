"""Circuit breakers: open for automatic action at first, tripped by failures for everything, probed when half-open."""

from dataclasses import replace

import pytest

from remediation.breakers import asked_by, stopped_by, trip_reason
from remediation.execution import execute
from remediation.journal import About
from remediation.learning import learn, learn_outcome
from remediation.orders import Stop
from remediation.settings import BreakerSettings
from sentinel.outcomes import Result
from sentinel.safety import GLOBAL, ActionResult, Breaker, BreakerState, scopes_of
from tests.remediation.test_execution import prepare
from tests.remediation.test_policy import action
from tests.remediation.world import connection_leak, memory_leak, settings

SETTINGS = BreakerSettings()
NOW = 1_000_000.0


def results(*ok, target="fleet//service/cart", at=NOW - 100):
    return [ActionResult(key=f"k{i}", type="restart", target=target, at=at + i, ok=one) for i, one in enumerate(ok)]


@pytest.mark.parametrize(
    ("ok", "trips"),
    [
        ([], False),
        ([False, False], False),
        ([False, False, False], True),
        ([False, True, False, False], False),
        ([False] + [True] * 8, False),
        ([False] + [True] * 9, False),
        ([False, True, False] + [True] * 7, True),
        ([False, True, False] + [True] * 17, False),
        ([False, True, False, True, False] + [True] * 20, True),
    ],
)
def test_a_rate_above_the_limit_or_failures_in_a_row_trip(ok, trips):
    assert bool(trip_reason(Breaker(scope=GLOBAL), results(*ok), SETTINGS, NOW)) is trips


def test_only_its_own_results_in_the_window_since_it_was_closed_count():
    failed = results(False, False, False)
    cart, web = (Breaker(scope=f"target:fleet//service/{name}") for name in ("cart", "web"))
    assert trip_reason(cart, failed, SETTINGS, NOW)
    assert trip_reason(Breaker(scope="type:restart"), failed, SETTINGS, NOW)
    assert not trip_reason(web, failed, SETTINGS, NOW)
    assert not trip_reason(Breaker(scope="type:scale"), failed, SETTINGS, NOW)
    assert not trip_reason(cart, failed, SETTINGS, NOW + SETTINGS.window)
    assert not trip_reason(replace(cart, counts_from=NOW), failed, SETTINGS, NOW)


@pytest.mark.parametrize(
    ("breaker", "state", "stopped", "asked"),
    [
        (Breaker(scope=GLOBAL), BreakerState.OPEN, False, True),
        (Breaker(scope=GLOBAL, closed=True), BreakerState.CLOSED, False, False),
        (Breaker(scope=GLOBAL, tripped_until=NOW + 1), BreakerState.TRIPPED, True, False),
        (Breaker(scope=GLOBAL, tripped_until=NOW), BreakerState.HALF_OPEN, False, True),
        (
            Breaker(scope=GLOBAL, tripped_until=NOW, probe="me", probe_until=NOW + 1),
            BreakerState.HALF_OPEN,
            False,
            True,
        ),
        (Breaker(scope=GLOBAL, tripped_until=NOW, probe="he", probe_until=NOW + 1), BreakerState.HALF_OPEN, True, True),
        (Breaker(scope=GLOBAL, tripped_until=NOW, probe="he", probe_until=NOW), BreakerState.HALF_OPEN, False, True),
    ],
)
def test_what_each_state_says(breaker, state, stopped, asked):
    rest = {scope: Breaker(scope=scope, closed=True) for scope in ("type:restart", "target:fleet//service/cart")}
    breakers = {GLOBAL: breaker, **rest}
    assert breaker.state(NOW) is state
    assert bool(stopped_by(action(), breakers, NOW, "me")) is stopped
    assert bool(asked_by(action(), breakers, NOW)) is asked


def test_what_nobody_closed_is_asked_and_says_what_to_close(make_world):
    world = make_world(settings(mode="auto", automatic=[{"action": "restart"}]), trusted=False)
    world.open(memory_leak())
    assert world.fleet.actions == []
    (request,) = world.pending()
    assert [reason.split(" ")[1] for reason in request.verdict.reasons] == [
        GLOBAL, "type:restart", "target:fleet//service/cart",
    ]  # fmt: skip
    world.answer()
    world.steps()
    assert [kind for kind, _, _ in world.fleet.actions] == ["restart"]


def fail(world, count, *, ok=False, run="run-0"):
    for index in range(count):
        about = About(run_id=f"{run}{index}", incident_id="inc-0", attempt=1, trace_id="")
        learn(world.parts, about, action("scale", replicas=4), f"{run}key{index}", ok=ok)


def states(world):
    return {one.scope: one.state(world.clock()) for one in world.stores.breakers.find()}


def test_failures_trip_and_an_approved_order_is_stopped(world):
    order = prepare(world)
    fail(world, 3)
    done = execute(world.parts, order)
    assert done.stop is Stop.DENIED
    assert "3 actions in a row failed" in done.reason
    assert world.fleet.actions == []
    assert set(states(world).values()) == {BreakerState.TRIPPED}
    tripped = [r.target for r in world.stores.audit.records() if r.action == "breaker.tripped"]
    assert tripped == [GLOBAL, "type:scale", "target:fleet//service/cart"]


def test_the_same_result_counts_once(world):
    about = About(run_id="r", incident_id="i", attempt=1, trace_id="")
    for _ in range(5):
        learn(world.parts, about, action(), "key", ok=False)
    assert states(world) == {GLOBAL: BreakerState.OPEN}


def cool_down(world):
    fail(world, 3)
    world.clock.at += world.settings.policy.breakers.cool_down + 1
    cart = world.stores.breakers.of(scopes_of(action("scale", replicas=4))).values()
    assert {one.state(world.clock()) for one in cart} == {BreakerState.HALF_OPEN}


def test_cooled_down_one_approved_action_probes_and_its_success_asks_again_for_a_person(make_world):
    world = make_world(settings(mode="auto", automatic=[{"action": "scale"}]))
    cool_down(world)
    one = connection_leak()
    world.open(one)
    assert "half-open" in world.pending()[0].verdict.reasons[0]
    world.answer()
    world.steps()
    assert len(world.fleet.actions) == 1
    probing = world.stores.breakers.of([GLOBAL])[GLOBAL]
    assert probing.probe
    world.windows(one, "normal", "normal", "normal")
    assert world.results(one) == ["verified"]
    assert world.stores.breakers.of([GLOBAL])[GLOBAL].state(world.clock()) is BreakerState.OPEN


def test_while_one_probes_another_waits(world):
    order = prepare(world)
    cool_down(world)
    world.stores.breakers.claim_probe(GLOBAL, probe="other:1", until=world.clock() + 100)
    done = execute(world.parts, replace(order))
    assert done.stop in (Stop.DENIED, Stop.EXPIRED)
    assert world.fleet.actions == []


def test_a_probe_that_fails_trips_again(world):
    cool_down(world)
    about = About(run_id="probe", incident_id="i", attempt=1, trace_id="")
    world.stores.breakers.claim_probe(GLOBAL, probe="probe:1", until=world.clock() + 100)
    learn(world.parts, about, action(), "probe-key", ok=False)
    assert states(world)[GLOBAL] is BreakerState.TRIPPED


def test_a_probe_that_proves_nothing_lets_another_try(world):
    cool_down(world)
    about = About(run_id="probe", incident_id="i", attempt=1, trace_id="")
    world.stores.breakers.claim_probe(GLOBAL, probe="probe:1", until=world.clock() + 100)
    learn_outcome(world.parts, about, [], Result.NOT_VERIFIABLE)
    assert world.stores.breakers.of([GLOBAL])[GLOBAL].probe == ""
    assert states(world)[GLOBAL] is BreakerState.HALF_OPEN


def test_a_person_closes_what_failures_tripped(world):
    order = prepare(world)
    fail(world, 3)
    for scope in states(world):
        world.stores.breakers.close(scope, actor="ann", reason="the fleet is well", now=world.clock())
    assert execute(world.parts, order).stop is None


@pytest.mark.parametrize(("verdict", "ok"), [("normal", True), ("abnormal", False)])
def test_an_attempt_teaches_the_breakers_how_its_action_ended(world, verdict, ok):
    one = connection_leak()
    world.open(one)
    world.answer()
    world.steps()
    world.windows(one, *[verdict] * 10)
    assert [result.ok for result in world.stores.breakers.results(0)][:1] == [ok]
    assert world.stores.breakers.results(0)[0].target == "fleet//service/cart"


class Unwilling:
    """An executor that refuses for good, or for drift, or whose deeds do not show."""

    backend = "fleet"

    def __init__(self, inner, error=None):
        self.inner, self.error = inner, error

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def apply(self, *args):
        if self.error:
            raise self.error
        return self.inner.apply(*args)

    def verify_applied(self, action, applied):
        return "it does not show"


def test_refusals_and_deeds_that_do_not_show_count_and_drift_does_not(make_world):
    from sentinel.errors import PermanentError, RefusedError

    errors = {"refused": PermanentError("no"), "drift": RefusedError("drift", "moved"), "unseen": None}
    counted: dict[str, int] = {}
    for name, error in errors.items():
        world = make_world(executor=lambda inner, error=error: Unwilling(inner, error))
        execute(world.parts, prepare(world, attempt=len(counted) + 1, number=len(counted) + 1))
        counted[name] = len(world.stores.breakers.results(0))
    assert counted == {"refused": 1, "drift": 1, "unseen": 2}
