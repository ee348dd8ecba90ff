"""Undo: put the stored pre-states back, last action first."""

from __future__ import annotations

from dataclasses import dataclass

from remediation.acting import act
from remediation.catalogue import describe
from remediation.execution import VERSION_FIELD, applied_of
from remediation.journal import About, Entry
from remediation.parts import Parts
from remediation.postconditions import changed_fields, differences
from sentinel.canonical import plain, short_id
from sentinel.errors import PermanentError
from sentinel.metrics import ACTIONS_APPLIED
from sentinel.plans import Action
from sentinel.runs import LedgerEntry, LedgerStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What could be undone. `complete` is True when every applied action was; `failed` when one should have been."""

    complete: bool
    lines: tuple[str, ...]
    failed: bool = False


def undo(parts: Parts, about: About, keys: tuple[str, ...], run_epoch: int = 0) -> Undone:
    """Undo the applied ledger entries `keys` in reverse order; what has no inverse is said and left.

    `run_epoch` is that of the run's lease; the run still holds its targets.

    An undo is covered by the approval of the action that it undoes. It stops at the first target that somebody else
    has changed since: earlier states must not be forced over it; at the first whose state before does not show again;
    and while the kill switch is on. Raises `TransientError`: call it again.
    """
    entries = [_applied(parts, key) for key in keys]
    versions = {entry.action.target.key: applied_of(entry).after.resource_version for entry in entries}
    epochs = parts.stores.targets.claim(versions.keys(), run_id=about.run_id, run_epoch=run_epoch, now=parts.now())
    told: list[str] = []
    complete = bool(entries)
    for entry in reversed(entries):
        if entry.inverse is None:
            complete = False
            told.append(f"{describe(entry.action)} cannot be undone")
            continue
        target = entry.inverse.target.key
        done = _undo_one(parts, about, entry, entry.inverse, versions[target], epochs[target])
        problem = done.error if done.status is LedgerStatus.FAILED else _not_back(parts, entry, done)
        if problem:
            told.append(f"{describe(entry.action)} was not undone: {problem}")
            return Undone(complete=False, lines=tuple(told), failed=True)
        versions[target] = applied_of(done).after.resource_version
        told.append(f"undone by {describe(entry.inverse)}")
    return Undone(complete=complete, lines=tuple(told))


def _not_back(parts: Parts, entry: LedgerEntry, done: LedgerEntry) -> str:
    """Why the target does not show the state from before the action, or an empty string.

    A target that has moved on since is not asked: after a crash an undo that went on may stand behind this one.
    """
    inverse, applied = done.action, applied_of(done)
    executor = parts.executor(inverse.target)
    if not applied.changed:
        return "it was only a dry run"
    if executor.observe(inverse.target).resource_version != applied.after.resource_version:
        live = applied.after.fields
    elif problem := executor.verify_applied(inverse, applied):
        return problem
    else:
        live = executor.observe(inverse.target).fields
    snapshot = {name: entry.pre_state[name] for name in changed_fields(applied_of(entry)) if name in entry.pre_state}
    return "; ".join(differences(snapshot, live))


def _applied(parts: Parts, key: str) -> LedgerEntry:
    entry = parts.stores.ledger.get(key)
    if entry is None or entry.status is not LedgerStatus.APPLIED:
        raise PermanentError(f"cannot undo {key}: the ledger does not say that it was applied")
    return entry


def _undo_one(parts: Parts, about: About, entry: LedgerEntry, inverse: Action, version: str, epoch: int) -> LedgerEntry:
    """Apply one inverse through the ledger, provided that the target is at `version`; returns how it ended."""
    ledger = parts.stores.ledger
    started, _ = ledger.begin(
        LedgerEntry(
            key=short_id("undo", entry.key),
            run_id=about.run_id,
            incident_id=about.incident_id,
            attempt=about.attempt,
            action=inverse,
            pre_state={**applied_of(entry).after.fields, VERSION_FIELD: version},
            inverse=None,
            started_at=parts.now(),
            undo_of=entry.key,
            epoch=epoch,
        )
    )
    if started.status is not LedgerStatus.STARTED:
        return started
    try:
        applied = act(parts, about, inverse, version=version, key=started.key, epoch=epoch)
    except PermanentError as error:
        return ledger.failed(started.key, error=str(error), now=parts.now())
    with parts.stores.database.write():
        done = ledger.applied(started.key, result=plain(applied), effective_at=applied.effective_at, now=parts.now())
        text = f"{describe(entry.action)} undone by {describe(inverse)}"
        target = inverse.target.key
        parts.journal.tell(
            about, Entry(kind="undone", text=text, key=started.key, target=target, event_at=applied.effective_at)
        )
    ACTIONS_APPLIED.labels(inverse.type).inc(applied.changed)
    return done
