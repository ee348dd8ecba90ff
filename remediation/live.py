"""The live state that policy decides on: read from the stores anew, right before it counts."""

from __future__ import annotations

from remediation.journal import About
from remediation.learning import attempt_name
from remediation.limits import Deed, longest
from remediation.parts import Parts
from remediation.policy import Conditions
from sentinel.plans import Plan, Target
from sentinel.runs import LedgerStatus
from sentinel.safety import scopes_of


def read_conditions(parts: Parts, about: About, plan: Plan) -> Conditions:
    """What the decision about an attempt's plan rests on, now.

    Raises `TransientError` while the database is away: then nothing can be decided.
    """
    now = parts.now()
    scopes = {scope for action in plan.actions for scope in scopes_of(action)}
    return Conditions(
        now=now,
        kill_switch=parts.stores.kill_switch.read(),
        breakers=parts.stores.breakers.of(sorted(scopes)),
        deeds=_deeds(parts, about, now),
        attempt=attempt_name(about),
        rejected=parts.stores.approvals.rejected(about.run_id),
    )


def killed(parts: Parts, target: Target, version: str) -> str:
    """Why an action on a target that was last seen at `version` must not begin: the kill switch; empty when it may.

    Asked right before the call that acts. A target that has moved on may have got the call before a crash: then asking
    again under the same key and version can only bring the first answer back, or a refusal.
    """
    switch = parts.stores.kill_switch.read()
    if not switch.on or parts.executor(target).observe(target).resource_version != version:
        return ""
    return f"kill switch: {switch.text}"


def _deeds(parts: Parts, about: About, now: float) -> tuple[Deed, ...]:
    """What other attempts began lately, from the ledger: undos and what the executor refused do not count."""
    limits = parts.settings.policy.limits
    if not limits:
        return ()
    return tuple(
        Deed(at=entry.started_at, action=entry.action)
        for entry in parts.stores.ledger.find(since=now - longest(limits))
        if not entry.undo_of
        and entry.status is not LedgerStatus.FAILED
        and (entry.run_id, entry.attempt) != (about.run_id, about.attempt)
    )
