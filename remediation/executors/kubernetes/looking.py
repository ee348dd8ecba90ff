"""Looking at a target, and asking the API server what an action would make of it. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from remediation.executors.kubernetes.actions import DEPLOYMENT, KINDS, NODE, OPT_IN_VALUE, TYPES, kind_of
from remediation.executors.kubernetes.cluster import Cluster
from remediation.executors.kubernetes.edits import Surroundings, edit
from remediation.executors.kubernetes.evictions import choose, pods_of
from remediation.executors.kubernetes.states import Object, next_version, state_of
from remediation.executors.protocol import TargetState
from remediation.kubernetes_settings import KubernetesSettings
from sentinel.errors import PermanentError, RefusedError
from sentinel.plans import Action, Target


@dataclass(frozen=True, slots=True)
class Seen:
    """A target as it is: the object, the ReplicaSets that a Deployment owns, and the state of both."""

    thing: Object
    replica_sets: Sequence[Object]
    state: TargetState


@dataclass(frozen=True, slots=True)
class Planned:
    """What an action makes of a target: the object to write, the same as the API server would keep it, and its state.

    `pod` and `pod_uid`: the pod that an eviction ends, else empty.
    """

    wanted: Object
    kept: Object
    after: TargetState
    pod: str = ""
    pod_uid: str = ""


class Looking:
    """The reading half of the executor."""

    def __init__(self, cluster: Cluster, settings: KubernetesSettings, now: Callable[[], float]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._now = now

    def see(self, target: Target) -> Seen:
        """The target as it is now. Raises `RefusedError` (rule `allow-list`) for a place that the settings do not name."""
        self._check_place(target)
        thing = self._cluster.get(target.kind, target.namespace, target.name)
        owned = self._replica_sets(thing) if target.kind == DEPLOYMENT else ()
        return Seen(thing, owned, state_of(target.kind, thing, owned))

    def plan(self, action: Action, seen: Seen) -> Planned:
        """What the action would make of the target, by a dry run of the API server.

        Raises `RefusedError` (rule `opt-in`) without the owner's label, `PermanentError` for what cannot be done to it,
        `ConflictError` when the target has changed since it was seen.
        """
        target = action.target
        self._check_action(action, seen.thing)
        wanted = edit(seen.thing, action, Surroundings(seen.replica_sets, self._autoscalers(action), self._now()))
        kept = self._cluster.replace(target.kind, target.namespace, wanted, dry_run=True)
        state = state_of(target.kind, kept, seen.replica_sets)
        after = TargetState(
            resource_version=next_version(target.kind, seen.thing, state),
            fields=state.fields,
        )
        if action.type != "evict_pod":
            return Planned(wanted, kept, after)
        pods = pods_of(self._cluster, seen.thing, seen.replica_sets)
        pod = choose(pods, str(action.params["pod"]), target.name)["metadata"]
        return Planned(wanted, kept, after, pod["name"], pod["uid"])

    def _check_place(self, target: Target) -> None:
        if target.kind not in KINDS:
            raise PermanentError(f"{target.key}: this executor acts on {', '.join(KINDS)}, not on {target.kind}")
        allowed = self._settings.nodes if target.kind == NODE else self._settings.namespaces
        place = target.name if target.kind == NODE else target.namespace
        if place not in allowed:
            where = "nodes" if target.kind == NODE else "namespaces"
            raise RefusedError("allow-list", f"{place!r} is not in remediation.executor.kubernetes.{where}")

    def _check_action(self, action: Action, thing: Object) -> None:
        target = action.target
        if action.type not in TYPES:
            raise PermanentError(f"{action.type} is nothing that Kubernetes can do")
        if kind_of(action.type) != target.kind:
            raise PermanentError(
                f"{action.type} acts on a {kind_of(action.type)}, not on the {target.kind} {target.name}"
            )
        label = self._settings.opt_in
        if (thing["metadata"].get("labels") or {}).get(label) != OPT_IN_VALUE:
            raise RefusedError("opt-in", f"{target.name} has no label {label}={OPT_IN_VALUE}: its owner did not agree")

    def _replica_sets(self, deployment: Object) -> list[Object]:
        metadata = deployment["metadata"]
        labels = deployment["spec"]["selector"].get("matchLabels", {})
        found = self._cluster.list("replicaset", metadata["namespace"], labels)
        owner = metadata["uid"]
        return [one for one in found if owner in {o["uid"] for o in one["metadata"].get("ownerReferences", ())}]

    def _autoscalers(self, action: Action) -> list[str]:
        """Names of the autoscalers that set the number of replicas of an action's target, where that matters."""
        if action.type != "scale":
            return []
        wanted = ("Deployment", action.target.name)
        return [
            one["metadata"]["name"]
            for one in self._cluster.list("autoscaler", action.target.namespace)
            if (one["spec"]["scaleTargetRef"]["kind"], one["spec"]["scaleTargetRef"]["name"]) == wanted
        ]
