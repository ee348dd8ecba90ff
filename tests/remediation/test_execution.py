"""Execution trusts nobody: it checks policy, digest, approval and expiry itself, and acts once."""

from dataclasses import replace

import pytest

from remediation.catalogue import Proposal, Step, assemble
from remediation.evidence import candidate_targets
from remediation.execution import action_key, execute
from remediation.journal import About
from remediation.live import read_conditions
from remediation.orders import Order, Stop
from remediation.policy import decide_plan, policy_version
from remediation.rollback import undo
from sentinel.approvals import ApprovalRequest, Choice, Role
from sentinel.incidents import IncidentStatus
from sentinel.plans import approval_digest
from sentinel.runs import LedgerEntry, LedgerStatus
from sentinel.stores.sql.approvals import Answer
from tests.remediation.world import CATALOGUE, connection_leak, later, settings


def prepare(world, *steps, approve=Choice.APPROVE, attempt=1, number=1):
    """An order for steps at the cart, asked and answered as the graph would have it."""
    one = connection_leak()
    world.stores.incidents.upsert(one)
    steps = steps or (Step(type="scale", service="cart", params={"replicas": 5}, reason="r"),)
    proposal = Proposal(planner="t", runbook="b", summary="s", steps=steps, cites=("ev-1",))
    plan = assemble(proposal, one.id, attempt, candidate_targets(one, CATALOGUE))
    previews = tuple(world.executor.dry_run(action) for action in plan.actions)
    about = About(run_id="run-1", incident_id=one.id, attempt=attempt, trace_id="", service="cart")
    verdict = decide_plan(plan, world.settings.policy, CATALOGUE, read_conditions(world.parts, about, plan))
    digest = approval_digest(plan, previews, verdict.policy_version)
    now = world.clock()
    request = ApprovalRequest(
        id=f"apr-{number}", incident_id=one.id, run_id="run-1", attempt=attempt, asked=1, digest=digest, plan=plan,
        previews=previews, verdict=verdict, requested_by="t", requested_at=now, expires_at=now + 100,
    )  # fmt: skip
    world.stores.approvals.create(request)
    if approve:
        answer = Answer(request_id=f"apr-{number}", digest=digest, choice=approve, actor="ann", role=Role.APPROVER)
        world.stores.approvals.decide(answer, now=now)
    return Order(about=about, plan=plan, previews=previews, digest=digest, request_id=f"apr-{number}", suspect="cart")


def test_an_approved_order_runs_once_however_often_it_is_given(world):
    order = prepare(world)
    first = execute(world.parts, order)
    assert first.stop is None
    assert execute(world.parts, order) == first
    assert world.fleet.actions == [("scale", "cart", {"replicas": 5})]
    entry = world.stores.ledger.get(first.keys[0])
    assert entry.pre_state["replicas"] == 3
    assert entry.inverse.params == {"replicas": 3}


@pytest.mark.parametrize("choice", [None, Choice.REJECT])
def test_without_an_approval_nothing_runs(world, choice):
    done = execute(world.parts, prepare(world, approve=choice))
    assert done.stop is Stop.DENIED
    assert world.fleet.actions == []


@pytest.mark.parametrize(
    ("forge", "stop"),
    [
        (lambda order: replace(order, digest="0" * 64), Stop.DRIFT),
        (lambda order: replace(order, request_id="apr-2"), Stop.DENIED),
        (lambda order: replace(order, request_id=""), Stop.EXPIRED),
        (lambda order: replace(order, about=replace(order.about, run_id="run-2")), Stop.DENIED),
        (lambda order: replace(order, about=replace(order.about, attempt=2)), Stop.DENIED),
        (lambda order: replace(order, suspect="web"), Stop.RECOVERED),
        (lambda order: _with_params(order, replicas=20), Stop.DRIFT),
        (lambda order: _with_params(order, resign=True, replicas=20), Stop.DENIED),
    ],
)
def test_a_forged_order_does_not_run(world, forge, stop):
    assert execute(world.parts, forge(prepare(world))).stop is stop
    assert world.fleet.actions == []


def _with_params(order, *, resign=False, **params):
    """Other parameters under the old digest, or under a digest made to fit that nobody approved."""
    plan = replace(order.plan, actions=(replace(order.plan.actions[0], params=params),))
    if not resign:
        return replace(order, plan=plan)
    version = policy_version(settings().policy)
    return replace(order, plan=plan, digest=approval_digest(plan, order.previews, version))


