"""How far a Deployment's roll-out is, by the rules of `kubectl rollout status`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from remediation.executors.kubernetes.states import Object


class Progress(StrEnum):
    """Where a roll-out is."""

    GOING = "going"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where it is, and why it is not done."""

    progress: Progress
    reason: str = ""


def judge(deployment: Object) -> Rollout:
    """Judge the status against the specification that it belongs to."""
    status, spec = deployment.get("status", {}), deployment["spec"]
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return Rollout(Progress.GOING, "the controller has not seen the change yet")
    for condition in status.get("conditions", ()):
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Rollout(Progress.FAILED, condition.get("message", "its progress deadline has passed"))
    wanted, present = spec["replicas"], status.get("replicas", 0)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return Rollout(Progress.GOING, f"{updated} of {wanted} replicas are of the new kind")
    if present > updated:
        return Rollout(Progress.GOING, f"{present - updated} old replicas are still there")
    if available < updated:
        return Rollout(Progress.GOING, f"{available} of {updated} replicas are available")
    return Rollout(Progress.DONE)


def ready_at(pods: Sequence[Object]) -> float:
    """When the last of the ready pods became so, in wall seconds; 0 when none is ready."""
    times = [
        datetime.fromisoformat(condition["lastTransitionTime"]).timestamp()
        for pod in pods
        for condition in pod.get("status", {}).get("conditions", ())
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]
    return max(times, default=0.0)


def worst_off(pods: Sequence[Object]) -> Object | None:
    """The pod that is worst off: not ready, then most restarts, then oldest. None without a pod that still lives."""
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return min(living, key=_wellness, default=None)


def _wellness(pod: Object) -> tuple[bool, int, str, str]:
    restarts = sum(one.get("restartCount", 0) for one in pod.get("status", {}).get("containerStatuses", ()))
    return ready_at([pod]) > 0, -restarts, pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]
