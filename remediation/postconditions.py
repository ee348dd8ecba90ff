"""What an action left behind must still be so when its effect is judged: else what is judged is somebody else's doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from remediation.execution import applied_of
from remediation.executors.protocol import Applied
from remediation.parts import Parts
from sentinel.plans import Scalar, Target

PASSING = frozenset({"revision", "deployment", "previous_task_definition", "launched", "rebooted"})
"""Fields that count or date what happens to a target: they move on, also when a state is put back."""


def changed_fields(applied: Applied) -> dict[str, Scalar]:
    """What the action changed, as it left it; without the fields that only move on."""
    before, after = applied.before.fields, applied.after.fields
    return {name: value for name, value in after.items() if name not in PASSING and before.get(name) != value}


def differences(wanted: Mapping[str, Scalar], live: Mapping[str, Scalar]) -> list[str]:
    """`field is x, not y` for each field that is not as wanted. Pure."""
    return [f"{name} is {live.get(name)}, not {value}" for name, value in wanted.items() if live.get(name) != value]


def unmet(parts: Parts, keys: Sequence[str]) -> str:
    """Why the applied actions `keys` are not what runs now, or an empty string; one look at each target.

    Of several actions on one target the last one counts. Raises `TransientError` while an executor is away.
    """
    wanted: dict[Target, dict[str, Scalar]] = {}
    for key in keys:
        entry = parts.stores.ledger.get(key)
        if entry is not None:
            wanted.setdefault(entry.action.target, {}).update(changed_fields(applied_of(entry)))
    problems = []
    for target, fields in wanted.items():
        live = parts.executor(target).observe(target).fields
        problems += [f"{target.name}: {one}" for one in differences(fields, live)]
    return "; ".join(problems)
