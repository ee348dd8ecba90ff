"""The action types that only Kubernetes has. `restart`, `rollback` and `scale` of the catalogue work there too. Pure."""

from __future__ import annotations

from remediation.action_types import ActionType, IntegerParam, TextParam
from sentinel.plans import Risk

BACKEND = "kubernetes"
"""Name that targets on Kubernetes give."""

WORST = "@worst"
"""Stands for the pod that is worst off: not ready before ready, then the one with most restarts, then the oldest."""

_NAME = TextParam(pattern=r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_POD = TextParam(pattern=r"@worst|[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_TAG = TextParam(pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64}")
_KEY = TextParam(pattern=r"[-._a-zA-Z0-9]{1,253}")
_VALUE = TextParam(pattern=r"[ -~]{0,256}")


def _type(
    name: str, text: str, risk: Risk, inverse: str, downtime: float = 0.0, **params: TextParam | IntegerParam
) -> ActionType:
    return ActionType(
        name=name,
        text=text,
        params=params,
        risk=risk,
        expected_downtime=downtime,
        inverse=inverse,
        backend=BACKEND,
    )


KUBERNETES_TYPES = (
    _type(
        "rollback_to",
        "put the pod template of an earlier revision of the Deployment back",
        Risk.MEDIUM,
        "rollback_to",
        30.0,
        revision=IntegerParam(low=1, high=1_000_000),
    ),
    _type(
        "set_image",
        "run another tag or digest of the image that a container runs already",
        Risk.HIGH,
        "rollback_to",
        30.0,
        container=_NAME,
        tag=_TAG,
    ),
    _type(
        "set_memory",
        "change the memory limit of a container, in MiB; its request follows where it would be above",
        Risk.MEDIUM,
        "rollback_to",
        30.0,
        container=_NAME,
        mebibytes=IntegerParam(low=16, high=65_536),
    ),
    _type(
        "set_cpu",
        "change the CPU limit of a container, in thousandths; its request follows where it would be above",
        Risk.MEDIUM,
        "rollback_to",
        30.0,
        container=_NAME,
        millicores=IntegerParam(low=10, high=64_000),
    ),
    _type("pause_rollout", "stop a roll-out where it is", Risk.LOW, "resume_rollout"),
    _type("resume_rollout", "let a paused roll-out go on", Risk.MEDIUM, "pause_rollout"),
    _type(
        "evict_pod",
        "evict one pod of the Deployment, so that another takes its place; disruption budgets hold",
        Risk.LOW,
        "",
        pod=_POD,
    ),
    _type(
        "set_config",
        "change the value of a key that a ConfigMap has",
        Risk.HIGH,
        "set_config",
        key=_KEY,
        value=_VALUE,
    ),
    _type("cordon", "let no new pod be placed on a node", Risk.MEDIUM, "uncordon"),
    _type("uncordon", "let pods be placed on a node again", Risk.LOW, "cordon"),
)
"""Types of the backend `kubernetes`; `remediation/catalogue.py` joins them."""
