"""What puts a state back. Pure."""

from __future__ import annotations

from remediation.catalogue import Step, describe, make_action
from remediation.executors.protocol import TargetState
from sentinel.canonical import short_id
from sentinel.errors import RefusedError
from sentinel.plans import Action, Scalar

_SWITCHES = {
    "pause_rollout": ("resume_rollout", "paused", False),
    "resume_rollout": ("pause_rollout", "paused", True),
    "cordon": ("uncordon", "cordoned", False),
    "uncordon": ("cordon", "cordoned", True),
}
"""Type to its inverse, and the field with the value that it must have had for there to be anything to put back."""


def inverse_of(action: Action, before: TargetState) -> Action | None:
    """The action that puts `before` back, or None where nothing has to, or nothing within the catalogue's bounds does."""
    params: dict[str, Scalar]
    match action.type:
        case "scale":
            kind, params = "scale", {"replicas": before.fields["replicas"]}
        case "rollback" | "rollback_to" | "set_image" | "set_memory" | "set_cpu":
            kind, params = "rollback_to", {"revision": before.fields["revision"]}
        case "set_config":
            value = before.fields.get(f"data.{action.params['key']}")
            if value is None:
                return None
            kind, params = "set_config", {"key": action.params["key"], "value": value}
        case "pause_rollout" | "resume_rollout" | "cordon" | "uncordon":
            kind, field, undoable = _SWITCHES[action.type]
            if before.fields[field] != undoable:
                return None
            params = {}
        case _:
            return None
    step = Step(type=kind, service=action.target.serves, params=params, reason=f"undo of {describe(action)}")
    try:
        return make_action(short_id("act", action.id, "undo"), step, action.target)
    except RefusedError:
        return None
