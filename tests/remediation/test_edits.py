"""Edits are requests: the worker checks and rehearses them, and asks anew for exactly the edited plan."""

from dataclasses import replace

import pytest

from remediation.editing import edited
from sentinel.approvals import ApprovalStatus, Choice, Role
from sentinel.edits import EditOutcome
from sentinel.errors import RefusedError
from sentinel.plan_differences import differences
from sentinel.stores.sql.edits import Wish
from tests.contracts.sql import samples
from tests.remediation.world import connection_leak, settings


def wish(world, value, actor="bob", **changes):
    request = changes.pop("request", None) or world.pending()[0]
    fields = {"step": 1, "parameter": "replicas", "reason": "two are enough", "role": Role.APPROVER, **changes}
    made = Wish(request_id=request.id, digest=request.digest, value=value, actor=actor, **fields)
    return world.stores.edits.ask(made, now=world.clock.at)[0]


def asked(world):
    world.open(connection_leak())
    return world.pending()[0]


def test_an_edit_within_bounds_is_asked_anew_with_the_difference(world):
    first = asked(world)
    wish(world, 4)
    world.steps()
    assert world.stores.approvals.get(first.id).status is ApprovalStatus.SUPERSEDED
    (second,) = world.pending()
    assert second.digest != first.digest
    assert second.plan.actions[0].params == {"replicas": 4}
    assert second.previews[0].after["replicas"] == 4
    assert (second.replaces, second.requested_by, second.quorum.requesters) == (first.id, "bob", ("bob",))
    assert second.difference[:2] == ("scale cart: replicas 5 -> 4", "cart afterwards: replicas 5 -> 4")
    (edit,) = world.stores.edits.of(first.id)
    assert edit.outcome is EditOutcome.APPLIED
    asked_rows = [row for row in world.stores.runs.timeline("inc-1") if row.kind == "asked"]
    assert asked_rows[-1].details["difference"] == list(second.difference)
    audited = [r for r in world.stores.audit.find().items if r.action == "asked" and "difference" in r.details]
    assert audited[0].details["replaces"] == first.id
    assert world.fleet.actions == []


def test_who_edited_cannot_approve_and_the_edited_plan_is_what_runs(world):
    asked(world)
    wish(world, 4)
    world.steps()
    with pytest.raises(RefusedError, match="somebody else must approve"):
        world.answer(actor="bob")
    world.answer(actor="ann")
    world.steps()
    assert world.fleet.actions == [("scale", "cart", {"replicas": 4})]


def test_the_digest_that_was_seen_before_the_edit_approves_nothing(world):
    first = asked(world)
    wish(world, 4)
    world.steps()
    (second,) = world.pending()
    with pytest.raises(RefusedError) as caught:
        world.answer(request=replace(second, digest=first.digest))
    assert caught.value.rule == "wrong_digest"
    with pytest.raises(RefusedError) as caught:
        world.answer(request=first)
    assert caught.value.rule == "superseded"


def test_where_policy_lets_them_editors_approve(make_world):
    world = make_world(settings(approvers=[{"approvers": 1, "requester_may_approve": True}]))
    asked(world)
    wish(world, 4)
    world.steps()
    world.answer(actor="bob")
    world.steps()
    assert world.fleet.actions == [("scale", "cart", {"replicas": 4})]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (21, "must be between 1 and 20"),
        (0, "must be between"),
        (5, "is 5 already"),
        ("six", "whole number"),
        (True, "whole number"),
        (4.5, "whole number"),
    ],
)
def test_out_of_bounds_the_question_stays_as_it_is(world, value, why):
    first = asked(world)
    wish(world, value)
    world.steps()
    assert world.pending() == [first]
    (edit,) = world.stores.edits.of(first.id)
    assert edit.outcome is EditOutcome.REFUSED
    assert why in edit.answer
    assert "edit_refused" in world.kinds(connection_leak())
    world.answer()
    world.steps()
    assert world.fleet.actions == [("scale", "cart", {"replicas": 5})]


def test_an_edit_that_policy_denies_is_refused(world):
    """The breaker tripped between the question and the edit: the edited plan could not run."""
    asked(world)
    now = world.clock()
    world.stores.breakers.trip("global", until=now + 900, reason="failures", now=now)
    edit = wish(world, 4)
    world.steps()
    assert len(world.pending()) == 1
    assert "breaker" in world.stores.edits.of(edit.request_id)[0].answer


