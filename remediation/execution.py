"""Acting: checks everything itself right before, writes the intent down, acts once, and keeps the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from remediation.catalogue import describe
from remediation.evidence import first_suspect
from remediation.executors.protocol import Applied, Executor, TargetState
from remediation.journal import About, Entry
from remediation.learning import claim_probes, learn
from remediation.live import killed, read_conditions
from remediation.parts import Parts
from remediation.policy import decide_plan
from remediation.quorums import quorum_of, unmet
from sentinel.approvals import ApprovalStatus
from sentinel.canonical import plain, short_id
from sentinel.errors import PermanentError, RefusedError
from sentinel.incidents import IncidentStatus
from sentinel.metrics import ACTIONS_APPLIED
from sentinel.plans import Action, Plan, PolicyAnswer, Preview, approval_digest
from sentinel.runs import LedgerEntry, LedgerStatus

VERSION_FIELD = "resource_version"
"""Where a ledger entry's pre-state keeps the version of the target."""


class Stop(StrEnum):
    """Why an execution did not run to its end."""

    DRIFT = "drift"
    """The target is not what was previewed: preview and ask again."""
    EXPIRED = "expired"
    """The approval ran out before the action began: ask again."""
    DENIED = "denied"
    """A rule forbids it now."""
    RECOVERED = "recovered"
    """The incident is over, or blames another service."""
    FAILED = "failed"
    """The executor refused for good."""
    UNCONFIRMED = "unconfirmed"
    """The executor acted, and the target does not show it."""
    DRY_RUN = "dry_run"
    """The executor only wrote it down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be executed. `request_id` is empty when policy allowed it without a person.

    `suspect` is the service that the plan was made for; `epoch` is that of the run's lease.
    """

    about: About
    plan: Plan
    previews: tuple[Preview, ...]
    digest: str
    request_id: str
    suspect: str
    epoch: int = 0


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
    effective_at = 0.0
    versions: dict[str, str] = {}
    for action, preview in zip(order.plan.actions, order.previews, strict=True):
        expected = versions.get(action.target.key, preview.resource_version)
        step = _Step(parts, order, action, replace(preview, resource_version=expected), versions)
        try:
            applied = step.run()
        except _StoppedError as stopped:
            return Executed(keys=tuple(keys), effective_at=effective_at, stop=stopped.stop, reason=stopped.reason)
        if not applied.changed:
            return Executed(keys=(), effective_at=0.0, stop=Stop.DRY_RUN, reason=f"dry run of {describe(action)}")
        keys.append(step.key)
        effective_at = max(effective_at, applied.effective_at)
        versions[action.target.key] = applied.after.resource_version
        if problem := parts.executor(action.target).verify_applied(action, applied):
            learn(parts, order.about, action, step.key, ok=False)
            return Executed(keys=tuple(keys), effective_at=effective_at, stop=Stop.UNCONFIRMED, reason=problem)
    return Executed(keys=tuple(keys), effective_at=effective_at)


def action_key(order: Order, action: Action) -> str:
    """The idempotency key: the same action of the same attempt under the same digest is one deed."""
    return short_id("key", order.about.run_id, order.about.attempt, action.id, order.digest)


def applied_of(entry: LedgerEntry) -> Applied:
    """The executor's answer that an applied ledger entry keeps."""
    return msgspec.convert(entry.result, Applied)


def refusal(parts: Parts, order: Order) -> tuple[Stop, str] | None:
    """Why the order must not run now, or None: incident, policy with its allow-list, digest, approval, expiry."""
    incident = parts.stores.incidents.get(order.about.incident_id)
    if incident is None or incident.status is IncidentStatus.RESOLVED:
        return Stop.RECOVERED, "the incident is over"
    if first_suspect(incident) != order.suspect:
        return Stop.RECOVERED, f"the incident blames {first_suspect(incident)} now, not {order.suspect}"
    conditions = read_conditions(parts, order.about, order.plan)
    verdict = decide_plan(order.plan, parts.settings.policy, parts.services, conditions)
    if verdict.answer is PolicyAnswer.DENY:
        return Stop.DENIED, "; ".join(verdict.reasons)
    if approval_digest(order.plan, order.previews, verdict.policy_version) != order.digest:
        return Stop.DRIFT, "plan, preview or policy are not the ones of the digest"
    if order.request_id:
        return _approval_problem(parts, order)
    if verdict.answer is PolicyAnswer.ASK:
        return Stop.EXPIRED, f"policy asks now: {'; '.join(verdict.reasons)}"
    return None


def _approval_problem(parts: Parts, order: Order) -> tuple[Stop, str] | None:
    request = parts.stores.approvals.get(order.request_id)
    if request is None or request.status is not ApprovalStatus.APPROVED:
        return Stop.DENIED, f"{order.request_id} is not approved"
    if request.run_id != order.about.run_id or request.attempt != order.about.attempt:
        return Stop.DENIED, f"{order.request_id} belongs to another run or attempt"
    if request.digest != order.digest:
        return Stop.DENIED, f"{order.request_id} was approved for another digest"
    if parts.now() >= request.expires_at:
        return Stop.EXPIRED, f"{order.request_id} has expired"
    policy = parts.settings.policy
    quorum = quorum_of(order.plan, policy.approvers, policy.people, parts.services, request.quorum.requesters)
    if problem := unmet(quorum, request, parts.stores.approvals.votes(request.id)):
        return Stop.DENIED, problem
    return None


@dataclass
class _Step:
    """One action of an order."""

    parts: Parts
    order: Order
    action: Action
    preview: Preview
    touched: dict[str, str]

    @property
    def key(self) -> str:
        return action_key(self.order, self.action)

    @property
    def executor(self) -> Executor:
        return self.parts.executor(self.action.target)

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
            epoch=self.order.epoch,
        )
        text = self.executor.describe(self.action)
        with self.parts.stores.database.write():
            self.parts.stores.breakers.lock()
            if problem := refusal(self.parts, self.order):
                raise _StoppedError(*problem)
            claim_probes(self.parts, about, self.action)
            stored, fresh = self.parts.stores.ledger.begin(entry)
            if fresh:
                self._tell("executing", text, details={"before": before.fields})
        return stored

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
            live = self.executor.dry_run(self.action)
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
        problem = refusal(self.parts, self.order)
        if problem is None:
            return
        if self.executor.observe(self.action.target).resource_version == entry.pre_state[VERSION_FIELD]:
            self.parts.stores.ledger.failed(entry.key, error=problem[1], now=self.parts.now())
            raise _StoppedError(*problem)

    def _apply(self, entry: LedgerEntry) -> LedgerEntry:
        version = str(entry.pre_state[VERSION_FIELD])
        if reason := killed(self.parts, self.action.target, version):
            self.parts.stores.ledger.failed(entry.key, error=reason, now=self.parts.now())
            raise _StoppedError(Stop.DENIED, reason)
        try:
            applied = self.executor.apply(self.action, version, entry.key)
        except PermanentError as error:
            stop = Stop.DRIFT if isinstance(error, RefusedError) and error.rule == "drift" else Stop.FAILED
            if stop is Stop.FAILED:
                learn(self.parts, self.order.about, self.action, entry.key, ok=False)
            self.parts.stores.ledger.failed(entry.key, error=str(error), now=self.parts.now())
            raise _StoppedError(stop, str(error)) from error
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
