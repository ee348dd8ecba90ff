"""What a person reads about each step is computed from topology, live state and the executor, not from a planner."""

from dataclasses import replace

import pytest

from remediation.catalogue import Proposal, Step
from remediation.policy import decide_plan
from sentinel.plans import PolicyAnswer, Preview, Risk
from sentinel.step_facts import StepFacts
from tests.remediation.test_policy import ALL, CALM, action
from tests.remediation.test_quorums import plan
from tests.remediation.world import CATALOGUE, connection_leak, settings

SCALE = Step(type="scale", service="cart", params={"replicas": 5}, reason="r")
RESTART = Step(type="restart", service="cart", params={}, reason="r")


class TwoSteps:
    name = "runbook"

    def plan(self, analysis, failed):
        return Proposal(
            planner="runbook", runbook="two", summary="s", steps=(SCALE, RESTART), cites=(analysis.items[0].id,)
        )


def test_each_step_of_a_plan_has_its_own_facts(make_world):
    world = make_world(planner=TwoSteps())
    world.open(connection_leak())
    (request,) = world.pending()
    scale, restart = request.steps
    assert [facts.action_id for facts in request.steps] == [one.id for one in request.plan.actions]
    assert (scale.risk, scale.downtime, scale.replicas, scale.tier) == (Risk.LOW, 0.0, 3, 2)
    assert scale.affected == ("cart",)
    assert restart.affected == ("cart", "web"), "who calls it notices when it is away"
    assert scale.undo == "undone by scale cart replicas=3"
    assert restart.undo == "cannot be undone"
    assert scale.proof == (
        "cart shows replicas = 5",
        'cpu_ratio{service="cart"} is normal for 3 windows',
        "no new alert on cart, web",
    )
    assert restart.reach == "one of 3 replicas at a time may be away for 20 s; cart, web may notice"
    assert scale.reach == "no downtime expected; cart may notice"


@pytest.mark.parametrize(
    ("changes", "reach"),
    [
        ({"replicas": 1}, "all of it may be away for 20 s; cart may notice"),
        ({"replicas": None}, "all of it may be away for 20 s; cart may notice"),
        ({"affected": ()}, "nobody knows who notices: the target is not in the service catalogue"),
    ],
)
def test_how_the_reach_reads(changes, reach):
    facts = StepFacts(
        action_id="a", risk=Risk.LOW, downtime=20.0, replicas=3, tier=2, affected=("cart",), undo="", proof=()
    )
    assert replace(facts, **changes).reach == reach


def seen(replicas):
    return Preview(action_id="act-1", resource_version="1", before=replicas, after={}, text="")


@pytest.mark.parametrize(
    ("deed", "before", "answer"),
    [
        (action(), {"replicas": 3}, "allow"),
        (action(), {"replicas": 1}, "ask"),
        (action(), {}, "ask"),
        (action(), {"replicas": True}, "ask"),
        (action("scale", replicas=5), {"replicas": 1}, "allow"),
    ],
)
def test_the_last_replica_does_not_go_away_by_itself(deed, before, answer):
    automatic = [{"action": kind, "min_replicas": 2} for kind in ("restart", "scale")]
    policy = settings(mode="auto", allow=ALL, automatic=automatic).policy
    verdict = decide_plan(plan(deed), policy, CATALOGUE, CALM, [seen(before)])
    assert verdict.answer is PolicyAnswer(answer)
    if answer == "ask":
        assert verdict.reasons[0].startswith("replicas: ")


def test_execution_looks_at_the_replicas_that_it_was_shown(make_world):
    """The run decides with the live state; a target with one replica left is asked, in the graph as in the pure rule."""
    world = make_world(settings(mode="auto", automatic=[{"action": "restart", "min_replicas": 2}]), planner=Restart())
    world.fleet.touch("cart", replicas=1)
    world.open(connection_leak())
    assert world.fleet.actions == []
    assert "replicas: 1 live, and 2 are wanted" in world.pending()[0].verdict.reasons


class Restart(TwoSteps):
    def plan(self, analysis, failed):
        return replace(super().plan(analysis, failed), steps=(RESTART,))
