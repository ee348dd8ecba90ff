"""Undo: put the stored pre-states back, last action first."""

from __future__ import annotations

from dataclasses import dataclass

from remediation.catalogue import describe
from remediation.execution import VERSION_FIELD, applied_of
from remediation.journal import About, Entry
from remediation.parts import Parts
from sentinel.canonical import plain, short_id
from sentinel.errors import PermanentError
from sentinel.metrics import ACTIONS_APPLIED
from sentinel.plans import Action
from sentinel.runs import LedgerEntry, LedgerStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What could be undone. `complete` is True when every applied action was."""

    complete: bool
    lines: tuple[str, ...]


def undo(parts: Parts, about: About, keys: tuple[str, ...]) -> Undone:
    """Undo the applied ledger entries `keys` in reverse order; what has no inverse is said and left.

    An undo is covered by the approval of the action that it undoes. It stops at the first target that somebody else
    has changed since: earlier states must not be forced over it. Raises `TransientError`: call it again.
    """
    told: list[str] = []
    complete = True
    for key in reversed(keys):
        entry = parts.stores.ledger.get(key)
        if entry is None or entry.status is not LedgerStatus.APPLIED:
            raise PermanentError(f"cannot undo {key}: the ledger does not say that it was applied")
        if entry.inverse is None:
            complete = False
            told.append(f"{describe(entry.action)} cannot be undone")
            continue
        problem = _undo_one(parts, about, entry, entry.inverse)
        told.append(problem or f"undone by {describe(entry.inverse)}")
        if problem:
            complete = False
            break
    return Undone(complete=complete and bool(keys), lines=tuple(told))


def _undo_one(parts: Parts, about: About, entry: LedgerEntry, inverse: Action) -> str:
    """Apply one inverse through the ledger; returns why it could not be applied, or an empty string."""
    executor, after = parts.executor(inverse.target), applied_of(entry).after
    started, _ = parts.stores.ledger.begin(
        LedgerEntry(
            key=short_id("undo", entry.key),
            run_id=about.run_id,
            incident_id=about.incident_id,
            attempt=about.attempt,
            action=inverse,
            pre_state={**after.fields, VERSION_FIELD: after.resource_version},
            inverse=None,
            started_at=parts.now(),
            undo_of=entry.key,
        )
    )
    if started.status is LedgerStatus.FAILED:
        return started.error
    if started.status is LedgerStatus.APPLIED:
        return ""
    try:
        applied = executor.apply(inverse, after.resource_version, started.key)
    except PermanentError as error:
        parts.stores.ledger.failed(started.key, error=str(error), now=parts.now())
        return str(error)
    with parts.stores.database.write():
        parts.stores.ledger.applied(
            started.key, result=plain(applied), effective_at=applied.effective_at, now=parts.now()
        )
        text = f"{describe(entry.action)} undone by {describe(inverse)}"
        parts.journal.tell(
            about,
            Entry(kind="undone", text=text, key=started.key, target=inverse.target.key, event_at=applied.effective_at),
        )
    ACTIONS_APPLIED.labels(inverse.type).inc(applied.changed)
    return ""
