"""The one place where an executor is told to act: the kill switch and both leases are asked right before the call."""

from __future__ import annotations

from remediation.executors.protocol import Applied
from remediation.journal import About
from remediation.live import killed
from remediation.parts import Parts
from sentinel.errors import RefusedError
from sentinel.plans import Action


def act(parts: Parts, about: About, action: Action, *, version: str, key: str, epoch: int) -> Applied:
    """Apply the action, provided that its target is at `version` and still in the hands of this run at `epoch`.

    Raises `RefusedError` with rule `kill_switch`, and `drift` where the target has changed; `LeaseLostError` where
    another worker or run has taken over; and what the executor raises. `key` makes a repeat harmless.
    """
    if reason := killed(parts, action.target, version):
        raise RefusedError("kill_switch", reason)
    parts.stores.targets.check(action.target.key, run_id=about.run_id, epoch=epoch)
    parts.stores.runs.still_held()
    return parts.executor(action.target).apply(action, version, key)
