"""Acting: checks everything itself right before, writes the intent down, acts once, and keeps the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from remediation.acting import act
from remediation.catalogue import describe
from remediation.executors.protocol import Applied, Executor, TargetState
from remediation.journal import Entry
from remediation.learning import claim_probes, learn
from remediation.orders import Order, Stop, refusal, targets_of
from remediation.parts import Parts
from remediation.rehearsal import rehearse
from remediation.sharing import give_back, take
from remediation.watching import guarded
from remediation.worsening import look
from sentinel.canonical import plain, short_id
from sentinel.errors import PermanentError, RefusedError, TransientError
from sentinel.metrics import ACTIONS_APPLIED
from sentinel.plans import Action, Preview
from sentinel.runs import LedgerEntry, LedgerStatus

VERSION_FIELD = "resource_version"
"""Where a ledger entry's pre-state keeps the version of the target."""

_STOP_OF = {"drift": Stop.DRIFT, "kill_switch": Stop.DENIED}
"""What a rule that spoke at the last moment means for the order; all others are failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What came of it: `keys` of the ledger entries that were applied, in order; `stop` is None when all were.

    `effective_at`: event time at which the last action took effect, 0 when none did.
    """

    keys: tuple[str, ...]
    effective_at: float
    stop: Stop | None = None
    reason: str = ""


class _StoppedError(Exception):
    def __init__(self, stop: Stop, reason: str) -> None:
        super().__init__(reason)
        self.stop = stop
        self.reason = reason


def execute(parts: Parts, order: Order) -> Executed:
    """Run the plan's actions in order. Called again after a crash, it goes on where the ledger says it was.

    Raises `TransientError` when an executor or the database is away: call it again.
    """
    keys: list[str] = []
    effective_at = since = 0.0
    versions: dict[str, str] = {}
    for action, preview in zip(order.plan.actions, order.previews, strict=True):
        expected = versions.get(action.target.key, preview.resource_version)
        step = _Step(parts, order, action, replace(preview, resource_version=expected), versions)
        if keys and not step.begun and (worse := _worse(parts, order, since)):
            return Executed(keys=tuple(keys), effective_at=effective_at, stop=Stop.WORSENED, reason=worse)
        try:
            applied = step.run()
        except _StoppedError as stopped:
            return Executed(keys=tuple(keys), effective_at=effective_at, stop=stopped.stop, reason=stopped.reason)
        if not applied.changed:
            return Executed(keys=(), effective_at=0.0, stop=Stop.DRY_RUN, reason=f"dry run of {describe(action)}")
        keys.append(step.key)
        since = since or applied.effective_at
        effective_at = max(effective_at, applied.effective_at)
        versions[action.target.key] = applied.after.resource_version
        if _moved_on(parts, order, action):
            continue
        if problem := parts.executor(action.target).verify_applied(action, applied):
            learn(parts, order.about, action, step.key, ok=False)
            return Executed(keys=tuple(keys), effective_at=effective_at, stop=Stop.UNCONFIRMED, reason=problem)
    return Executed(keys=tuple(keys), effective_at=effective_at)


def _moved_on(parts: Parts, order: Order, action: Action) -> bool:
    """Whether a later action of the plan has begun on the same target: after a crash it no longer shows this one."""
    ids = [one.id for one in order.plan.actions]
    rest = order.plan.actions[ids.index(action.id) + 1 :]
    same = [one for one in rest if one.target == action.target]
    return any(parts.stores.ledger.get(action_key(order, one)) is not None for one in same)


def _worse(parts: Parts, order: Order, since: float) -> str:
    """Why the next action must not begin after what the ones before did, or an empty string."""
    incident = parts.stores.incidents.get(order.about.incident_id)
    targets = tuple(action.target.serves for action in order.plan.actions)
    around = guarded(parts, incident, targets) if incident else frozenset()
    return look(parts, order.about.incident_id, order.baseline, since, around)


