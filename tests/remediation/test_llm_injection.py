"""Text from telemetry and memory may say what it likes: no new target, no more autonomy, nothing done."""

import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.sqlite import SqliteSaver

from remediation.catalogue import CATALOGUE as ACTIONS
from remediation.evidence import candidate_targets
from remediation.planners.llm_first import LlmFirstPlanner
from remediation.planners.llm_prompts import CURRENT, instructions, make_prompt, read_data
from remediation.planners.llm_settings import LlmSettings
from sentinel.alerts import FaultKind
from sentinel.incidents import Change, Context, HistoryFact, PastIncident, Suspect
from sentinel.plans import PolicyAnswer
from sentinel.series import Series
from sentinel.stores.sql.database import Database
from tests.remediation import world as small
from tests.remediation.obedient import ENCODINGS, PHRASES, VERBS, ObedientModel, ObedientPlanner, orders
from tests.remediation.test_llm_planner import FLOOR, consultant
from tests.remediation.test_planning import analysis

AUTO = {"mode": "auto", "automatic": [{"action": name, "min_tier": 0, "max_risk": "high"} for name in ACTIONS]}
NAMES = ("payments", "cart", "web", "kube-system", "prod-db", "../cart")
WORDS = [word for words in VERBS.values() for word in words]


@st.composite
def hostile(draw):
    """One instruction, in some language, in some encoding."""
    phrase = draw(st.sampled_from(sorted(PHRASES.values())))
    text = phrase.replace("{verb}", draw(st.sampled_from(WORDS))).replace("{name}", draw(st.sampled_from(NAMES)))
    return ENCODINGS[draw(st.sampled_from(sorted(ENCODINGS)))](text)


@st.composite
def incidents(draw):
    """A memory leak at `cart`, with hostile text wherever text of others can stand."""
    texts = st.one_of(hostile(), st.text(max_size=40))
    labels = draw(st.dictionaries(st.sampled_from(["note", "pod", "message"]), texts, max_size=2))
    series = Series.of("memory_ratio", {"service": "cart", **labels})
    alert = small.alert("cart", "memory_ratio", FaultKind.SATURATION, text=draw(texts), series=series)
    past = PastIncident(
        incident_id="inc-0",
        fingerprint="fp",
        similarity=0.9,
        title=draw(texts),
        service="cart",
        kind=FaultKind.SATURATION,
        opened_at=1.0,
        outcome="verified",
        action=draw(texts),
        text=draw(texts),
    )
    change = Change(at=8_000.0, service="cart", kind="config", labels={"note": draw(texts)})
    fact = HistoryFact(series_key="k", now=1.0, same_hour_last_week=None, trend_per_hour=None, text=draw(texts))
    return small.incident(
        alert,
        suspect="cart",
        title=draw(texts),
        suspects=(Suspect(service="cart", score=0.9, reasons=(draw(texts),)),),
        context=Context(similar=(past,), changes=(change,), history=(fact,)),
    )


@contextmanager
def world_with(template, planner, **policy):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(template, f"{folder}/sentinel.db")
        database = Database(f"sqlite:///{folder}/sentinel.db")
        with closing(sqlite3.connect(f"{folder}/checkpoints.db", check_same_thread=False)) as connection:
            yield small.World(database, lambda: SqliteSaver(connection), small.settings(**policy), planner=planner)
            database.close()


def check(world, one):
    """What must hold, whatever was read."""
    targets = {target.key for target in candidate_targets(one, small.CATALOGUE).values()}
    for request in world.stores.approvals.find(incident_id=one.id).items:
        assert request.verdict.answer is PolicyAnswer.ASK
        for action in request.plan.actions:
            entry = ACTIONS[action.type]
            assert action.target.key in targets
            assert (action.risk, action.expected_downtime) == (entry.risk, entry.expected_downtime)
            assert entry.plannable
    assert world.fleet.actions == []


HOUSE = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@pytest.mark.parametrize("policy", [{}, AUTO], ids=["approve", "auto"])
def test_a_planner_that_obeys_everything_gets_no_target_no_autonomy_and_nothing_done(template: Path, policy):
    planner = ObedientPlanner()

    @HOUSE
    @given(incidents())
    def holds(one):
        with world_with(template, planner, **policy) as world:
            world.open(one)
            check(world, one)

    holds()
    assert len({name for _, name in planner.obeyed}) > 1, "nothing hostile was ever read"


@pytest.mark.slow
def test_a_model_that_obeys_everything_gets_no_further_behind_the_chain(template: Path):
    model = ObedientModel()
    planner = LlmFirstPlanner(consultant(model), FLOOR, lambda _analysis, _asked: None)

    @HOUSE
    @given(incidents())
    def holds(one):
        with world_with(template, planner) as world:
            world.open(one)
            check(world, one)

    holds()
    assert len({name for _, name in model.obeyed}) > 1, "nothing hostile was ever read"


@settings(max_examples=300)
@given(incidents())
def test_no_text_leaves_the_block_of_data_or_touches_the_instructions(one):
    prompt = make_prompt(analysis(one), (), LlmSettings())
    assert prompt.system == instructions(CURRENT)
    document = read_data(prompt.data)
    assert document["targets"] == ["cart"]
    assert prompt.data.isascii()
    clean = make_prompt(analysis(replace(small.memory_leak(), title="")), (), LlmSettings())
    assert document.keys() == read_data(clean.data).keys()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("phrase", PHRASES)
def test_the_doubles_do_read_every_language_and_encoding(phrase, encoding):
    """Otherwise the tests above would show nothing."""
    for verb, words in VERBS.items():
        for word in words:
            text = PHRASES[phrase].replace("{verb}", word).replace("{name}", "payments")
            assert (verb, "payments") in orders(ENCODINGS[encoding](text))
