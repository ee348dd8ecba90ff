"""How many people must approve, and that execution counts them for itself."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from remediation.execution import execute
from remediation.orders import Stop
from remediation.policy import decide_plan
from remediation.quorums import ApproverRule, quorum_of, unmet
from remediation.settings import PolicySettings
from sentinel.approvals import ApprovalDecision, ApprovalStatus, Choice, Role
from sentinel.plans import Plan
from sentinel.stores.sql import tables
from sentinel.stores.sql.approvals import Answer
from tests.contracts.sql import samples
from tests.remediation.test_execution import prepare
from tests.remediation.test_policy import CALM, action, ask
from tests.remediation.world import CATALOGUE, bad_deploy, settings

HIGH = ApproverRule(approvers=2, min_risk="medium")
TOP = ApproverRule(approvers=3, max_tier=0)


def plan(*actions):
    return Plan(
        id="pln-1", incident_id="inc-1", attempt=1, planner="runbook", runbook="b", summary="s", actions=actions,
        evidence=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("actions", "approvers"),
    [
        ([action()], 1),
        ([action("rollback")], 2),
        ([action(), action("rollback")], 2),
        ([action(name="payments")], 3),
        ([action("rollback", "payments")], 3),
        ([action(name="stranger")], 3),
    ],
)
def test_risk_and_tier_say_how_many(actions, approvers):
    quorum = quorum_of(plan(*actions), [HIGH, TOP], {"ann": ["slack:U0ANN"]}, CATALOGUE)
    assert (quorum.approvers, quorum.separate, quorum.people) == (approvers, True, {"slack:U0ANN": "ann"})


def test_requesters_may_approve_only_where_every_rule_that_holds_says_so():
    lenient = replace_rule(HIGH, requester_may_approve=True)
    assert quorum_of(plan(action("rollback")), [lenient], {}, CATALOGUE).separate is False
    assert quorum_of(plan(action("rollback", "payments")), [lenient, TOP], {}, CATALOGUE).separate is True
    assert quorum_of(plan(action()), [lenient], {}, CATALOGUE).separate is True


def replace_rule(rule, **changes):
    return ApproverRule.model_validate(rule.model_dump() | changes)


def test_an_actor_is_one_person():
    with pytest.raises(ValueError, match="bob stands more than once"):
        PolicySettings.model_validate({"people": {"ann": ["bob"], "bob": ["bob"]}})


def test_policy_says_so_where_it_asks():
    rules = [{"approvers": 2, "min_risk": "medium"}]
    assert "approvers" not in " ".join(ask(action(), mode="approve").reasons)
    world_settings = settings(approvers=rules).policy
    verdict = decide_plan(plan(action("rollback")), world_settings, CATALOGUE, CALM)
    assert verdict.reasons[-1] == "approvers: 2 different people must approve"


def vote(actor="ann", choice=Choice.APPROVE, **changes):
    fields = {"role": Role.APPROVER, "decided_at": 150.0, "digest": samples.DIGEST, **changes}
    return ApprovalDecision(request_id="apr-1", choice=choice, actor=actor, reason="", **fields)


@pytest.mark.parametrize(
    ("votes", "enough"),
    [
        ([], False),
        ([vote()], False),
        ([vote(), vote("bob")], True),
        ([vote(), vote("slack:U0ANN")], False),
        ([vote(), vote("eve")], False),
        ([vote(), vote("bob", role=Role.VIEWER)], False),
        ([vote(), vote("bob", digest="0" * 64)], False),
        ([vote(), vote("bob", decided_at=200.0)], False),
        ([vote(), vote("bob"), vote("cid", Choice.REJECT)], False),
    ],
)
def test_only_votes_of_people_who_may_on_the_digest_in_time_count(votes, enough):
    quorum = quorum_of(plan(action("rollback")), [HIGH], {"ann": ["ann", "slack:U0ANN"]}, CATALOGUE, ["eve"])
    assert (unmet(quorum, samples.request(), votes) == "") is enough


def two(**policy):
    return settings(approvers=[{"approvers": 2}], people={"ann": ["slack:U0ANN"]}, **policy)


def vote_in(world, actor, request, choice=Choice.APPROVE):
    answer = Answer(request_id=request.id, digest=request.digest, choice=choice, actor=actor, role=Role.APPROVER)
    return world.stores.approvals.decide(answer, now=world.clock.at)[0]


def test_a_run_waits_for_the_second_person(make_world):
    world = make_world(two())
    world.open(bad_deploy())
    (request,) = world.pending()
    vote_in(world, "ann", request)
    world.steps()
    assert world.fleet.actions == []
    assert world.pending() == [request]
    vote_in(world, "bob", request)
    world.steps()
    assert world.fleet.actions == [("rollback", "checkout", {})]


def test_one_rejection_ends_it(make_world):
    world = make_world(two())
    one = bad_deploy()
    world.open(one)
    (request,) = world.pending()
    vote_in(world, "ann", request)
    vote_in(world, "bob", request, Choice.REJECT)
    world.steps()
    assert world.fleet.actions == []
    assert world.results(one) == ["not_executed"]


@pytest.mark.parametrize(
    ("forged", "stop"),
    [
        ({"actor": "bob", "person": "bob"}, None),
        ({"actor": "slack:U0ANN", "person": "another"}, Stop.DENIED),
        ({"actor": "bob", "person": "bob", "role": "viewer"}, Stop.DENIED),
        ({"actor": "bob", "person": "bob", "digest": "0" * 64}, Stop.DENIED),
        ({"actor": "bob", "person": "bob", "decided_at": 9e9}, Stop.DENIED),
    ],
)
def test_execution_counts_the_votes_itself_whatever_the_status_says(make_world, forged, stop):
    """The second vote is put into the table behind the store's back, and closes the request."""
    world = make_world(two())
    order = prepare(world)
    row = {
        "request_id": "apr-1", "choice": "approve", "closes": 1, "digest": order.digest, "role": "approver",
        "reason": "", "decided_at": world.clock.at,
    }  # fmt: skip
    with world.stores.database.write() as connection:
        connection.execute(sa.update(tables.approval_votes).values(closes=0))
        connection.execute(sa.insert(tables.approval_votes).values(row | forged))
    assert world.stores.approvals.get("apr-1").status is ApprovalStatus.APPROVED
    done = execute(world.parts, order)
    assert done.stop is stop
    assert len(world.fleet.actions) == (stop is None)


def test_a_policy_that_asks_for_more_people_since_voids_the_approval(make_world):
    order = prepare(make_world())
    stricter = make_world(two())
    assert execute(stricter.parts, order).stop is Stop.DRIFT
    assert execute(stricter.parts, replace(order, digest="0" * 64)).stop is Stop.DRIFT
    assert stricter.fleet.actions == []
