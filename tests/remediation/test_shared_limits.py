"""Limits that several Sentinels share: they stop like the ledger's own; without them nothing runs by itself."""

from dataclasses import replace

import pytest

from remediation.execution import execute
from remediation.orders import Stop
from remediation.redis_limits import RedisLimiter
from sentinel.safety import GLOBAL
from tests.remediation.test_execution import prepare
from tests.remediation.world import connection_leak, settings

pytestmark = pytest.mark.redis
ONE = {"limits": [{"per": "everything", "count": 1, "seconds": 3600}]}
AUTO = {"mode": "auto", "automatic": [{"action": "scale"}], "trusted_planners": ["runbook", "t"]}


@pytest.fixture
def shared(redis_server, request):
    return RedisLimiter(redis_server.url, request.node.name, timeout=0.3)


@pytest.fixture
def away(shared, redis_server):
    redis_server.stop()
    yield shared
    redis_server.start()


def joined(world, limiter):
    world.parts = replace(world.parts, limiter=limiter)
    return world


def test_another_sentinel_has_used_the_limit_up(make_world, shared):
    world = joined(make_world(settings(**ONE)), shared)
    order = prepare(world)
    shared.take("somebody elses", order.plan.actions[0], world.settings.policy.limits, world.clock())
    done = execute(world.parts, order)
    assert (done.stop, done.reason) == (Stop.DENIED, "rate limit: 1 actions within 3600 s, and 1 may be")
    assert world.fleet.actions == []


def test_what_runs_is_counted_for_the_others_and_once(make_world, shared):
    world = joined(make_world(settings(**ONE)), shared)
    order = prepare(world)
    assert execute(world.parts, order).stop is None
    assert execute(world.parts, order).stop is None
    assert shared.take("somebody elses", order.plan.actions[0], world.settings.policy.limits, world.clock())


def test_what_did_not_begin_is_given_back(make_world, shared):
    """A breaker trips while the target is looked at: after the count, before the intent."""

    class Trips:
        backend = "fleet"

        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def inverse(self, deed, before):
            now = world.clock()
            world.stores.breakers.trip(GLOBAL, until=now + 900, reason="failures", now=now)
            return self.inner.inverse(deed, before)

    world = joined(make_world(settings(**ONE), executor=Trips), shared)
    order = prepare(world)
    assert execute(world.parts, order).stop is Stop.DENIED
    assert shared.take("another", order.plan.actions[0], world.settings.policy.limits, world.clock()) == ()


def test_while_redis_is_away_an_approved_action_goes_by_the_ledger(make_world, away):
    world = joined(make_world(settings(**ONE)), away)
    assert execute(world.parts, prepare(world)).stop is None
    assert execute(world.parts, prepare(world, attempt=2, number=2)).stop is Stop.DENIED
    assert len(world.fleet.actions) == 1


def test_while_redis_is_away_nothing_runs_by_itself(make_world, away):
    world = joined(make_world(settings(**AUTO)), away)
    order = replace(prepare(world, approve=None), request_id="")
    done = execute(world.parts, order)
    assert done.stop is Stop.EXPIRED
    assert "without the shared limits" in done.reason
    assert world.fleet.actions == []


def test_a_run_asks_a_person_instead(make_world, away):
    world = make_world(settings(**AUTO), limiter=away)
    world.open(connection_leak())
    (request,) = world.pending()
    assert "the shared counts cannot be read" in " ".join(request.verdict.reasons)
    assert world.fleet.actions == []
    world.answer()
    world.steps()
    assert len(world.fleet.actions) == 1


def test_with_redis_there_it_runs_by_itself(make_world, shared):
    world = make_world(settings(**AUTO), limiter=shared)
    world.open(connection_leak())
    assert world.pending() == []
    assert len(world.fleet.actions) == 1
