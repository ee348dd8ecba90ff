"""Acts on the objects of one Kubernetes cluster: the Protocol, put together from the modules beside this one."""

from __future__ import annotations

from collections.abc import Callable

from remediation.catalogue import describe
from remediation.executors.kubernetes.cluster import Cluster, ConflictError
from remediation.executors.kubernetes.evictions import budgets_over, evict_once
from remediation.executors.kubernetes.inverses import inverse_of
from remediation.executors.kubernetes.looking import Looking, Planned, Seen
from remediation.executors.kubernetes.records import Record, find_record, with_record, without_record
from remediation.executors.kubernetes.states import differences
from remediation.executors.kubernetes.waiting import Waiting
from remediation.executors.protocol import Applied, TargetState
from remediation.kubernetes_settings import KubernetesSettings
from remediation.kubernetes_types import BACKEND
from sentinel.errors import PermanentError, RefusedError, TransientError
from sentinel.plans import Action, Preview, Scalar, Target

_TRIES = 5
"""So often an object is read again when its status moved while it was written."""

_SHOWN = ("spec", "data")
"""Parts of an object whose differences a person is shown."""


class KubernetesExecutor:
    """One cluster as an executor; safe for several threads.

    An action is one write of one object, with the `resourceVersion` that was read as precondition and the key in an
    annotation: the API server keeps both or none, so that the same key can be answered after any crash.
    """

    backend = BACKEND

    def __init__(self, settings: KubernetesSettings, now: Callable[[], float]) -> None:
        """Read the credentials and connect to nothing yet; `ConfigError` when they cannot be read."""
        self._cluster = Cluster(settings)
        self._looking = Looking(self._cluster, settings, now)
        self._waiting = Waiting(self._cluster, self._looking, settings, now)
        self._now = now

    def describe(self, action: Action) -> str:
        """See `Executor.describe`."""
        target = action.target
        place = f"namespace {target.namespace}" if target.namespace else "the cluster"
        return f"{describe(action)}: {target.kind} in {place}"

    def observe(self, target: Target) -> TargetState:
        """See `Executor.observe`."""
        return self._looking.see(target).state

    def dry_run(self, action: Action) -> Preview:
        """See `Executor.dry_run`: the API server itself says what the object would become."""
        seen, planned = self._planned(action)
        before, after = dict(seen.state.fields), dict(planned.after.fields)
        if planned.pod:
            self._cluster.evict(action.target.namespace, planned.pod, planned.pod_uid, dry_run=True)
            name = f"pod.{planned.pod}"
            before[name], after[name] = "running", "evicted"
        return Preview(
            action_id=action.id,
            resource_version=seen.state.resource_version,
            before=before,
            after=after,
            text=f"{describe(action)}: {self._changes(seen, planned, before, after)}",
        )

    def apply(self, action: Action, resource_version: str, idempotency_key: str) -> Applied:
        """See `Executor.apply`. Returns when the roll-out is ready, has failed or has been given up.

        Raises `TransientError` while it goes on: called again with the same key, it goes on watching.
        """
        record = self._recorded(action, resource_version, idempotency_key)
        self._evict(action, record)
        ready = self._waiting.settled(action, record)
        return Applied(
            changed=True,
            before=record.before,
            after=record.after,
            effective_at=max(record.at, ready),
            downtime=0.0,
        )

    def verify_applied(self, action: Action, applied: Applied) -> str:
        """See `Executor.verify_applied`."""
        live = self._looking.see(action.target)
        wanted = applied.after
        if live.state.fields != wanted.fields:
            return ", ".join(differences(wanted.fields, live.state.fields))
        if live.state.resource_version != wanted.resource_version:
            return f"it has been changed since: version {live.state.resource_version}, not {wanted.resource_version}"
        return self._waiting.problem(action, live)

    def inverse(self, action: Action, before: TargetState) -> Action | None:
        """See `Executor.inverse`."""
        return inverse_of(action, before)

    def close(self) -> None:
        """See `Executor.close`."""
        self._cluster.close()

    def _planned(self, action: Action) -> tuple[Seen, Planned]:
        """The target and what the action makes of it; looked at again when its status moves meanwhile."""
        for _ in range(_TRIES):
            seen = self._looking.see(action.target)
            try:
                return seen, self._looking.plan(action, seen)
            except ConflictError:
                continue
        raise _restless(action.target)

    def _recorded(self, action: Action, version: str, key: str) -> Record:
        """The note of the action on its target: found there, or written with the action itself."""
        for _ in range(_TRIES):
            seen = self._looking.see(action.target)
            if found := find_record(seen.thing, key):
                return found
            if seen.state.resource_version != version:
                raise RefusedError("drift", f"{action.target.name} is at {seen.state.resource_version}, not {version}")
            try:
                return self._write(action, seen, key)
            except ConflictError:
                continue
        raise _restless(action.target)

    def _write(self, action: Action, seen: Seen, key: str) -> Record:
        """Act: one write, under the condition that nothing has changed since `seen`."""
        planned = self._looking.plan(action, seen)
        record = Record(
            key=key,
            type=action.type,
            at=self._now(),
            before=seen.state,
            after=planned.after,
            pod=planned.pod,
            pod_uid=planned.pod_uid,
        )
        target = action.target
        if record.pod:
            self._cluster.evict(target.namespace, record.pod, record.pod_uid, dry_run=True)
        self._cluster.replace(target.kind, target.namespace, with_record(planned.wanted, record), dry_run=False)
        return record

    def _evict(self, action: Action, record: Record) -> None:
        """The second half of an eviction, which the note on the Deployment comes before; done once, however often asked."""
        if not record.pod:
            return
        target = action.target
        try:
            evict_once(self._cluster, target.namespace, record.pod, record.pod_uid)
        except PermanentError:
            live = self._cluster.get(target.kind, target.namespace, target.name)
            self._cluster.replace(target.kind, target.namespace, without_record(live, record.key), dry_run=False)
            raise

    def _changes(self, seen: Seen, planned: Planned, before: dict[str, Scalar], after: dict[str, Scalar]) -> str:
        """What differs, place by place, and who may notice."""
        places = [line for part in _SHOWN for line in differences(seen.thing.get(part), planned.kept.get(part), part)]
        if planned.pod:
            places = list(differences(before, after))
        told = ", ".join(places) or "nothing changes"
        if seen.thing["kind"] != "Deployment":
            return told
        status = seen.thing.get("status", {})
        running = f"{status.get('availableReplicas', 0)} of {seen.thing['spec']['replicas']} replicas are available"
        return "; ".join((told, running, *budgets_over(self._cluster, seen.thing)))


def _restless(target: Target) -> TransientError:
    return TransientError(f"kubernetes: {target.name} changes faster than it can be written")
