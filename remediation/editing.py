"""An edited plan: one parameter of one step is another, within the catalogue's bounds, and it can be done as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from remediation import rehearsal
from remediation.catalogue import check_params, describe, find_type, refuse_repetition
from remediation.evidence import FailedAttempt
from remediation.journal import About
from remediation.live import read_conditions
from remediation.objections import refuse_rejected
from remediation.parts import Parts
from remediation.policy import decide_plan
from sentinel.edits import ApprovalEdit
from sentinel.errors import RefusedError
from sentinel.plans import Plan, PolicyAnswer


def edited(plan: Plan, edit: ApprovalEdit) -> Plan:
    """The plan with the edit in it. Its planner says who edited it, so policy never trusts it to run by itself.

    Ids stay: what the plan's actions did under their ids counts for the edited ones. Raises `RefusedError` for a step
    that there is not, and for parameters that the catalogue refuses.
    """
    if not 1 <= edit.step <= len(plan.actions):
        raise RefusedError("edit", f"the plan has no step {edit.step}")
    old = plan.actions[edit.step - 1]
    new = replace(old, params={**old.params, edit.parameter: edit.value})
    check_params(find_type(new.type), new.params)
    if new == old:
        raise RefusedError("edit", f"{edit.parameter} is {edit.value} already")
    actions = tuple(new if action.id == old.id else action for action in plan.actions)
    planner = plan.planner.partition(" edited by ")[0]
    return replace(plan, actions=actions, planner=f"{planner} edited by {edit.actor}")


def rehearse(parts: Parts, about: About, plan: Plan, failed: Sequence[FailedAttempt]) -> None:
    """Raise `PermanentError` when the edited plan repeats what failed, cannot be rehearsed or is denied by policy.

    Raises `TransientError` while an executor or the database is away.
    """
    refuse_repetition(plan, [action for attempt in failed for action in attempt.deeds])
    refuse_rejected(plan, failed)
    previews = [rehearsal.rehearse(parts, action) for action in plan.actions]
    conditions = read_conditions(parts, about, plan)
    verdict = decide_plan(plan, parts.settings.policy, parts.services, conditions, previews)
    if verdict.answer is PolicyAnswer.DENY:
        raise RefusedError("policy", "; ".join(verdict.reasons))


def said(edit: ApprovalEdit, plan: Plan) -> str:
    """A readable line: who wanted what of which step of `plan` (as it was before)."""
    action = plan.actions[edit.step - 1]
    why = f" ({edit.reason})" if edit.reason else ""
    return (
        f"{edit.actor} edits {describe(action)}: {edit.parameter} {action.params[edit.parameter]} -> {edit.value}{why}"
    )
