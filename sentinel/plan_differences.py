"""What a new question asks that the one before it did not: readable lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sentinel.approvals import ApprovalRequest
from sentinel.plans import Action, Plan, PolicyVerdict, Preview, Scalar


def differences(
    before: ApprovalRequest, plan: Plan, previews: tuple[Preview, ...], verdict: PolicyVerdict
) -> tuple[str, ...]:
    """Lines from the old question to the new one: steps, parameters, live states, versions, policy; empty when equal."""
    return tuple(_lines(before, plan, previews, verdict))


def _lines(before: ApprovalRequest, plan: Plan, previews: tuple[Preview, ...], verdict: PolicyVerdict) -> Iterator[str]:
    old_actions = {action.id: action for action in before.plan.actions}
    old_previews = {preview.action_id: preview for preview in before.previews}
    new_previews = {preview.action_id: preview for preview in previews}
    for action in before.plan.actions:
        if action.id not in {one.id for one in plan.actions}:
            yield f"no longer: {_named(action)}"
    for action in plan.actions:
        old, preview = old_actions.get(action.id), new_previews.get(action.id)
        if old is None:
            yield f"new: {_named(action)}"
            continue
        yield from _changed(f"{_named(action)}:", old.params, action.params)
        was = old_previews.get(action.id)
        if was is None or preview is None:
            continue
        if was.resource_version != preview.resource_version:
            yield f"{action.target.name}: resource version {was.resource_version} -> {preview.resource_version}"
        yield from _changed(f"{action.target.name} now:", was.before, preview.before)
        yield from _changed(f"{action.target.name} afterwards:", was.after, preview.after)
    if before.verdict.policy_version != verdict.policy_version:
        yield f"policy: version {before.verdict.policy_version} -> {verdict.policy_version}"
    for reason in verdict.reasons:
        if reason not in before.verdict.reasons:
            yield f"policy says now: {reason}"


def _changed(where: str, old: Mapping[str, Scalar], new: Mapping[str, Scalar]) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield f"{where} {key} {_shown(old.get(key))} -> {_shown(new.get(key))}"


def _shown(value: Scalar | None) -> str:
    return "nothing" if value is None else str(value)


def _named(action: Action) -> str:
    return f"{action.type} {action.target.name}"
