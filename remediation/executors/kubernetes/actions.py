"""What the executor can do, to which kinds of objects, and what the API server must allow for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from remediation.kubernetes_types import KUBERNETES_TYPES

DEPLOYMENT, CONFIG_MAP, NODE, POD = "deployment", "configmap", "node", "pod"
"""Kinds of objects; the first three can be targets."""

KINDS = (DEPLOYMENT, CONFIG_MAP, NODE)
"""What a target can be."""

OPT_IN_VALUE = "true"
"""What the opt-in label must say."""

TYPES = frozenset({"restart", "rollback", "scale", *(entry.name for entry in KUBERNETES_TYPES)})
"""Everything of the catalogue that can be done here."""

TEMPLATE_TYPES = frozenset({"restart", "rollback", "rollback_to", "set_image", "set_memory", "set_cpu"})
"""Types that change a Deployment's pod template, so that its pods are replaced."""


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that the API server must allow: `named` ones hold for the target alone, the others in its namespace."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    named: bool = True


_DEPLOYMENT_RIGHTS = (
    Right("apps", "deployments", ("get", "update", "watch")),
    Right("apps", "replicasets", ("list",), named=False),
    Right("", "pods", ("list",), named=False),
    Right("policy", "poddisruptionbudgets", ("list",), named=False),
)
_RIGHTS: Mapping[str, tuple[Right, ...]] = {
    "scale": (Right("autoscaling", "horizontalpodautoscalers", ("list",), named=False),),
    "evict_pod": (
        Right("", "pods", ("get",), named=False),
        Right("", "pods/eviction", ("create",), named=False),
    ),
    "set_config": (Right("", "configmaps", ("get", "update")),),
    "cordon": (Right("", "nodes", ("get", "update")),),
    "uncordon": (Right("", "nodes", ("get", "update")),),
}


def kind_of(action_type: str) -> str:
    """The kind of object that an action of this type acts on."""
    if action_type == "set_config":
        return CONFIG_MAP
    return NODE if action_type in ("cordon", "uncordon") else DEPLOYMENT


def rights_of(action_type: str) -> tuple[Right, ...]:
    """What an action of this type, its undo included, asks of the API server, and nothing more."""
    own = _RIGHTS.get(action_type, ())
    return (*_DEPLOYMENT_RIGHTS, *own) if kind_of(action_type) == DEPLOYMENT else own
