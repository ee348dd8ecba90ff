"""What each action makes of an object: the object as it shall be, before anything is written. Pure.

Raises `PermanentError` for what the live object does not allow, whatever the catalogue says.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from remediation.executors.kubernetes.actions import TEMPLATE_TYPES
from remediation.executors.kubernetes.quantities import amount
from remediation.executors.kubernetes.states import (
    HASH_LABEL,
    RESTARTED_AT,
    Object,
    containers,
    own_revision,
    replica_set_of,
)
from sentinel.errors import PermanentError
from sentinel.plans import Action


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an edit may look at beside the object: its ReplicaSets, the names of autoscalers that scale it, and the time."""

    replica_sets: Sequence[Object]
    autoscalers: Sequence[str]
    now: float


def edit(thing: Object, action: Action, around: Surroundings) -> Object:
    """A copy of the object with the action done to it; an eviction leaves the object as it is."""
    made: Object = copy.deepcopy(thing)
    if action.type in TEMPLATE_TYPES:
        _check_template(thing)
    if change := _CHANGES.get(action.type):
        change(_Editor(made, action.params, around))
    return made


@dataclass(frozen=True, slots=True)
class _Editor:
    """Changes `made` in place; one method for each type."""

    made: Object
    params: Mapping[str, Any]
    around: Surroundings

    @property
    def name(self) -> str:
        return str(self.made["metadata"]["name"])

    def restart(self) -> None:
        metadata = self.made["spec"]["template"]["metadata"]
        at = datetime.fromtimestamp(self.around.now, UTC).isoformat(timespec="seconds")
        metadata["annotations"] = {**(metadata.get("annotations") or {}), RESTARTED_AT: at}

    def rollback(self) -> None:
        """To the ReplicaSet of the revision before the present one."""
        present = replica_set_of(self.made, self.around.replica_sets)
        earlier = [one for one in self.around.replica_sets if one is not present]
        found = max(earlier, key=own_revision, default=None)
        if found is None:
            raise PermanentError(f"{self.name} has no earlier revision to go back to")
        self.made["spec"]["template"] = _template_of(found)

    def rollback_to(self) -> None:
        wanted, kept = self.params["revision"], {own_revision(one): one for one in self.around.replica_sets}
        if wanted not in kept:
            known = ", ".join(str(number) for number in sorted(kept)) or "none"
            raise PermanentError(f"{self.name} has no revision {wanted}; kept are: {known}")
        self.made["spec"]["template"] = _template_of(kept[wanted])

    def scale(self) -> None:
        if self.around.autoscalers:
            raise PermanentError(f"{', '.join(self.around.autoscalers)} scales {self.name}: it would undo the change")
        if self.made["spec"]["replicas"] == 0:
            raise PermanentError(f"{self.name} is scaled to 0: somebody has switched it off, and nothing wakes it up")
        self.made["spec"]["replicas"] = self.params["replicas"]

    def set_image(self) -> None:
        container = self._container()
        container["image"] = _image(container["image"], self.params["tag"])

    def set_memory(self) -> None:
        _limit(self._container(), "memory", f"{self.params['mebibytes']}Mi")

    def set_cpu(self) -> None:
        _limit(self._container(), "cpu", f"{self.params['millicores']}m")

    def pause(self) -> None:
        self.made["spec"]["paused"] = True

    def resume(self) -> None:
        self.made["spec"]["paused"] = False

    def cordon(self) -> None:
        self.made["spec"]["unschedulable"] = True

    def uncordon(self) -> None:
        self.made["spec"]["unschedulable"] = False

    def set_config(self) -> None:
        key, data = self.params["key"], self.made.get("data", {})
        if key not in data:
            raise PermanentError(f"{self.name} has no key {key!r}; it has {', '.join(sorted(data)) or 'none'}")
        data[key] = self.params["value"]

    def _container(self) -> Object:
        wanted = self.params["container"]
        for container in containers(self.made):
            if container["name"] == wanted:
                return container
        known = ", ".join(container["name"] for container in containers(self.made))
        raise PermanentError(f"{self.name} has no container {wanted!r}; it has {known}")


_CHANGES: Mapping[str, Callable[[_Editor], None]] = {
    "restart": _Editor.restart,
    "rollback": _Editor.rollback,
    "rollback_to": _Editor.rollback_to,
    "scale": _Editor.scale,
    "set_image": _Editor.set_image,
    "set_memory": _Editor.set_memory,
    "set_cpu": _Editor.set_cpu,
    "pause_rollout": _Editor.pause,
    "resume_rollout": _Editor.resume,
    "set_config": _Editor.set_config,
    "cordon": _Editor.cordon,
    "uncordon": _Editor.uncordon,
}


def _check_template(thing: Object) -> None:
    name = thing["metadata"]["name"]
    if thing["spec"].get("paused", False):
        raise PermanentError(f"the roll-out of {name} is paused: its pods would not be replaced; resume it first")
    if thing["spec"].get("revisionHistoryLimit") == 0:
        raise PermanentError(f"{name} keeps no old revision (revisionHistoryLimit: 0): nothing could be put back")


def _template_of(replica_set: Object) -> Object:
    template: Object = copy.deepcopy(replica_set["spec"]["template"])
    template["metadata"].get("labels", {}).pop(HASH_LABEL, None)
    return template


def _image(present: str, tag: str) -> str:
    """The same repository with another tag or digest: no action can name another program."""
    host, slash, last = present.partition("@")[0].rpartition("/")
    repository = f"{host}{slash}{last.partition(':')[0]}"
    return f"{repository}@{tag}" if tag.startswith("sha256:") else f"{repository}:{tag}"


def _limit(container: Object, resource: str, limit: str) -> None:
    """Set a limit; the request comes down with it where it would be above, because the API server insists on that."""
    resources = container.setdefault("resources", {})
    resources.setdefault("limits", {})[resource] = limit
    request = resources.get("requests", {}).get(resource)
    if request is not None and amount(request) > amount(limit):
        resources["requests"][resource] = limit
