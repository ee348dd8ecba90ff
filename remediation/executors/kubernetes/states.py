"""An object of the API server as Sentinel sees it: plain fields, a version, and what differs between two. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from remediation.executors.kubernetes.actions import CONFIG_MAP, DEPLOYMENT
from remediation.executors.protocol import TargetState
from sentinel.canonical import digest
from sentinel.plans import Scalar

Object = dict[str, Any]
"""An object as the API server's JSON has it."""

REVISION = "deployment.kubernetes.io/revision"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
HASH_LABEL = "pod-template-hash"
_SHORT = 256


def state_of(kind: str, thing: Object, replica_sets: Sequence[Object] = ()) -> TargetState:
    """The state of an object. `replica_sets` are those of a Deployment: they tell the revision of its pod template.

    The version is the object's uid with its generation where the API server counts changes of the specification
    (Deployments), else with a digest of what can be acted on. It does not follow `resourceVersion`, which also moves
    with the status: a crash loop would supersede every question before somebody could answer it.
    """
    identity = str(thing["metadata"]["uid"])[:8]
    if kind == DEPLOYMENT:
        return TargetState(
            resource_version=f"{identity}.{thing['metadata']['generation']}",
            fields=_deployment_fields(thing, replica_sets),
        )
    fields = _config_fields(thing) if kind == CONFIG_MAP else _node_fields(thing)
    what = thing.get("data", {}) if kind == CONFIG_MAP else fields
    return TargetState(resource_version=f"{identity}.{digest(what)[:12]}", fields=fields)


def next_version(kind: str, before: Object, after: TargetState) -> str:
    """The version that `after` will have once it is written over `before`: one write is one generation."""
    if kind == DEPLOYMENT:
        return f"{str(before['metadata']['uid'])[:8]}.{before['metadata']['generation'] + 1}"
    return after.resource_version


def _deployment_fields(thing: Object, replica_sets: Sequence[Object]) -> dict[str, Scalar]:
    spec = thing["spec"]
    fields: dict[str, Scalar] = {
        "replicas": spec["replicas"],
        "paused": bool(spec.get("paused", False)),
        "revision": revision_of(thing, replica_sets),
        "template": digest(_plain_template(spec["template"]))[:12],
    }
    for container in containers(thing):
        name, limits = container["name"], container.get("resources", {}).get("limits", {})
        fields[f"image.{name}"] = container["image"]
        fields[f"memory.{name}"] = limits.get("memory", "")
        fields[f"cpu.{name}"] = limits.get("cpu", "")
    return fields


def _config_fields(thing: Object) -> dict[str, Scalar]:
    """Short values as they are; of a long one only its digest, because a state is shown and signed."""
    return {
        f"data.{key}" if len(value) <= _SHORT else f"digest.{key}": value if len(value) <= _SHORT else digest(value)
        for key, value in thing.get("data", {}).items()
    }


def _node_fields(thing: Object) -> dict[str, Scalar]:
    return {"cordoned": bool(thing["spec"].get("unschedulable", False))}


def containers(deployment: Object) -> list[Object]:
    """The containers of a Deployment's pod template, those that run before them left out."""
    found: list[Object] = deployment["spec"]["template"]["spec"]["containers"]
    return found


def revision_of(deployment: Object, replica_sets: Sequence[Object]) -> int:
    """The revision that the Deployment's pod template has, or will have once its controller has seen it.

    The controller gives the ReplicaSet of the present template a number above all others; a paused one waits.
    """
    told = own_revision(deployment)
    if deployment["spec"].get("paused", False) or not replica_sets:
        return told
    present = replica_set_of(deployment, replica_sets)
    others = max((own_revision(one) for one in replica_sets if one is not present), default=0)
    return max(own_revision(present) if present else 0, others + 1)


def replica_set_of(deployment: Object, replica_sets: Sequence[Object]) -> Object | None:
    """The ReplicaSet that runs the Deployment's present pod template; the oldest of several, as the controller does."""
    wanted = _without_hash(deployment["spec"]["template"])
    same = [one for one in replica_sets if _without_hash(one["spec"]["template"]) == wanted]
    return min(same, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]), default=None)


def own_revision(thing: Object) -> int:
    """The revision in an object's annotations; 0 without one."""
    return int(notes_of(thing).get(REVISION, "0"))


def notes_of(thing: Object) -> Mapping[str, str]:
    """An object's annotations; empty when it has none."""
    found: Mapping[str, str] = thing["metadata"].get("annotations") or {}
    return found


def _without_hash(template: Object) -> Object:
    labels = {key: value for key, value in template["metadata"].get("labels", {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def _plain_template(template: Object) -> Object:
    """Without the time of the last restart: two restarts in a row make no other program."""
    plain = _without_hash(template)
    noted = {key: value for key, value in notes_of(plain).items() if key != RESTARTED_AT}
    metadata = {key: value for key, value in plain["metadata"].items() if key != "annotations"}
    return {**plain, "metadata": {**metadata, "annotations": noted} if noted else metadata}


def differences(before: object, after: object, path: str = "") -> Iterator[str]:
    """Every place where two objects differ, as `path: old -> new`; lists by the `name` of their items where they have one."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list) and (named := _by_name(before, after)):
        for name in named[0].keys() | named[1].keys():
            yield from differences(named[0].get(name), named[1].get(name), f"{path}[{name}]")
    elif before != after:
        yield f"{path}: {_shown(before)} -> {_shown(after)}"


def _by_name(*lists: list[Any]) -> tuple[dict[str, Any], ...] | None:
    if not all(isinstance(item, dict) and "name" in item for items in lists for item in items):
        return None
    return tuple({str(item["name"]): item for item in items} for items in lists)


def _shown(value: object) -> str:
    if value is None:
        return "(nothing)"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= 120 else f"{text[:117]}..."
