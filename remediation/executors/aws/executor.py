"""Acts in AWS, once: AWS has neither versions nor idempotency keys for these calls, so tags and a digest stand in.

Before an act its key, the time and the state before it are written into tags of the object. Whoever comes back with the
same key, after a lost answer or in another process, finds them and looks whether the act shows. What sets a value is
sent again where it does not show and AWS has had `_CONSISTENT` seconds to show it. A reboot or a new deployment is sent
again only where AWS itself has said that it did not happen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from remediation.aws_settings import AwsSettings
from remediation.aws_types import BACKEND
from remediation.catalogue import Step, describe, make_action
from remediation.executors.aws.autoscaling import GroupResource
from remediation.executors.aws.clients import AwsClients
from remediation.executors.aws.ec2 import REBOOTED, InstanceResource
from remediation.executors.aws.ecs import EcsServiceResource
from remediation.executors.aws.errors import ExpiredError, UnansweredError
from remediation.executors.aws.places import partition_of, place_of
from remediation.executors.aws.resources import (
    ANSWERED,
    BEFORE,
    BEGUN,
    KEY,
    Fields,
    Look,
    Resource,
    pack,
    shows,
    unpack,
)
from remediation.executors.protocol import Applied, TargetState
from sentinel.canonical import short_id
from sentinel.errors import PermanentError, RefusedError, SentinelError, TransientError
from sentinel.plans import Action, Preview, Target

_CONSISTENT = 5.0
"""Wall seconds after which AWS shows what it was told; before, nothing that does not show is taken for not done."""


_ONCE = frozenset({"ec2_reboot", "ecs_redeploy"})
"""What would act twice when it is sent twice. All others set a value, the same one again."""

REFUSED, _NOT_YET = "refused", "no"
"""Values of the mark `answered` beside the key: AWS said that it did not happen; no answer has come."""


class AwsExecutor:
    """EC2, ECS and Auto Scaling as an executor; safe for several threads, each with a target of its own."""

    backend = BACKEND

    def __init__(self, settings: AwsSettings, clients: AwsClients, now: Callable[[], float]) -> None:
        """Connect to nothing yet. `now` is wall time, which is event time in AWS."""
        self._settings = settings
        self._clients = clients
        self._now = now
        self._answers: dict[str, Applied] = {}
        self._marked: set[str] = set()

    def describe(self, action: Action) -> str:
        """See `Executor.describe`."""
        return f"{describe(action)} ({self._resource(action.target).text})"

    def observe(self, target: Target) -> TargetState:
        """See `Executor.observe`."""
        return self._look(target, self._resource(target)).state

    def dry_run(self, action: Action) -> Preview:
        """See `Executor.dry_run`. EC2 is asked whether it would allow it; ECS and Auto Scaling cannot be."""
        resource = self._resource(action.target)
        before = self._look(action.target, resource)
        wanted = resource.wanted(action, before.fields)
        resource.rehearse(action)
        changed = {key: value for key, value in wanted.items() if value != before.fields[key]}
        text = ", ".join(f"{key}: {before.fields[key]} -> {value}" for key, value in sorted(changed.items()))
        return Preview(
            action_id=action.id,
            resource_version=before.state.resource_version,
            before=before.fields,
            after={**before.fields, **changed},
            text=f"{describe(action)}: {text or 'nothing changes'}",
        )

    def apply(self, action: Action, resource_version: str, idempotency_key: str) -> Applied:
        """See `Executor.apply`. Raises `TransientError` until what was changed runs.

        So `effective_at` is when it did. After `settle` seconds it answers what there is, and `verify_applied` says
        what is missing.
        """
        if idempotency_key in self._answers:
            return self._answers[idempotency_key]
        resource = self._resource(action.target)
        live = self._look(action.target, resource)
        if live.marks.get(KEY) == idempotency_key:
            act = self._resume(resource, action, resource_version, live)
        elif idempotency_key in self._marked:
            raise TransientError(f"aws: the tags of {action.target.name} do not show yet")
        else:
            act = self._begin(resource, action, resource_version, idempotency_key, live)
        live = self._look(action.target, resource)
        if missing := act.missing(live):
            if self._now() < act.begun + self._settings.settle:
                raise TransientError(f"aws: {describe(action)}: {missing}")
            if not shows(live.fields, act.before, act.wanted):
                raise PermanentError(f"aws: {describe(action)}: {missing} after {self._settings.settle:g} s")
        answer = Applied(
            changed=True,
            before=TargetState.of(act.before),
            after=live.state,
            effective_at=self._now(),
            downtime=action.expected_downtime,
        )
        self._answers[idempotency_key] = answer
        return answer

    def verify_applied(self, action: Action, applied: Applied) -> str:
        """See `Executor.verify_applied`."""
        live = self._look(action.target, self._resource(action.target))
        wanted = applied.after.fields
        differing = [
            f"{key} is {live.fields[key]}, not {wanted[key]}" for key in wanted if live.fields[key] != wanted[key]
        ]
        if differing:
            return ", ".join(differing)
        if action.type == "ec2_reboot" and live.marks.get(ANSWERED) != live.marks.get(KEY):
            return "the answer to the reboot was lost: nobody knows whether it happened, and it is not asked for again"
        return live.failed or live.waits_for

    def inverse(self, action: Action, before: TargetState) -> Action | None:
        """See `Executor.inverse`."""
        found = self._resource(action.target).undo(action, before.fields)
        if found is None:
            return None
        kind, params = found
        step = Step(type=kind, service=action.target.serves, params=params, reason=f"undo of {describe(action)}")
        try:
            return make_action(short_id("act", action.id, "undo"), step, action.target)
        except RefusedError:
            # What was before is out of the catalogue's bounds, such as a service that had no task at all.
            return None

    def close(self) -> None:
        """See `Executor.close`."""
        self._clients.close()

    def _resource(self, target: Target) -> Resource:
        place = place_of(target)
        match place.kind:
            case "ecs":
                allowed = self._settings.accounts.get(place.account)
                return EcsServiceResource(self._clients, place, partition_of(allowed.role) if allowed else "aws")
            case "group":
                return GroupResource(self._clients, place)
            case _:
                return InstanceResource(self._clients, place)

    def _look(self, target: Target, resource: Resource) -> Look:
        """Look, once more with new credentials when the old ones have run out early."""
        try:
            return resource.look()
        except ExpiredError:
            self._clients.forget(place_of(target).account)
            return resource.look()

    def _begin(self, resource: Resource, action: Action, version: str, key: str, live: Look) -> _Act:
        """Act for the first time."""
        _expect(action, live.fields, version)
        act = _Act(key, self._now(), live.fields, resource.wanted(action, live.fields))
        return self._send(resource, action, act, live.marks.get(KEY, ""))

    def _resume(self, resource: Resource, action: Action, version: str, live: Look) -> _Act:
        """Find out what became of the act that was marked before; send it again only where that cannot act twice."""
        before = unpack(live.marks.get(BEFORE, ""), live.fields)
        if before is None:
            raise PermanentError(f"aws: the tags of {action.target.name} are not what Sentinel wrote")
        _expect(action, before, version)
        act = _Act(live.marks[KEY], float(live.marks[BEGUN]), before, resource.wanted(action, before))
        if shows(live.fields, before, act.wanted):
            return act
        _expect(action, live.fields, version)
        if action.type in _ONCE and live.marks.get(ANSWERED) != REFUSED:
            return act
        if self._now() < act.begun + _CONSISTENT:
            raise TransientError(f"aws: {describe(action)} does not show yet")
        return self._send(resource, action, replace(act, begun=self._now()), act.key)

    def _send(self, resource: Resource, action: Action, act: _Act, earlier: str) -> _Act:
        """Mark, look once more, and send it once. `earlier` is the key that the target was marked with."""
        resource.rehearse(action)
        marks = {KEY: act.key, BEGUN: f"{act.begun:.3f}", BEFORE: pack(act.before), ANSWERED: _NOT_YET}
        if REBOOTED in act.wanted:
            marks[REBOOTED] = marks[BEGUN]
        resource.mark(marks)
        self._marked.add(act.key)
        try:
            self._still(resource, action, act, earlier)
        except TransientError:
            _not_sent(resource, action, act)
            raise
        try:
            resource.act(action, act.wanted)
        except UnansweredError:
            raise
        except SentinelError:
            _not_sent(resource, action, act)
            raise
        if action.type in _ONCE:
            resource.mark({ANSWERED: act.key})
        return act

    def _still(self, resource: Resource, action: Action, act: _Act, earlier: str) -> None:
        """The last look: the target is as it was, and nobody else has marked it meanwhile."""
        live = self._look(action.target, resource)
        found = live.marks.get(KEY, "")
        if found != act.key and found == earlier:
            raise TransientError(f"aws: the tags of {action.target.name} do not show yet")
        if found != act.key:
            raise RefusedError("drift", f"{action.target.name} is being acted on under {found}")
        _expect(action, {**live.fields, **_unmarked(act)}, TargetState.of(act.before).resource_version)


@dataclass(frozen=True, slots=True)
class _Act:
    """One act as its marks have it: key, wall time, fields before, and the fields that it changes."""

    key: str
    begun: float
    before: Fields
    wanted: Fields

    def missing(self, live: Look) -> str:
        """What is still to come, empty when nothing is or nothing will."""
        if not shows(live.fields, self.before, self.wanted):
            return "it does not show yet"
        return "" if live.failed else live.waits_for


def _not_sent(resource: Resource, action: Action, act: _Act) -> None:
    """Say in the marks that it did not happen, where a missing answer would otherwise be taken for a lost one."""
    if action.type in _ONCE:
        resource.mark({ANSWERED: REFUSED, **_unmarked(act)})


def _unmarked(act: _Act) -> dict[str, str]:
    """What the mark of a reboot said before this one."""
    return {REBOOTED: str(act.before[REBOOTED])} if REBOOTED in act.wanted else {}


def _expect(action: Action, fields: Fields, version: str) -> None:
    found = TargetState.of(fields).resource_version
    if found != version:
        raise RefusedError("drift", f"{action.target.name} is at {found}, not {version}")
