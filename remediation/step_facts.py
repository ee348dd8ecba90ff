"""Computes the facts of a plan's steps from topology, live states, the executors' inverses and what verification wants."""

from __future__ import annotations

from remediation.catalogue import describe
from remediation.executors.protocol import TargetState
from remediation.parts import Parts
from remediation.policy import blast_radius, live_replicas
from remediation.watching import guarded
from sentinel.incidents import Incident
from sentinel.plans import Action, Plan, Preview
from sentinel.step_facts import StepFacts


def step_facts(parts: Parts, incident: Incident, plan: Plan, previews: tuple[Preview, ...]) -> tuple[StepFacts, ...]:
    """The facts of each step, in order. `previews` are the plan's, from dry runs on the live targets."""
    by_action = {preview.action_id: preview for preview in previews}
    return tuple(_facts(parts, incident, action, by_action[action.id]) for action in plan.actions)


def _facts(parts: Parts, incident: Incident, action: Action, preview: Preview) -> StepFacts:
    entry = parts.services.services.get(action.target.serves)
    return StepFacts(
        action_id=action.id,
        risk=action.risk,
        downtime=action.expected_downtime,
        replicas=live_replicas(preview),
        tier=entry.tier if entry else None,
        affected=tuple(sorted(blast_radius(action, parts.services))),
        undo=_undo(parts, action, preview),
        proof=_proof(parts, incident, action, preview),
    )


def _undo(parts: Parts, action: Action, preview: Preview) -> str:
    before = TargetState(resource_version=preview.resource_version, fields=preview.before)
    inverse = parts.executor(action.target).inverse(action, before)
    return f"undone by {describe(inverse)}" if inverse else "cannot be undone"


def _proof(parts: Parts, incident: Incident, action: Action, preview: Preview) -> tuple[str, ...]:
    """What the target must show, what the incident's own series must show, and what its neighbours must not."""
    changed = [f"{key} = {value}" for key, value in sorted(preview.after.items()) if preview.before.get(key) != value]
    series = sorted(alert.series.key for alert in incident.alerts if alert.firing)
    windows = parts.settings.verification.normal_windows
    around = ", ".join(sorted(guarded(parts, incident, (action.target.serves,))))
    return (
        *([f"{action.target.name} shows {', '.join(changed)}"] if changed else []),
        *(f"{one} is normal for {windows} windows" for one in series),
        f"no new alert on {around}",
    )
