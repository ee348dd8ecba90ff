"""What the account may do, and that the API server refuses it the rest; where the executor itself says no before."""

import subprocess
import time

import pytest

from remediation.executors.kubernetes.executor import KubernetesExecutor
from remediation.executors.kubernetes.rights import manifests
from remediation.kubernetes_settings import KubernetesSettings
from sentinel.errors import ConfigError, PermanentError, RefusedError
from tests.remediation.kubernetes.world import ALL_TYPES, SHOP, action, rule, target, write_kubeconfig
from tests.services.kube_cluster import deployment, programs

SETTINGS = KubernetesSettings(namespaces=(SHOP,), nodes=("fake-1",))


def may(rules, verb, resource, namespace=SHOP):
    """Names for which the manifests allow it: None for nothing, an empty list for any name."""
    group, _, plural = resource.rpartition("/") if resource != "pods/eviction" else ("", "", resource)
    for thing in manifests(SETTINGS, rules, "sentinel", SHOP):
        if thing["metadata"].get("namespace", "") != namespace:
            continue
        for entry in thing.get("rules", ()):
            if verb in entry["verbs"] and plural in entry["resources"] and group in entry["apiGroups"]:
                return entry.get("resourceNames", [])
    return None


def test_an_empty_allow_list_asks_for_nothing():
    assert manifests(SETTINGS, [], "sentinel", SHOP) == []
    assert manifests(SETTINGS, [rule("restart").model_copy(update={"backend": "fleet"})], "sentinel", SHOP) == []


def test_each_action_asks_for_its_own_and_by_name():
    rules = [rule("restart", name="cart"), rule("scale", name="web")]
    assert may(rules, "update", "apps/deployments") == ["cart", "web"]
    assert may(rules, "list", "autoscaling/horizontalpodautoscalers") == []
    assert may([rule("restart")], "list", "autoscaling/horizontalpodautoscalers") is None
    assert may(rules, "create", "pods/eviction") is None
    assert may(rules, "update", "/configmaps") is None
    assert may([rule("set_config", name="limits")], "update", "/configmaps") == ["limits"]
    assert may([rule("set_config", name="limits")], "update", "apps/deployments") is None
    assert may([rule("cordon")], "update", "/nodes", namespace="") == ["fake-1"]
    assert may([rule("restart", namespace="bank")], "get", "apps/deployments") is None


def test_nothing_may_ever_be_deleted_or_created_but_evictions():
    for thing in manifests(SETTINGS, [rule(*ALL_TYPES)], "sentinel", SHOP):
        for entry in thing.get("rules", ()):
            assert set(entry["verbs"]) <= {"get", "list", "watch", "update"} or entry["resources"] == ["pods/eviction"]
            assert not {"*", "secrets", "roles", "pods/exec"} & set(entry["resources"])


REFUSED = (
    ["delete", "deployment/web"],
    ["delete", "pod", "--all"],
    ["get", "secrets"],
    ["create", "deployment", "mine", "--image=registry.local/mine"],
    ["exec", "deployment/web", "--", "true"],
    ["get", "deployments", "--namespace=default"],
    ["create", "rolebinding", "more", "--clusterrole=admin", f"--serviceaccount={SHOP}:sentinel"],
    ["cordon", "fake-2"],
    ["label", "node", "fake-1", "mine=true", "--overwrite"],
)


@pytest.mark.kubernetes
@pytest.mark.parametrize("command", REFUSED, ids=[" ".join(command[:3]) for command in REFUSED])
def test_the_api_server_refuses_the_rest(shop_settings, kube_cluster, command):
    if command[0] == "exec":
        kube_cluster.apply(deployment(SHOP, "web"))
    account = [str(programs() / "kubectl"), "--kubeconfig", shop_settings.kubeconfig, "--namespace", SHOP]
    done = subprocess.run([*account, *command], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert "forbidden" in done.stderr.lower()


@pytest.mark.kubernetes
def test_an_account_for_one_name_touches_no_other(kube_cluster, app, tmp_path):
    other = f"{app}-other"
    kube_cluster.deploy(SHOP, other)
    grants = manifests(SETTINGS, [rule("restart", name=app)], f"for-{app}", SHOP)
    path = kube_cluster.account(SHOP, f"for-{app}", grants, tmp_path)
    executor = KubernetesExecutor(SETTINGS.model_copy(update={"kubeconfig": str(path)}), time.time)
    executor.apply(action("restart", app), executor.observe(target(app)).resource_version, f"key-{app}")
    with pytest.raises(PermanentError, match="403"):
        executor.observe(target(other))
    executor.close()


@pytest.mark.kubernetes
def test_an_object_whose_owner_did_not_agree_is_left_alone(executor, kube_cluster, app):
    deed, seen = action("restart", app), executor.observe(target(app))
    for label in ("aiops-sentinel/remediate-", "aiops-sentinel/remediate=false"):
        kube_cluster.kubectl("-n", SHOP, "label", "deployment", app, label, "--overwrite")
        for attempt in (lambda: executor.dry_run(deed), lambda: executor.apply(deed, seen.resource_version, "key")):
            with pytest.raises(RefusedError, match="owner did not agree") as refused:
                attempt()
            assert refused.value.rule == "opt-in"
    assert executor.observe(target(app)) == seen


@pytest.fixture
def nowhere(tmp_path):
    """A kubeconfig that leads to a closed port."""
    return write_kubeconfig(tmp_path, "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (target("web", namespace="kube-system"), "kube-system"),
        (target("fake-2", "node"), "fake-2"),
        (target("web", "secret"), "not on secret"),
    ],
)
def test_places_that_are_not_named_are_not_even_looked_at(nowhere, place, reason):
    executor = KubernetesExecutor(SETTINGS.model_copy(update={"kubeconfig": nowhere}), time.time)
    for attempt in (
        lambda: executor.observe(place),
        lambda: executor.dry_run(action("restart", place)),
        lambda: executor.apply(action("restart", place), "1", "key"),
    ):
        with pytest.raises(PermanentError, match=reason):
            attempt()
    executor.close()


def test_credentials_that_are_not_there_are_a_mistake_of_the_configuration(tmp_path, nowhere):
    with pytest.raises(ConfigError, match="service account"):
        KubernetesExecutor(SETTINGS, time.time)
    for changes in ({"kubeconfig": str(tmp_path / "missing")}, {"kubeconfig": nowhere, "context": "other"}):
        with pytest.raises(ConfigError, match=r"remediation\.executor\.kubernetes"):
            KubernetesExecutor(SETTINGS.model_copy(update=changes), time.time)
