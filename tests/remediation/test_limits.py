"""Rate limits: counted in the ledger, over all runs, checked again when the intent is written."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.execution import execute
from remediation.limits import DEFAULT_LIMITS, Deed, Per, RateLimit, exceeded
from remediation.orders import Stop
from remediation.policy import context_of, decide
from remediation.rollback import undo
from remediation.settings import PolicySettings
from sentinel.plans import PolicyAnswer
from tests.remediation.test_execution import prepare
from tests.remediation.test_policy import ALL, CALM, action
from tests.remediation.world import CATALOGUE, bad_deploy, connection_leak, settings

NOW = 1000.0


def deeds(*ages, of=None):
    return [Deed(at=NOW - age, action=of or action()) for age in ages]


@pytest.mark.parametrize(
    ("per", "other", "counted"),
    [
        (Per.EVERYTHING, action("rollback", "web", backend="kubernetes"), True),
        (Per.TYPE, action(name="web"), True),
        (Per.TYPE, action("rollback"), False),
        (Per.SERVICE, action("rollback", backend="kubernetes"), True),
        (Per.SERVICE, action(name="web"), False),
        (Per.TARGET, action("rollback"), True),
        (Per.TARGET, action(backend="kubernetes"), False),
    ],
)
def test_what_is_counted_together(per, other, counted):
    limit = RateLimit(per=per, count=1, seconds=60)
    assert bool(exceeded(action(), (), deeds(1, of=other), [limit], NOW)) is counted


def test_only_the_span_counts_and_so_do_earlier_actions_of_the_plan():
    limit = RateLimit(per=Per.TARGET, count=2, seconds=60)
    assert not exceeded(action(), (), deeds(1, 60), [limit], NOW)
    (reason,) = exceeded(action(), (), deeds(1, 59), [limit], NOW)
    assert reason == "rate limit: 2 actions of target fleet//service/cart within 60 s, and 2 may be"
    assert exceeded(action(), (action(),), deeds(1), [limit], NOW)
    assert not exceeded(action(), (action(name="web"),), deeds(1), [limit], NOW)


@given(st.lists(st.floats(0, 4000), max_size=60))
def test_the_defaults_never_let_more_through(ages):
    begun: list[Deed] = []
    for at in sorted(ages):
        if not exceeded(action(), (), begun, DEFAULT_LIMITS, at):
            begun.append(Deed(at=at, action=action()))
    for limit in DEFAULT_LIMITS:
        for deed in begun:
            assert sum(deed.at - limit.seconds < other.at <= deed.at for other in begun) <= limit.count


def test_policy_denies_even_what_would_be_asked():
    recent = replace(CALM, deeds=tuple(Deed(at=CALM.now - 1, action=action()) for _ in range(3)))
    open_ = PolicySettings.model_validate({"mode": "approve", "allow": ALL})
    limited = decide(action(), context_of(action(), open_, CATALOGUE, recent))
    assert (limited.answer, limited.reasons[0].split(":")[0]) == (PolicyAnswer.DENY, "rate limit")
    assert decide(action(name="web"), context_of(action(name="web"), open_, CATALOGUE, recent)).answer == "ask"


def one_an_hour(**policy):
    return settings(limits=[{"per": "everything", "count": 1, "seconds": 3600}], **policy)


def test_a_second_order_within_the_span_is_denied_and_later_runs(make_world):
    world = make_world(one_an_hour())
    first, second = prepare(world), prepare(world, attempt=2, number=2)
    assert execute(world.parts, first).stop is None
    assert execute(world.parts, first).stop is None, "the same order again is no second action"
    done = execute(world.parts, second)
    assert done.stop is Stop.DENIED
    assert "rate limit: 1 actions within 3600 s" in done.reason
    assert len(world.fleet.actions) == 1


def test_an_undo_is_neither_limited_nor_counted(make_world):
    world = make_world(settings(limits=[{"per": "everything", "count": 2, "seconds": 3600}]))
    order = prepare(world)
    done = execute(world.parts, order)
    assert undo(world.parts, order.about, done.keys).complete
    assert execute(world.parts, prepare(world, attempt=2, number=2)).stop is None


def test_of_two_that_were_decided_at_once_one_begins(make_world):
    """The second one begins after the first has checked, and before it writes its intent down."""

    class Between:
        backend = "fleet"

        def __init__(self, inner):
            self.inner, self.meanwhile = inner, None

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def inverse(self, deed, before):
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile:
                meanwhile()
            return self.inner.inverse(deed, before)

    world = make_world(one_an_hour(), executor=Between)
    first, second = prepare(world), prepare(world, attempt=2, number=2)
    ended = []
    world.executor.meanwhile = lambda: ended.append(execute(world.parts, second).stop)
    done = execute(world.parts, first)
    assert ended == [None]
    assert done.stop is Stop.DENIED, "not by the drift that the other one made"
    assert "rate limit" in done.reason
    assert len(world.fleet.actions) == 1


def test_runs_of_the_graph_are_limited_over_incidents(make_world):
    world = make_world(one_an_hour(mode="auto", automatic=[{"action": "scale"}]))
    world.open(connection_leak())
    assert len(world.fleet.actions) == 1
    world.open(bad_deploy(id="inc-2"))
    assert world.pending() == []
    assert world.results(bad_deploy(id="inc-2")) == ["not_executed"]