def test_an_expired_approval_does_not_run(world):
    order = prepare(world)
    world.clock.at += 101
    assert execute(world.parts, order).stop is Stop.EXPIRED
    assert world.fleet.actions == []


def test_a_policy_that_changed_after_the_approval_voids_it(make_world):
    order = prepare(make_world())
    closed = make_world(settings(allow=[]))
    assert execute(closed.parts, order).stop is Stop.DENIED
    other = make_world(settings(max_affected=7))
    assert execute(other.parts, order).stop is Stop.DRIFT


def test_an_incident_that_is_over_voids_it(world):
    order = prepare(world)
    world.stores.incidents.upsert(later(connection_leak(), status=IncidentStatus.RESOLVED))
    assert execute(world.parts, order).stop is Stop.RECOVERED


def test_a_changed_target_is_drift(world):
    order = prepare(world)
    world.fleet.touch("cart")
    assert execute(world.parts, order).stop is Stop.DRIFT
    assert world.stores.ledger.find(run_id="run-1") == []


def test_several_actions_on_one_target_run_in_order_and_are_undone_in_reverse(world):
    steps = (
        Step(type="scale", service="cart", params={"replicas": 5}, reason="r"),
        Step(type="rollback", service="cart", params={}, reason="r"),
        Step(type="restart", service="cart", params={}, reason="r"),
    )
    order = prepare(world, *steps)
    done = execute(world.parts, order)
    assert (done.stop, len(done.keys)) == (None, 3)
    undone = undo(world.parts, order.about, done.keys)
    assert not undone.complete
    assert undone.lines[0] == "restart cart cannot be undone"
    assert [action[0] for action in world.fleet.actions] == ["scale", "rollback", "restart", "deploy", "scale"]
    state = world.fleet.states["cart"]
    assert (state["version"], state["replicas"]) == ("1.1.0", 3)


def test_undo_goes_back_step_by_step_and_once(world):
    steps = (
        Step(type="rollback", service="cart", params={}, reason="r"),
        Step(type="scale", service="cart", params={"replicas": 5}, reason="r"),
    )
    order = prepare(world, *steps)
    done = execute(world.parts, order)
    assert undo(world.parts, order.about, done.keys).complete
    assert undo(world.parts, order.about, done.keys).complete
    assert [action[0] for action in world.fleet.actions] == ["rollback", "scale", "scale", "deploy"]
    state = world.fleet.states["cart"]
    assert (state["version"], state["replicas"]) == ("1.1.0", 3)


def test_what_somebody_else_changed_since_is_not_undone(world):
    order = prepare(world)
    done = execute(world.parts, order)
    world.fleet.touch("cart", replicas=8)
    undone = undo(world.parts, order.about, done.keys)
    assert not undone.complete
    assert world.fleet.states["cart"]["replicas"] == 8


def test_an_intent_from_before_a_crash_ends_when_its_approval_has(world):
    order = prepare(world)
    _crashed_before_acting(world, order)
    world.clock.at += 101
    assert execute(world.parts, order).stop is Stop.EXPIRED
    assert world.fleet.actions == []
    (entry,) = world.stores.ledger.find(run_id="run-1")
    assert entry.status is LedgerStatus.FAILED


def test_an_action_that_ran_before_a_crash_is_taken_over_even_after_expiry(world):
    order = prepare(world)
    _crashed_before_acting(world, order)
    action = order.plan.actions[0]
    world.executor.apply(action, order.previews[0].resource_version, action_key(order, action))
    world.clock.at += 101
    assert execute(world.parts, order).stop is None
    assert len(world.fleet.actions) == 1


def _crashed_before_acting(world, order):
    preview, action = order.previews[0], order.plan.actions[0]
    world.stores.ledger.begin(
        LedgerEntry(
            key=action_key(order, action),
            run_id="run-1",
            incident_id=order.about.incident_id,
            attempt=1,
            action=action,
            pre_state={**preview.before, "resource_version": preview.resource_version},
            inverse=None,
            started_at=world.clock(),
        )
    )


def test_a_dry_run_executor_ends_as_not_executed(make_world):
    from remediation.executors.dry_run import DryRunExecutor

    world = make_world(executor=DryRunExecutor)
    assert execute(world.parts, prepare(world)).stop is Stop.DRY_RUN
    assert world.fleet.actions == []
    assert len(world.executor.recorded) == 1
