"""Who answers is known at the start: one tiny question to each provider, that nothing waits for."""

import time

import pytest

from remediation.planners.llm_calls import Problem
from remediation.planners.llm_consulting import PROBES
from remediation.planners.llm_opening import open_consultant
from remediation.planners.llm_probes import PROBE, answered, check_outcome, start_probes
from sentinel.errors import TransientError
from sentinel.metrics import REGISTRY
from tests.remediation.test_llm_chain import settings
from tests.remediation.test_planning import analysis
from tests.remediation.world import memory_leak
from tests.services.llm_double import KEYS, PROVIDERS, running_double

ENV = {f"{kind}_KEY": KEYS[kind] for kind in PROVIDERS}


@pytest.fixture(scope="module")
def double():
    with running_double() as one:
        yield one


@pytest.fixture
def probe(double, tmp_path):
    """Probes with a mode for each provider; returns what was written down, and how long it took."""

    def ask(*modes, **more):
        double.calls.clear()
        double.modes.update(zip(PROVIDERS, modes, strict=True))
        with open_consultant(settings(double, **more), tmp_path, ENV, lambda: 1e6, time.monotonic) as consultant:
            assert consultant is not None
            begun = time.monotonic()
            start_probes(consultant, tmp_path / "probes.json", lambda: 1e6).join(10)
            return time.monotonic() - begun

    return ask


def up(provider):
    labels = {"gen_ai_provider_name": provider, "gen_ai_request_model": f"{provider}-model"}
    return REGISTRY.get_sample_value("sentinel_gen_ai_client_up", labels)


def test_each_provider_is_asked_once_and_all_at_the_same_time(probe, double, tmp_path):
    assert probe("slow", "ok", "down") < 1.1, "a slow provider holds up no other: 0.6 s is the time-out of each"
    assert sorted(double.asked()) == sorted(PROVIDERS)
    text = check_outcome(tmp_path / "probes.json")
    assert text.startswith("groq timeout")
    assert "openai answered; anthropic server_error" in text
    assert [up(provider) for provider in PROVIDERS] == [0, 1, 0]


def test_when_nobody_answers_health_says_so_and_runbooks_still_plan(probe, tmp_path):
    probe("429", "down", "slow")
    with pytest.raises(TransientError, match="runbooks plan alone: groq rate_limited"):
        check_outcome(tmp_path / "probes.json")


def test_before_the_first_outcome_health_knows_nothing(tmp_path):
    assert check_outcome(tmp_path / "probes.json") == "not asked yet"


def test_a_probe_costs_budget_of_its_own_and_tells_nothing_of_anybody(probe, double, tmp_path):
    probe("ok", "ok", "ok", budget={"incident_tokens": 10_000})
    assert 'incident": "probe' in (tmp_path / "u").read_text()
    for _, body in double.calls:
        assert "ev-probe" in str(body)
        assert "cart" not in str(body)
    assert probe("ok", "ok", "ok", budget={"incident_tokens": 1}) < 0.5
    assert double.calls == []
    with pytest.raises(TransientError, match="over_budget"):
        check_outcome(tmp_path / "probes.json")


def test_failed_probes_count_for_the_breaker(double, tmp_path):
    double.modes.update(groq="down", openai="ok", anthropic="ok")
    opened = settings(double, breaker={"failures": 1})
    with open_consultant(opened, tmp_path, ENV, lambda: 1e6, time.monotonic) as consultant:
        assert consultant is not None
        tries = consultant.probe(PROBE)
        assert [answered(one) for one in tries] == [False, True, True]
        asked = consultant.consult(analysis(memory_leak()), ())
    assert asked.tries[0].problem is Problem.BREAKER_OPEN
    assert asked.proposal is not None
    assert PROBES == "probe"
