"""The chain over real HTTP and the real client libraries, against a double that answers well, badly, late or never."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from remediation.planners.llm_calls import Problem
from remediation.planners.llm_opening import open_consultant
from remediation.planners.llm_settings import LlmSettings
from tests.remediation.test_planning import analysis
from tests.remediation.world import memory_leak
from tests.services.llm_double import KEYS, MODES, PROVIDERS, running_double

PAGE = Path(__file__).parents[2] / "docs" / "remediation.md"
DEADLINE = 2.4
PROBLEMS = {
    "ok": None,
    "slow": Problem.TIMEOUT,
    "drip": Problem.TIMEOUT,
    "down": Problem.SERVER_ERROR,
    "429": Problem.RATE_LIMITED,
    "truncated": Problem.TRUNCATED,
    "invalid": Problem.INVALID,
    "garbled": Problem.INVALID,
    "lying": Problem.REFUSED,
    "uncited": Problem.REFUSED,
    "nothing": Problem.NO_PLAN,
}
WORDS = {
    "ok": "answers well",
    "slow": "answers later than `provider_timeout`",
    "drip": "sends a byte now and then",
    "down": "answers 503",
    "429": "answers 429",
    "truncated": "stops at its token limit (finish reason)",
    "invalid": "answers with an object of another shape",
    "garbled": "answers with something that is no JSON",
    "lying": "names a service that is not part of the incident",
    "uncited": "cites evidence that there is not",
    "nothing": "proposes no step",
}


@pytest.fixture(scope="module")
def double():
    with running_double() as one:
        yield one


def settings(double, **more):
    providers = [
        {
            "kind": kind,
            "model": f"{kind}-model",
            "key_env": f"{kind}_KEY",
            "base_url": double.base_url(kind),
            "input_price": 1.0,
            "output_price": 2.0,
        }
        for kind in PROVIDERS
    ]
    shown = {"enabled": True, "providers": providers, "deadline": DEADLINE, "provider_timeout": 0.6, "usage_file": "u"}
    return LlmSettings.model_validate({**shown, **more})


@pytest.fixture
def consult(double, tmp_path):
    """Asks the chain once with a mode for each provider; a new chain each time, unless `times` says more."""
    env = {f"{kind}_KEY": KEYS[kind] for kind in PROVIDERS}

    def ask(*modes, times=1, keys=env, **more):
        double.calls.clear()
        double.modes.update(zip(PROVIDERS, modes, strict=False))
        chain = open_consultant(settings(double, **more), tmp_path, keys, lambda: 1e6, time.monotonic)
        with chain as consultant:
            assert consultant is not None
            begun = time.monotonic()
            asked = [consultant.consult(analysis(memory_leak()), ()) for _ in range(times)]
            double.seconds = time.monotonic() - begun
        return asked

    return ask


@pytest.fixture(scope="module")
def seen():
    """What each mode was seen to lead to, for the table."""
    return {}


@pytest.mark.parametrize("place", range(3), ids=PROVIDERS)
@pytest.mark.parametrize("mode", MODES)
def test_each_failure_of_each_provider_falls_over_to_the_next_and_at_last_to_the_runbooks(
    consult, double, mode, place, seen
):
    [asked] = consult(*["down"] * place, mode, *["ok"] * (2 - place))
    assert double.seconds < DEADLINE + 0.3
    one = asked.tries[place]
    assert (one.provider, one.problem) == (PROVIDERS[place], PROBLEMS[mode])
    assert double.asked() == list(PROVIDERS[: len(asked.tries)])
    if mode == "nothing" or (mode != "ok" and place == 2):
        assert asked.proposal is None
    else:
        winner = PROVIDERS[place if mode == "ok" else place + 1]
        assert asked.proposal.planner.startswith(f"llm:{winner}/{winner}-model:plan-v1@")
        assert [(step.type, step.service) for step in asked.proposal.steps] == [("restart", "cart")]
    then = "its plan" if mode == "ok" else "runbooks" if mode == "nothing" else "the next provider, at last runbooks"
    told = one.usage.total == 790
    charged = "what it tells" if told else "nothing" if one.usage.total == 0 else "the worst case"
    problem = f"`{one.problem.value}`" if one.problem else "-"
    row = f"| {WORDS[mode]} | {problem} | {then} | {charged} |"
    assert seen.setdefault(mode, row) == row


def test_the_table_in_the_documentation_is_what_was_seen(seen):
    if seen.keys() != set(MODES):
        pytest.skip("the table is made by the whole test above")
    table = "\n".join(
        ["| the provider | problem | who plans | charged |", "|---|---|---|---|", *(seen[m] for m in MODES)]
    )
    assert table in PAGE.read_text(), f"docs/remediation.md should hold:\n{table}"


def test_three_slow_providers_take_no_longer_than_the_one_deadline(consult, double):
    [asked] = consult("slow", "drip", "slow", deadline=0.8)
    assert double.seconds < 1.1
    assert asked.proposal is None
    assert [one.problem for one in asked.tries] == [Problem.TIMEOUT, Problem.TIMEOUT, Problem.NO_TIME]


def test_a_provider_that_cannot_be_reached(consult, double):
    gone = settings(double).model_dump()["providers"]
    gone[0]["base_url"] = "http://127.0.0.1:9"
    [asked] = consult("ok", "ok", "ok", providers=gone)
    assert [one.problem for one in asked.tries] == [Problem.UNREACHABLE, None]


def test_a_wrong_key_is_rejected_and_not_repeated(consult, double):
    keys = {f"{kind}_KEY": KEYS[kind] for kind in PROVIDERS} | {"groq_KEY": "wrong"}
    [asked] = consult("ok", "ok", "ok", keys=keys)
    assert [one.problem for one in asked.tries] == [Problem.REJECTED, None]
    assert double.asked() == ["groq", "openai"]


def test_a_provider_that_keeps_failing_is_left_alone(consult, double):
    asked = consult("down", "ok", "ok", times=5)
    assert [one.tries[0].problem for one in asked] == [Problem.SERVER_ERROR] * 3 + [Problem.BREAKER_OPEN] * 2
    assert all(one.proposal for one in asked)
    assert double.asked().count("groq") == 3


def test_without_budget_nobody_is_asked(consult, double):
    [asked] = consult("ok", "ok", "ok", budget={"incident_tokens": 1000})
    assert {one.problem for one in asked.tries} == {Problem.OVER_BUDGET}
    assert double.asked() == []


def test_what_was_used_today_counts_after_a_restart(consult, double):
    [first] = consult("ok")
    used = first.tries[0].usage.total
    most = settings(double).max_output_tokens + 2000
    [asked] = consult("ok", budget={"day_tokens": used + most})
    assert asked.proposal is not None
    [asked] = consult("ok", budget={"day_tokens": used + used + 100})
    assert asked.tries[0].problem is Problem.OVER_BUDGET


def test_only_providers_with_a_key_are_asked(consult, double):
    [asked] = consult("down", "ok", "ok", keys={"anthropic_KEY": KEYS["anthropic"]})
    assert [one.provider for one in asked.tries] == ["anthropic"]


@pytest.mark.parametrize("more", [{}, {"enabled": False}])
def test_without_a_key_or_a_wish_there_is_no_chain(double, tmp_path, more):
    env = {} if not more else {f"{kind}_KEY": KEYS[kind] for kind in PROVIDERS}
    with open_consultant(settings(double, **more), tmp_path, env, time.time, time.monotonic) as consultant:
        assert consultant is None


def test_the_question_is_one_block_of_data_and_one_tool(consult, double):
    consult("ok")
    [(_, body)] = double.calls
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user"]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["PlanAnswer"]
    assert "cart" not in body["messages"][0]["content"]


def test_answers_are_recorded_and_played_back_without_a_provider(consult, double, tmp_path):
    [recorded] = consult("lying", "ok", "ok", record_file="answers.jsonl")
    [played] = consult("ok", "ok", "ok", replay_file="answers.jsonl")
    assert double.asked() == []
    assert played.proposal == recorded.proposal
    for before, after in pairwise([recorded, played]):
        assert [(t.problem, t.usage) for t in before.tries] == [(t.problem, t.usage) for t in after.tries]
