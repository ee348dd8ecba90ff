"""A namespace of the control plane, and an executor whose account may do what the allow-list says and nothing else."""

import itertools
import time

import pytest

from remediation.executors.kubernetes.executor import KubernetesExecutor
from remediation.executors.kubernetes.rights import manifests
from remediation.kubernetes_settings import KubernetesSettings
from tests.remediation.kubernetes.world import ALL_TYPES, SHOP, rule


@pytest.fixture(scope="session")
def shop_settings(kube_cluster, tmp_path_factory):
    """Settings of an executor for the namespace `shop` and the node `fake-1`, with an account of its own."""
    kube_cluster.namespace(SHOP)
    kube_cluster.kubectl("label", "node", "fake-1", "aiops-sentinel/remediate=true")
    settings = KubernetesSettings(namespaces=(SHOP,), nodes=("fake-1",), wait=20.0)
    grants = manifests(settings, [rule(*ALL_TYPES)], "sentinel", SHOP)
    path = kube_cluster.account(SHOP, "sentinel", grants, tmp_path_factory.mktemp("kube-account"))
    return settings.model_copy(update={"kubeconfig": str(path)})


@pytest.fixture(scope="session")
def executor(shop_settings):
    """The executor under test, with that account."""
    made = KubernetesExecutor(shop_settings, time.time)
    yield made
    made.close()


@pytest.fixture(scope="session")
def _numbers():
    return itertools.count(1)


@pytest.fixture
def name(_numbers):
    """A name that no other test uses."""
    return f"app-{next(_numbers)}"


@pytest.fixture
def app(kube_cluster, name):
    """A Deployment of two replicas that runs, at its first revision; returns its name."""
    kube_cluster.deploy(SHOP, name)
    return name
