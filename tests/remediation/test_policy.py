"""Policy is pure: the same action and context give the same answer, with every reason."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.catalogue import Step, make_action
from remediation.policy import Conditions, blast_radius, context_of, decide, decide_plan, policy_version, strictest
from remediation.settings import PolicySettings
from sentinel.plans import Action, Plan, PolicyAnswer, Risk, Target
from sentinel.safety import GLOBAL, Breaker, KillSwitch
from tests.remediation.world import CATALOGUE

ALL = [{"actions": ["restart", "rollback", "scale"], "name": "*"}]


CLOSED = {
    scope: Breaker(scope=scope, closed=True)
    for name in (*CATALOGUE.services, "stranger")
    for scope in (GLOBAL, "type:restart", "type:rollback", "type:scale", f"target:fleet//service/{name}")
}
CALM = Conditions(now=1_000_000.0, kill_switch=KillSwitch(on=False), breakers=CLOSED)


def action(kind="restart", name="cart", backend="fleet", **params):
    target = Target(backend=backend, kind="service", name=name)
    return make_action("act-1", Step(type=kind, service=name, params=params, reason="r"), target)


def ask(deed, **policy):
    settings = PolicySettings.model_validate({"mode": "auto", "allow": ALL, **policy})
    return decide(deed, context_of(deed, settings, CATALOGUE, CALM))


def test_everything_starts_closed():
    deed = action()
    verdict = decide(deed, context_of(deed, PolicySettings(), CATALOGUE, CALM))
    assert verdict.answer is PolicyAnswer.DENY
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["mode", "allow-list"]


@pytest.mark.parametrize(
    ("mode", "answer"), [("observe", "deny"), ("suggest", "deny"), ("approve", "ask"), ("auto", "allow")]
)
def test_modes(mode, answer):
    assert ask(action(), mode=mode, automatic=[{"action": "restart"}]).answer == answer


@pytest.mark.parametrize(
    "rule",
    [
        {"actions": ["scale"], "name": "*"},
        {"actions": ["restart"], "name": "car"},
        {"actions": ["restart"], "name": "*", "backend": "kubernetes"},
        {"actions": ["restart"], "name": "*", "namespace": "prod"},
    ],
)
def test_a_rule_of_the_allow_list_must_match_as_a_whole(rule):
    verdict = ask(action(), allow=[rule], automatic=[{"action": "restart"}])
    assert verdict.answer is PolicyAnswer.DENY
    assert verdict.reasons == ("allow-list: it has no entry for restart on fleet//service/cart",)


@pytest.mark.parametrize(
    ("deed", "limit", "reason"),
    [
        (action("rollback"), {"action": "rollback"}, "risk"),
        (action(), {"action": "restart", "max_downtime": 19}, "downtime"),
        (action(), {"action": "restart", "max_affected": 1}, "blast radius"),
        (action(name="payments"), {"action": "restart"}, "tier"),
        (action(), {"action": "scale"}, "automatic"),
    ],
)
def test_beyond_its_limits_an_automatic_action_is_asked(deed, limit, reason):
    verdict = ask(deed, automatic=[limit])
    assert verdict.answer is PolicyAnswer.ASK
    assert [line.split(":")[0] for line in verdict.reasons] == [reason]


def test_the_blast_radius_is_everyone_who_calls_while_it_is_down():
    assert blast_radius(action(name="payments"), CATALOGUE) == {"payments", "checkout", "web"}
    assert blast_radius(action("scale", "payments", replicas=3), CATALOGUE) == {"payments"}
    assert blast_radius(action(name="stranger"), CATALOGUE) == frozenset()


def test_too_wide_a_blast_radius_is_denied_even_if_somebody_approves():
    assert ask(action(name="payments"), max_affected=2).answer is PolicyAnswer.DENY


def test_a_target_outside_the_topology_is_denied():
    verdict = ask(action(name="stranger"))
    assert verdict.answer is PolicyAnswer.DENY
    assert "topology" in verdict.reasons[0]


def test_a_planner_cannot_talk_the_risk_down():
    tame = Action(
        id="a", type="rollback", target=action().target, params={}, risk=Risk.LOW, expected_downtime=0.0,
        reversible=True, reason="trust me",
    )  # fmt: skip
    verdict = ask(tame, automatic=[{"action": "rollback"}])
    assert verdict.answer is PolicyAnswer.DENY
    assert "are not the catalogue's" in verdict.reasons[0]


def test_the_kill_switch_denies_whatever_else_holds():
    switch = KillSwitch(on=True, actor="ann", reason="storm")
    settings = PolicySettings.model_validate({"mode": "auto", "allow": ALL, "automatic": [{"action": "restart"}]})
    verdict = decide(action(), context_of(action(), settings, CATALOGUE, replace(CALM, kill_switch=switch)))
    assert verdict.answer is PolicyAnswer.DENY
    assert verdict.reasons == ("kill switch: on, by ann: storm",)


def test_the_strictest_action_decides_for_the_plan():
    settings = PolicySettings.model_validate({"mode": "auto", "allow": ALL, "automatic": [{"action": "restart"}]})
    both = (action(), action("rollback"))
    plan = Plan(id="p", incident_id="i", attempt=1, planner="t", runbook="", summary="", actions=both, evidence=())
    assert decide_plan(plan, settings, CATALOGUE, CALM).answer is PolicyAnswer.ASK
    assert strictest([], "v").answer is PolicyAnswer.DENY


def test_the_version_changes_with_the_settings():
    open_ = PolicySettings.model_validate({"allow": ALL})
    assert policy_version(PolicySettings()) == policy_version(PolicySettings()) != policy_version(open_)


actions_ = st.builds(
    action,
    kind=st.sampled_from(["restart", "rollback"]),
    name=st.sampled_from(["web", "checkout", "cart", "payments", "stranger", "*"]),
    backend=st.sampled_from(["fleet", "kubernetes"]),
)
policies = st.builds(
    lambda mode, kinds, name, automatic, affected: PolicySettings.model_validate(
        {
            "mode": mode,
            "allow": [{"actions": kinds, "name": name}] if kinds else [],
            "automatic": [{"action": kind, "max_risk": "high", "min_tier": 0} for kind in automatic],
            "max_affected": affected,
        }
    ),
    st.sampled_from(["observe", "suggest", "approve", "auto"]),
    st.lists(st.sampled_from(["restart", "rollback", "scale"]), unique=True),
    st.sampled_from(["*", "c*", "cart", "nobody"]),
    st.lists(st.sampled_from(["restart", "rollback"]), unique=True),
    st.integers(1, 4),
)


@given(actions_, policies)
def test_nothing_outside_the_allow_list_and_nothing_unlisted_runs_by_itself(deed, settings):
    verdict = decide(deed, context_of(deed, settings, CATALOGUE, CALM))
    listed = any(
        deed.type in rule.actions and deed.target.backend == rule.backend and _matches(rule.name, deed.target.name)
        for rule in settings.allow
    )
    assert verdict.reasons
    if verdict.answer is not PolicyAnswer.DENY:
        assert listed
        assert settings.mode in ("approve", "auto")
        assert deed.target.name in CATALOGUE.services
    if verdict.answer is PolicyAnswer.ALLOW:
        assert settings.mode == "auto"
        assert deed.type in [rule.action for rule in settings.automatic]
    assert decide(deed, context_of(deed, settings, CATALOGUE, CALM)) == verdict


def _matches(pattern, name):
    return pattern in ("*", name) or (pattern == "c*" and name.startswith("c"))
