"""Rate limits count the same wherever they are counted: in the ledger (pure over its deeds), and in a real Redis."""

import itertools

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from remediation.limits import DEFAULT_LIMITS, Deed, Per, RateLimit, exceeded
from remediation.redis_limits import RedisLimiter
from sentinel.errors import ConfigError, TransientError
from tests.contracts.sql.threads import at_once
from tests.remediation.test_policy import action
from tests.services.processes import free_port

NAMES = itertools.count()
CART, WEB, ROLLBACK = action(), action(name="web"), action("rollback")


class InLedger:
    """What policy does: judge by the deeds that the ledger holds; who may begin is written into it."""

    def __init__(self) -> None:
        self.deeds: dict[str, Deed] = {}

    def take(self, name, deed, limits, now):
        if name in self.deeds:
            return ()
        reasons = exceeded(deed, (), list(self.deeds.values()), limits, now)
        if not reasons:
            self.deeds[name] = Deed(at=now, action=deed)
        return tuple(reasons)

    def give_back(self, name, deed, limits):
        del self.deeds[name]


@pytest.fixture
def in_redis(redis_server):
    return lambda: RedisLimiter(redis_server.url, f"test-{next(NAMES)}-")


@pytest.fixture(params=["ledger", pytest.param("redis", marks=pytest.mark.redis)])
def limiter(request):
    return InLedger() if request.param == "ledger" else request.getfixturevalue("in_redis")()


def limit(per=Per.EVERYTHING, count=2, seconds=60.0):
    return RateLimit(per=per, count=count, seconds=seconds)


def test_so_many_begin_and_the_next_hears_why(limiter):
    assert limiter.take("a", CART, [limit()], 1000.0) == ()
    assert limiter.take("b", WEB, [limit()], 1001.0) == ()
    full = ("rate limit: 2 actions within 60 s, and 2 may be",)
    assert limiter.take("c", CART, [limit()], 1002.0) == full
    assert limiter.take("c", CART, [limit()], 1059.9) == full
    assert limiter.take("c", CART, [limit()], 1060.0) == ()


@pytest.mark.parametrize(
    ("per", "other", "together"),
    [
        (Per.TYPE, WEB, True),
        (Per.TYPE, ROLLBACK, False),
        (Per.SERVICE, ROLLBACK, True),
        (Per.SERVICE, WEB, False),
        (Per.TARGET, ROLLBACK, True),
        (Per.TARGET, WEB, False),
    ],
)
def test_what_is_counted_together(limiter, per, other, together):
    limiter.take("a", CART, [limit(per, 1)], 1000.0)
    assert bool(limiter.take("b", other, [limit(per, 1)], 1000.0)) is together


def test_it_counts_in_all_limits_or_in_none(limiter):
    both = [limit(Per.TARGET, 1), limit(Per.EVERYTHING, 2)]
    assert limiter.take("a", CART, both, 1000.0) == ()
    assert len(limiter.take("b", CART, both, 1000.0)) == 1
    assert limiter.take("c", WEB, both, 1000.0) == (), "what was refused was not counted"


def test_the_same_name_again_is_no_second_action(limiter):
    for _ in range(3):
        assert limiter.take("a", CART, [limit(count=1)], 1000.0) == ()
    limiter.give_back("a", CART, [limit(count=1)])
    assert limiter.take("b", CART, [limit(count=1)], 1000.0) == ()


def test_a_clock_that_jumps_ahead_and_back_forgets_nothing(limiter):
    limiter.take("a", CART, [limit(count=1)], 1000.0)
    limiter.take("x", CART, [limit(count=9)], 1090.0)
    limiter.give_back("x", CART, [limit(count=9)])
    assert limiter.take("b", CART, [limit(count=1)], 1001.0)


def test_without_limits_everything_may(limiter):
    assert limiter.take("a", CART, [], 1000.0) == ()


@pytest.mark.redis
@how(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from([CART, WEB, ROLLBACK]), st.floats(0, 400)), max_size=40))
def test_both_give_the_same_answers(in_redis, steps):
    """Any order of actions and times, the defaults and tighter ones."""
    limits = [*DEFAULT_LIMITS, limit(Per.TYPE, 3, 90.5), limit(Per.TARGET, 2, 30.25)]
    one, other, now = InLedger(), in_redis(), 1_700_000_000.0
    for number, (deed, pause) in enumerate(steps):
        now += pause
        name = f"deed-{number}"
        assert one.take(name, deed, limits, now) == other.take(name, deed, limits, now)


@pytest.mark.redis
def test_of_fifty_at_once_exactly_so_many_begin(in_redis):
    limiter = in_redis()
    answers = at_once(50, lambda number: limiter.take(f"deed-{number}", CART, [limit(count=7)], 1000.0))
    assert answers.count(()) == 7


def test_a_redis_that_is_away_is_said_to_be():
    limiter = RedisLimiter(f"redis://127.0.0.1:{free_port()}/0", timeout=0.2)
    for call in (
        limiter.check,
        lambda: limiter.take("a", CART, [limit()], 1000.0),
        lambda: limiter.give_back("a", CART, [limit()]),
    ):
        with pytest.raises(TransientError, match="redis"):
            call()


def test_a_url_that_cannot_be_is_a_mistake_in_the_configuration():
    with pytest.raises(ConfigError, match=r"stores\.redis"):
        RedisLimiter("http://somewhere")