def action_key(order: Order, action: Action) -> str:
    """The idempotency key: the same action of the same attempt under the same digest is one deed."""
    return short_id("key", order.about.run_id, order.about.attempt, action.id, order.digest)


def applied_of(entry: LedgerEntry) -> Applied:
    """The executor's answer that an applied ledger entry keeps."""
    return msgspec.convert(entry.result, Applied)


@dataclass
class _Step:
    """One action of an order."""

    parts: Parts
    order: Order
    action: Action
    preview: Preview
    touched: dict[str, str]
    epoch: int = 0
    """That of the target's lease, once it is taken."""

    @property
    def key(self) -> str:
        return action_key(self.order, self.action)

    @property
    def executor(self) -> Executor:
        return self.parts.executor(self.action.target)

    @property
    def begun(self) -> bool:
        """Whether its intent is written: then it may have happened, and must be seen to its end."""
        return self.parts.stores.ledger.get(self.key) is not None

    def run(self) -> Applied:
        entry = self.parts.stores.ledger.get(self.key)
        if entry is None:
            entry = self._begin()
        elif entry.status is LedgerStatus.STARTED:
            self._recheck(entry)
        if entry.status is LedgerStatus.FAILED:
            raise _StoppedError(Stop.FAILED, entry.error)
        if entry.status is LedgerStatus.STARTED:
            entry = self._apply(entry)
        return applied_of(entry)

    def _begin(self) -> LedgerEntry:
        """Check, look at the target once more, and write down that it is about to happen and how to undo it.

        What may have changed while the target was looked at is checked again in the transaction of the intent, so that
        of two runs that begin at once one sees the other.
        """
        if problem := refusal(self.parts, self.order):
            raise _StoppedError(*problem)
        self._refuse_second_deed()
        self._refuse_busy()
        live = self._drift_free()
        before = TargetState(resource_version=live.resource_version, fields=live.before)
        about = self.order.about
        entry = LedgerEntry(
            key=self.key,
            run_id=about.run_id,
            incident_id=about.incident_id,
            attempt=about.attempt,
            action=self.action,
            pre_state={**before.fields, VERSION_FIELD: before.resource_version},
            inverse=self.executor.inverse(self.action, before),
            started_at=self.parts.now(),
        )
        self._take_shared()
        try:
            return self._write_intent(entry)
        except _StoppedError:
            give_back(self.parts, about, self.action)
            raise

    def _take_shared(self) -> None:
        """Count it where several Sentinels count together, which the database cannot do in its transaction."""
        approved = bool(self.order.request_id)
        try:
            full = take(self.parts, self.order.about, self.action, approved=approved)
        except TransientError as error:
            raise _StoppedError(Stop.EXPIRED, f"nothing runs by itself without the shared limits: {error}") from error
        if full:
            raise _StoppedError(Stop.DENIED, "; ".join(full))

    def _write_intent(self, entry: LedgerEntry) -> LedgerEntry:
        text, before = self.executor.describe(self.action), dict(entry.pre_state)
        before.pop(VERSION_FIELD)
        with self.parts.stores.database.write():
            self.parts.stores.breakers.lock()
            if problem := refusal(self.parts, self.order):
                raise _StoppedError(*problem)
            self._take_targets()
            claim_probes(self.parts, self.order.about, self.action)
            stored, fresh = self.parts.stores.ledger.begin(replace(entry, epoch=self.epoch))
            if fresh:
                self._tell("executing", text, details={"before": before})
        return stored

    def _refuse_busy(self) -> None:
        """A target on which another run acts is no drift: what it becomes is only known when that run is over."""
        for target, run_id in self.parts.stores.targets.holders(targets_of(self.order.plan)).items():
            if run_id != self.order.about.run_id:
                raise _StoppedError(Stop.BUSY, f"{target} is in the hands of {run_id}")

    def _take_targets(self) -> None:
        """Those of the whole plan at once: a plan that has begun never waits for another."""
        run_id, run_epoch = self.order.about.run_id, self.order.epoch
        try:
            epochs = self.parts.stores.targets.claim(
                targets_of(self.order.plan), run_id=run_id, run_epoch=run_epoch, now=self.parts.now()
            )
        except RefusedError as error:
            raise _StoppedError(Stop.BUSY, error.reason) from error
        self.epoch = epochs[self.action.target.key]

    def _refuse_second_deed(self) -> None:
        """An attempt's action that runs or ran under another key must not run again, whatever the digest says."""
        about = self.order.about
        for entry in self.parts.stores.ledger.find(run_id=about.run_id):
            mine = entry.attempt == about.attempt and entry.action.id == self.action.id
            if mine and entry.key != self.key and entry.status is not LedgerStatus.FAILED:
                raise _StoppedError(Stop.FAILED, f"{describe(self.action)} is in the ledger already ({entry.key})")

    def _drift_free(self) -> Preview:
        """The preview as of now; stops when it is not the approved one."""
        try:
            live = rehearse(self.parts, self.action)
        except PermanentError as error:
            raise _StoppedError(Stop.FAILED, str(error)) from error
        if live.resource_version != self.preview.resource_version:
            found = f"{live.resource_version}, not {self.preview.resource_version}"
            raise _StoppedError(Stop.DRIFT, f"{self.action.target.name} is at version {found}")
        if self.action.target.key not in self.touched and _diff(live) != _diff(self.preview):
            raise _StoppedError(Stop.DRIFT, f"{self.action.target.name} would change in another way: {live.text}")
        return live

    def _recheck(self, entry: LedgerEntry) -> None:
        """The intent was written before a crash. What may not run any more, and did not yet, ends here."""
        self._take_targets()
        problem = refusal(self.parts, self.order)
        if problem is None:
            return
        if self.executor.observe(self.action.target).resource_version == entry.pre_state[VERSION_FIELD]:
            self.parts.stores.ledger.failed(entry.key, error=problem[1], now=self.parts.now())
            raise _StoppedError(*problem)

    def _apply(self, entry: LedgerEntry) -> LedgerEntry:
        version = str(entry.pre_state[VERSION_FIELD])
        try:
            applied = act(self.parts, self.order.about, self.action, version=version, key=entry.key, epoch=self.epoch)
        except PermanentError as error:
            rule = error.rule if isinstance(error, RefusedError) else ""
            stop = _STOP_OF.get(rule, Stop.FAILED)
            reason = error.reason if isinstance(error, RefusedError) and stop is Stop.DENIED else str(error)
            if stop is Stop.FAILED:
                learn(self.parts, self.order.about, self.action, entry.key, ok=False)
            self.parts.stores.ledger.failed(entry.key, error=reason, now=self.parts.now())
            raise _StoppedError(stop, reason) from error
        with self.parts.stores.database.write():
            done = self.parts.stores.ledger.applied(
                entry.key, result=plain(applied), effective_at=applied.effective_at, now=self.parts.now()
            )
            kind = "executed" if applied.changed else "would_execute"
            details = {"before": applied.before.fields, "after": applied.after.fields}
            self._tell(kind, describe(self.action), event_at=applied.effective_at, details=details)
        ACTIONS_APPLIED.labels(self.action.type).inc(applied.changed)
        return done

    def _tell(self, kind: str, text: str, *, event_at: float | None = None, details: Mapping[str, object]) -> None:
        entry = Entry(
            kind=kind,
            text=text,
            key=self.key,
            target=self.action.target.key,
            digest=self.order.digest,
            event_at=event_at,
            details=dict(details),
        )
        self.parts.journal.tell(self.order.about, entry)


def _diff(preview: Preview) -> tuple[object, object]:
    return preview.before, preview.after


def lines(actions: Sequence[Action]) -> tuple[str, ...]:
    """Readable lines for outcomes, such as `rollback checkout`."""
    return tuple(describe(action) for action in actions)
