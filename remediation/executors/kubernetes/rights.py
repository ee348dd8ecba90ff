"""The least that Sentinel's account must be allowed on a cluster, as manifests made of the allow-list. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from remediation.executors.kubernetes.actions import NODE, TYPES, Right, kind_of, rights_of
from remediation.kubernetes_settings import KubernetesSettings
from remediation.kubernetes_types import BACKEND
from remediation.settings import AllowRule

Manifest = dict[str, Any]
"""One object to apply."""

_ROLE_API = "rbac.authorization.k8s.io"


def manifests(settings: KubernetesSettings, rules: Sequence[AllowRule], account: str, home: str) -> list[Manifest]:
    """A Role and its binding for each namespace of the settings, and a ClusterRole for the nodes where any is named.

    They allow what the allow-list's entries for Kubernetes need and nothing else, to the service account `account` of
    the namespace `home`. An object's name is named where the entry names it without a pattern. The API server cannot
    tell one field of an object from another: who may scale a Deployment may change its image too.
    """
    ours = [rule for rule in rules if rule.backend == BACKEND]
    made: list[Manifest] = []
    for namespace in settings.namespaces:
        here = [rule for rule in ours if fnmatchcase(namespace, rule.namespace)]
        found = _rules(here)
        if found:
            made += _grant("Role", account, namespace, found, account, home)
    on_nodes = {action for rule in ours for action in rule.actions if action in TYPES and kind_of(action) == NODE}
    if settings.nodes and on_nodes:
        rights = sorted({right for action in on_nodes for right in rights_of(action)}, key=_order)
        found = [_rule(right, settings.nodes) for right in rights]
        made += _grant("ClusterRole", account, "", found, account, home)
    return made


def _rules(rules: Iterable[AllowRule]) -> list[Manifest]:
    """RBAC rules of a namespace, one for each right and set of names."""
    named: dict[Right, set[str]] = {}
    for rule in rules:
        for action in rule.actions:
            if action in TYPES and kind_of(action) != NODE:
                for right in rights_of(action):
                    named.setdefault(right, set()).add(rule.name)
    return [_rule(right, sorted(named[right])) for right in sorted(named, key=_order)]


def _rule(right: Right, names: Sequence[str]) -> Manifest:
    rule: Manifest = {"apiGroups": [right.group], "resources": [right.resource], "verbs": list(right.verbs)}
    if right.named and not any(sign in name for name in names for sign in "*?["):
        rule["resourceNames"] = list(names)
    return rule


def _order(right: Right) -> tuple[str, str, tuple[str, ...]]:
    return right.group, right.resource, right.verbs


def _grant(kind: str, name: str, namespace: str, rules: list[Manifest], account: str, home: str) -> list[Manifest]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    role = {"apiVersion": f"{_ROLE_API}/v1", "kind": kind, "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": f"{_ROLE_API}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": _ROLE_API, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home}],
    }
    return [role, binding]
