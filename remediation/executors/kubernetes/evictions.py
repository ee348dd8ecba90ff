"""Evicting one pod of a Deployment: which one, and what disruption budgets say of it."""

from __future__ import annotations

from collections.abc import Sequence

from remediation.executors.kubernetes.actions import POD
from remediation.executors.kubernetes.cluster import Cluster, NotFoundError
from remediation.executors.kubernetes.rollouts import ready_at, worst_off
from remediation.executors.kubernetes.states import Object
from remediation.kubernetes_types import WORST
from sentinel.errors import PermanentError


def pods_of(cluster: Cluster, deployment: Object, replica_sets: Sequence[Object]) -> list[Object]:
    """The pods that belong to these ReplicaSets of a Deployment, by owner and not by label alone."""
    owners = {one["metadata"]["uid"] for one in replica_sets}
    labels = deployment["spec"]["selector"].get("matchLabels", {})
    found = cluster.list(POD, deployment["metadata"]["namespace"], labels)
    return [pod for pod in found if owners & {one["uid"] for one in pod["metadata"].get("ownerReferences", ())}]


def choose(pods: Sequence[Object], wanted: str, deployment: str) -> Object:
    """The pod that is to go. Raises `PermanentError` for a name that is not one of the Deployment's."""
    if wanted == WORST:
        found = worst_off(pods)
    else:
        found = next((pod for pod in pods if pod["metadata"]["name"] == wanted), None)
    if found is None:
        names = ", ".join(sorted(pod["metadata"]["name"] for pod in pods)) or "none"
        raise PermanentError(f"{deployment} has no pod {wanted}; it has {names}")
    return found


def evict_once(cluster: Cluster, namespace: str, pod: str, uid: str) -> None:
    """Evict the pod unless it is gone or going: doing so again does nothing.

    Raises `RefusedError` (rule `disruption_budget`) when a budget does not allow it now.
    """
    try:
        live = cluster.get(POD, namespace, pod)
        if live["metadata"]["uid"] == uid and "deletionTimestamp" not in live["metadata"]:
            cluster.evict(namespace, pod, uid, dry_run=False)
    except NotFoundError:
        return


def replaced(pods: Sequence[Object], replicas: int) -> str:
    """Why the Deployment has not its full number of ready pods again, or an empty string."""
    ready = sum(1 for pod in pods if "deletionTimestamp" not in pod["metadata"] and ready_at([pod]))
    return "" if ready >= replicas else f"{ready} of {replicas} pods are ready"


def budgets_over(cluster: Cluster, deployment: Object) -> list[str]:
    """What the disruption budgets over a Deployment's pods allow now, one readable line each."""
    labels = deployment["spec"]["template"]["metadata"].get("labels", {}).items()
    lines = []
    for budget in cluster.list("budget", deployment["metadata"]["namespace"]):
        selector = budget["spec"].get("selector") or {}
        if "matchExpressions" not in selector and selector.get("matchLabels", {}).items() <= labels:
            allowed = budget.get("status", {}).get("disruptionsAllowed", 0)
            lines.append(f"budget {budget['metadata']['name']} allows {allowed} disruptions now")
    return lines
