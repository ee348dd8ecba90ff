"""Waiting for what an action set off: the controller has seen it, and the pods are ready."""

from __future__ import annotations

import time
from collections.abc import Callable

from remediation.executors.kubernetes.actions import DEPLOYMENT
from remediation.executors.kubernetes.cluster import Cluster
from remediation.executors.kubernetes.evictions import pods_of, replaced
from remediation.executors.kubernetes.looking import Looking, Seen
from remediation.executors.kubernetes.records import Record
from remediation.executors.kubernetes.rollouts import Progress, Rollout, judge, ready_at
from remediation.executors.kubernetes.states import replica_set_of
from remediation.kubernetes_settings import KubernetesSettings
from sentinel.errors import TransientError
from sentinel.plans import Action


class Waiting:
    """The waiting half of the executor."""

    def __init__(
        self, cluster: Cluster, looking: Looking, settings: KubernetesSettings, now: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._looking = looking
        self._settings = settings
        self._now = now

    def settled(self, action: Action, record: Record) -> float:
        """Wait for the end of the roll-out; returns when its last pod became ready, 0 where there is nothing to wait for.

        Raises `TransientError` when it goes on after `wait` seconds; one that fails, or is not done `give_up` seconds
        after it began, counts as ended.
        """
        if not _waits(action):
            return 0.0
        until = time.monotonic() + self._settings.wait
        seen = self._looking.see(action.target)
        while (rollout := self._judge(seen, action)).progress is Progress.GOING:
            left = until - time.monotonic()
            if self._now() >= record.at + self._settings.give_up:
                break
            if left <= 0:
                raise TransientError(f"kubernetes: the roll-out of {action.target.name} goes on: {rollout.reason}")
            self._wait_for_change(seen, min(left, 1.0) if action.type == "evict_pod" else left)
            seen = self._looking.see(action.target)
        return self._ready_at(seen)

    def problem(self, action: Action, seen: Seen) -> str:
        """Why the target is not as ready as the action meant it to be, or an empty string."""
        rollout = self._judge(seen, action) if _waits(action) else Rollout(Progress.DONE)
        return "" if rollout.progress is Progress.DONE else f"the roll-out is not complete: {rollout.reason}"

    def _judge(self, seen: Seen, action: Action) -> Rollout:
        rollout = judge(seen.thing)
        if rollout.progress is not Progress.DONE or action.type != "evict_pod":
            return rollout
        # The Deployment's own numbers lag behind an eviction.
        pods = pods_of(self._cluster, seen.thing, seen.replica_sets)
        missing = replaced(pods, seen.thing["spec"]["replicas"])
        return Rollout(Progress.GOING, missing) if missing else rollout

    def _wait_for_change(self, seen: Seen, seconds: float) -> None:
        """Until the Deployment changes, for at most about so many seconds."""
        for _ in self._cluster.watch_deployment(seen.thing["metadata"]["namespace"], seen.thing, seconds):
            return

    def _ready_at(self, seen: Seen) -> float:
        present = replica_set_of(seen.thing, seen.replica_sets)
        return ready_at(pods_of(self._cluster, seen.thing, [present])) if present else 0.0


def _waits(action: Action) -> bool:
    return action.target.kind == DEPLOYMENT and action.type != "pause_rollout"
