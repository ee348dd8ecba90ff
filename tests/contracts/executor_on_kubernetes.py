"""A Deployment on a real control plane, for the suite of executors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from remediation.executors.kubernetes.executor import KubernetesExecutor
from remediation.kubernetes_settings import KubernetesSettings
from sentinel.plans import Action, Target
from tests.contracts.executor_subjects import Fixture, Subject, make
from tests.services.kube_cluster import KubeCluster

NAMESPACE = "contract"


def _target(name: str) -> Target:
    return Target(backend="kubernetes", kind="deployment", namespace=NAMESPACE, name=name)


@contextmanager
def kubernetes(fixture: Fixture) -> Iterator[Subject]:
    """A Deployment at its second revision, as the administrator sees it."""
    cluster: KubeCluster = fixture("kube_cluster")
    cluster.namespace(NAMESPACE)
    cluster.deploy(NAMESPACE, "cart")
    cluster.kubectl("-n", NAMESPACE, "set", "image", "deployment/cart", "app=registry.local/shop/app:2")
    cluster.rolled_out(NAMESPACE, "cart")
    cart = _target("cart")

    def sized(replicas: int) -> Action:
        return make(cart, "scale", replicas=replicas)

    settings = KubernetesSettings(kubeconfig=str(cluster.kubeconfig), namespaces=(NAMESPACE,), wait=20.0)
    yield Subject(
        executor=KubernetesExecutor(settings, time.time),
        target=cart,
        stranger=_target("no/body?x=1"),
        unknown="404",
        deed=make(cart, "restart"),
        final=(make(cart, "restart"), make(cart, "evict_pod", pod="@worst")),
        changes=tuple((sized(count), {"replicas": count}) for count in (5, 3)),
        undone=(sized(4), make(cart, "rollback"), make(cart, "set_memory", container="app", mebibytes=64)),
        kept=("template", "image.app", "memory.app", "replicas"),
    )
