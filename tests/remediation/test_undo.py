"""The way back: rehearsed before an action is allowed, verified after it was gone, and told where it failed."""

from dataclasses import replace

import pytest

from remediation.catalogue import Step
from remediation.execution import execute
from remediation.executors.protocol import Applied
from remediation.orders import Stop
from remediation.rehearsal import rehearse
from remediation.rollback import undo
from sentinel.errors import PermanentError, RefusedError
from tests.remediation.test_execution import prepare
from tests.remediation.world import bad_deploy, connection_leak, memory_leak, settings

AUTO = {"mode": "auto", "automatic": [{"action": "scale"}]}


class Changed:
    """An executor with one method of a test's own."""

    backend = "fleet"

    def __init__(self, inner, **methods):
        self._inner, self._methods = inner, methods

    def __getattr__(self, name):
        return self._methods.get(name) or getattr(self._inner, name)


def no_dry_run_of_the_inverse(inner):
    def dry_run(action):
        if action.reason.startswith("undo of"):
            raise PermanentError("it may not do this")
        return inner.dry_run(action)

    return Changed(inner, dry_run=dry_run)


def no_inverse(inner):
    return Changed(inner, inverse=lambda *_: None)


def undoes_something_else(inner):
    """Says it put five replicas back and did, where there were three."""

    def inverse(action, before):
        found = inner.inverse(action, before)
        return replace(found, params={"replicas": 4}) if action.type == "scale" else found

    return Changed(inner, inverse=inverse)


@pytest.mark.parametrize("executor", [no_dry_run_of_the_inverse, no_inverse])
def test_an_action_whose_undo_does_not_rehearse_is_refused(make_world, executor):
    world = make_world(settings(**AUTO), executor=executor)
    world.open(connection_leak())
    world.steps()
    assert world.fleet.actions == []
    reasons = [outcome.reason for outcome in world.stores.outcomes.find()]
    assert "undo_not_rehearsed" in reasons[0]


def test_it_is_rehearsed_again_right_before(world):
    order = prepare(world)
    world.executor = no_dry_run_of_the_inverse(world.executor)
    world.restart()
    done = execute(world.parts, order)
    assert done.stop is Stop.FAILED
    assert "undo_not_rehearsed" in done.reason
    assert world.fleet.actions == []


def test_who_approves_reads_what_would_undo_it(world):
    world.open(bad_deploy())
    (request,) = world.pending()
    assert request.previews[0].text.endswith("undone by deploy checkout version=1.1.0 (rehearsed)")
    order = prepare(world, Step(type="restart", service="cart", params={}, reason="r"), number=2)
    assert order.plan.actions[0].reversible is False
    assert rehearse(world.parts, order.plan.actions[0]).text.endswith("cannot be undone")


def test_what_cannot_be_undone_may_be_forbidden(make_world):
    world = make_world(settings(irreversible=False))
    world.open(memory_leak())
    assert world.pending() == []
    (outcome,) = world.stores.outcomes.find()
    assert "irreversible: restart cannot be undone" in outcome.reason


def test_an_undo_that_does_not_bring_the_state_back_has_failed(make_world):
    world = make_world(settings(**AUTO), executor=undoes_something_else)
    one = connection_leak()
    world.open(one)
    world.windows(one, *["abnormal"] * 10)
    world.steps()
    assert [params for _, _, params in world.fleet.actions] == [{"replicas": 5}, {"replicas": 4}]
    kinds = world.kinds(one)
    assert "undo_failed" in kinds
    assert "undo" not in kinds
    (outcome,) = world.stores.outcomes.find()
    assert not outcome.undone
    assert "replicas is 4, not 3" in outcome.reason
    assert [notice.kind for notice in world.notices.notices].count("escalated") == 1, "a person is paged"
    assert not world.stores.runs.unfinished(), "nothing more is tried on a target in an unknown state"
    assert [record.action for record in world.stores.audit.records()].count("undo_failed") == 1


def test_an_executor_that_only_says_so_has_not_undone(world):
    order = prepare(world)
    done = execute(world.parts, order)
    real = world.executor
    lying = replace(real.observe(order.plan.actions[0].target), resource_version="2")

    def apply(action, version, key):
        promised = replace(lying, fields={**lying.fields, **action.params})
        return Applied(changed=True, before=lying, after=promised, effective_at=1.0, downtime=0.0)

    world.executor = Changed(real, apply=apply)
    world.restart()
    undone = undo(world.parts, order.about, done.keys)
    assert undone.failed
    assert "replicas is 5, not 3" in undone.lines[0]


def test_a_refused_undo_is_told_and_paged(world):
    order = prepare(world)
    done = execute(world.parts, order)
    real = world.executor

    def apply(action, version, key):
        raise RefusedError("role", "it may not")

    world.executor = Changed(real, apply=apply)
    world.restart()
    undone = undo(world.parts, order.about, done.keys)
    assert (undone.complete, undone.failed) == (False, True)


def test_an_irreversible_action_is_no_failed_undo(world):
    order = prepare(world, Step(type="restart", service="cart", params={}, reason="r"))
    done = execute(world.parts, order)
    undone = undo(world.parts, order.about, done.keys)
    assert (undone.complete, undone.failed) == (False, False)


def test_a_fix_whose_action_somebody_took_back_is_not_verifiable(make_world):
    world = make_world(settings(**AUTO))
    one = connection_leak()
    world.open(one)
    world.fleet.touch("cart", replicas=3)
    world.windows(one, "normal", "normal", "normal")
    assert world.results(one) == ["not_verifiable"]
    (outcome,) = world.stores.outcomes.find()
    assert "cart: replicas is 3, not 5" in outcome.reason


def test_what_somebody_else_changes_elsewhere_does_not_matter(make_world):
    world = make_world(settings(**AUTO))
    one = connection_leak()
    world.open(one)
    world.fleet.touch("cart", version="1.2.0")
    world.windows(one, "normal", "normal", "normal")
    assert world.results(one) == ["verified"]
