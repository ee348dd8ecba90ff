"""Evicting a pod: the right one, once, and never against a disruption budget."""

import time

import pytest

from remediation.executors.kubernetes.cluster import ConflictError
from remediation.executors.kubernetes.executor import KubernetesExecutor
from remediation.executors.kubernetes.records import ACTIONS
from sentinel.errors import RefusedError
from tests.remediation.kubernetes.world import SHOP, action, target
from tests.services.kube_cluster import POD_FAILS

pytestmark = pytest.mark.kubernetes


def pods(cluster, name):
    found = cluster.get("pods", "-n", SHOP, "-l", f"app={name}")["items"]
    return {pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]}


def budget(cluster, name, available):
    cluster.apply(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": f"{name}-budget", "namespace": SHOP},
            "spec": {"minAvailable": available, "selector": {"matchLabels": {"app": name}}},
        }
    )
    path = "jsonpath={.status.expectedPods}=2"
    cluster.kubectl("-n", SHOP, "wait", f"pdb/{name}-budget", f"--for={path}", "--timeout=20s")


def test_one_pod_goes_and_another_comes(executor, kube_cluster, app):
    old, seen = pods(kube_cluster, app), executor.observe(target(app))
    chosen = min(old)
    deed = action("evict_pod", app, pod=chosen)
    preview = executor.dry_run(deed)
    assert (preview.before[f"pod.{chosen}"], preview.after[f"pod.{chosen}"]) == ("running", "evicted")
    assert pods(kube_cluster, app) == old, "the dry run has evicted it"
    applied = executor.apply(deed, seen.resource_version, f"key-{app}")
    new = pods(kube_cluster, app)
    assert (old - new, len(new)) == ({chosen}, 2)
    assert executor.verify_applied(deed, applied) == ""
    assert executor.apply(deed, seen.resource_version, f"key-{app}") == applied
    assert pods(kube_cluster, app) == new, "the same key has evicted a second pod"
    assert executor.inverse(deed, seen) is None


def test_the_pod_that_is_worst_off_is_found_by_the_executor(executor, kube_cluster, app):
    sick = max(pods(kube_cluster, app))
    kube_cluster.kubectl("-n", SHOP, "label", "pod", sick, f"{POD_FAILS}=true")
    kube_cluster.kubectl("-n", SHOP, "wait", f"pod/{sick}", "--for=jsonpath={.status.phase}=Failed", "--timeout=20s")
    deed = action("evict_pod", app, pod="@worst")
    found = {name for name in executor.dry_run(deed).before if name.startswith("pod.")}
    assert found == {f"pod.{sick}"}
    executor.apply(deed, executor.observe(target(app)).resource_version, f"key-{app}")
    assert sick not in pods(kube_cluster, app)


def test_a_disruption_budget_is_respected(executor, kube_cluster, app):
    budget(kube_cluster, app, available=2)
    old, seen = pods(kube_cluster, app), executor.observe(target(app))
    deed = action("evict_pod", app, pod="@worst")
    for attempt in (lambda: executor.dry_run(deed), lambda: executor.apply(deed, seen.resource_version, f"key-{app}")):
        with pytest.raises(RefusedError, match=f"{app}-budget") as refused:
            attempt()
        assert refused.value.rule == "disruption_budget"
    assert pods(kube_cluster, app) == old
    assert executor.observe(target(app)) == seen
    told = executor.dry_run(action("restart", app)).text
    assert f"budget {app}-budget allows 0 disruptions now" in told
    assert "2 of 2 replicas are available" in told


def test_a_pod_of_the_same_name_that_came_later_is_not_meant(executor, kube_cluster, app):
    with pytest.raises(ConflictError):
        executor._cluster.evict(SHOP, min(pods(kube_cluster, app)), "uid-of-the-one-before", dry_run=True)


class Between(KubernetesExecutor):
    """Something happens after the note on the Deployment and before the eviction itself."""

    meanwhile = staticmethod(lambda: None)

    def _evict(self, action, record):
        self.meanwhile()
        super()._evict(action, record)


@pytest.fixture
def between(shop_settings):
    made = Between(shop_settings, time.time)
    yield made
    made.close()


def test_a_crash_between_note_and_eviction_is_made_up_for(between, executor, kube_cluster, app):
    old, seen = pods(kube_cluster, app), executor.observe(target(app))
    chosen = min(old)
    deed = action("evict_pod", app, pod=chosen)

    def crash():
        raise KeyboardInterrupt

    between.meanwhile = crash
    with pytest.raises(KeyboardInterrupt):
        between.apply(deed, seen.resource_version, f"key-{app}")
    assert pods(kube_cluster, app) == old
    assert executor.apply(deed, seen.resource_version, f"key-{app}").changed
    assert old - pods(kube_cluster, app) == {chosen}


def test_a_budget_that_closes_in_between_leaves_no_note(between, executor, kube_cluster, app):
    seen = executor.observe(target(app))
    between.meanwhile = lambda: budget(kube_cluster, app, available=2)
    with pytest.raises(RefusedError, match="disruption_budget"):
        between.apply(action("evict_pod", app, pod="@worst"), seen.resource_version, f"key-{app}")
    annotations = kube_cluster.get("deployment", app, "-n", SHOP)["metadata"]["annotations"]
    assert annotations[ACTIONS] == "[]"