def test_an_edit_of_an_edit_bars_both(world):
    asked(world)
    wish(world, 4)
    world.steps()
    wish(world, 6, actor="cid")
    world.steps()
    (third,) = world.pending()
    assert third.quorum.requesters == ("bob", "cid")
    assert third.plan.planner == "runbook edited by cid"
    for actor in ("bob", "cid"):
        with pytest.raises(RefusedError):
            world.answer(actor=actor)


def test_an_edited_plan_never_runs_by_itself(make_world):
    """Mode auto lets a runbook scale; what a person has changed is asked, whoever it was."""
    world = make_world(settings(mode="auto", automatic=[{"action": "scale"}]), trusted=False)
    asked(world)
    wish(world, 4)
    for scope in ("global", "type:scale", "target:fleet//service/cart"):
        world.stores.breakers.close(scope, actor="ann", reason="r", now=world.clock())
    world.steps()
    assert world.fleet.actions == []
    assert "what runbook edited by bob proposes is always asked" in " ".join(world.pending()[0].verdict.reasons)


def test_an_approval_that_came_first_wins_over_the_edit(world):
    asked(world)
    wish(world, 4)
    world.answer()
    world.steps()
    assert world.fleet.actions == [("scale", "cart", {"replicas": 5})]


def test_half_an_approval_is_void_after_an_edit(make_world):
    world = make_world(settings(approvers=[{"approvers": 2}]))
    asked(world)
    world.answer(actor="ann")
    wish(world, 4)
    world.steps()
    world.answer(actor="cid")
    world.steps()
    assert world.fleet.actions == []
    assert [vote.actor for vote in world.stores.approvals.votes(world.pending()[0].id)] == ["cid"]


def test_drift_after_an_edit_keeps_the_edit_and_its_requester(world):
    asked(world)
    wish(world, 4)
    world.steps()
    (second,) = world.pending()
    world.fleet.touch("cart", version="9.9.9")
    world.answer(actor="ann")
    world.steps()
    (third,) = world.pending()
    assert third.plan == second.plan
    assert third.quorum.requesters == ("bob",)
    assert third.replaces == second.id
    assert "cart: resource version 1 -> 2" in third.difference
    assert "cart now: version 1.1.0 -> 9.9.9" in third.difference
    assert world.fleet.actions == []


def test_a_question_asked_again_for_want_of_an_answer_has_no_difference(world):
    first = asked(world)
    world.clock.at += 901
    world.steps()
    (again,) = world.pending()
    assert (again.replaces, again.difference) == (first.id, ())


def test_the_next_attempt_begins_without_a_difference(world):
    asked(world)
    world.answer(Choice.REJECT, reason="something else, please")
    world.steps()
    for request in world.pending():
        assert (request.attempt, request.replaces, request.difference) == (2, "", ())


def test_the_pure_difference_names_steps_versions_and_policy():
    before = samples.request()
    other = replace(samples.ACTION, id="act-2", type="restart", params={})
    plan = replace(samples.PLAN, actions=(other,))
    verdict = replace(before.verdict, policy_version="p2", reasons=("tier: 0 needs a person",))
    assert differences(before, plan, (), verdict) == (
        "no longer: rollback checkout",
        "new: restart checkout",
        "policy: version p1 -> p2",
        "policy says now: tier: 0 needs a person",
    )
    assert differences(before, before.plan, before.previews, before.verdict) == ()


def test_an_edit_keeps_ids_and_everything_else():
    plan = replace(samples.PLAN, actions=(replace(samples.ACTION, type="scale", params={"replicas": 3}),))
    edit = samples.edit(parameter="replicas", value=7)
    new = edited(plan, edit)
    assert (new.id, new.actions[0].id, new.actions[0].target) == (plan.id, plan.actions[0].id, plan.actions[0].target)
    assert new.actions[0].params == {"replicas": 7}
    with pytest.raises(RefusedError, match="no step 2"):
        edited(plan, samples.edit(step=2))


def test_a_crash_after_the_edit_was_applied_loses_it_not(world):
    """The transaction that closes the question is in SQL, and the step of the graph after it is not."""
    first = asked(world)
    edit = wish(world, 4)
    world.stores.approvals.supersede(first.id, now=world.clock.at)
    world.stores.edits.answer(edit, EditOutcome.APPLIED, "", now=world.clock.at)
    world.restart()
    world.clock.at += 901
    world.steps()
    (second,) = world.pending()
    assert second.plan.actions[0].params == {"replicas": 4}
    assert second.quorum.requesters == ("bob",)
