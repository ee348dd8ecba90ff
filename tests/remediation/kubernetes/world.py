"""Targets and actions in the namespace of the tests."""

import json

from remediation.catalogue import Step, make_action
from remediation.executors.kubernetes.actions import TYPES
from remediation.settings import AllowRule
from sentinel.plans import Target

SHOP = "shop"
ALL_TYPES = tuple(sorted(TYPES))


def target(name, kind="deployment", namespace=SHOP):
    if kind == "node":
        namespace = ""
    return Target(backend="kubernetes", kind=kind, name=name, namespace=namespace, service=name)


def action(kind, on, **params):
    """An action on a Deployment by its name, or on any target."""
    on = target(on) if isinstance(on, str) else on
    return make_action(f"act-{kind}", Step(type=kind, service=on.serves, params=params, reason="test"), on)


def rule(*types, name="*", namespace=SHOP):
    return AllowRule(actions=types, backend="kubernetes", name=name, namespace=namespace)


def write_kubeconfig(folder, server):
    """A kubeconfig for a server without certificates; returns its path."""
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(json.dumps(config))
    return str(path)
