"""Every action type on a real API server: shown before, done once, seen afterwards, put back."""

import pytest

from remediation.executors.kubernetes.records import ACTIONS
from remediation.kubernetes_types import KUBERNETES_TYPES
from sentinel.errors import PermanentError, RefusedError
from sentinel.plans import Scalar
from tests.remediation.kubernetes.world import SHOP, action, target

pytestmark = pytest.mark.kubernetes


def spec(cluster, name, kind="deployment"):
    found = cluster.get(kind, name, *([] if kind == "node" else ["-n", SHOP]))
    return {key: found.get(key) for key in ("spec", "data")}


def config_map(cluster, name):
    data = {"LIMIT": "10", "LONG": "x" * 300}
    labels = {"aiops-sentinel/remediate": "true"}
    metadata = {"name": name, "namespace": SHOP, "labels": labels}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    return target(name, "configmap")


def second_revision(cluster, name):
    cluster.kubectl("-n", SHOP, "set", "image", f"deployment/{name}", "app=registry.local/shop/app:2")
    cluster.rolled_out(SHOP, name)


CASES: dict[str, tuple[dict[str, Scalar], str, Scalar]] = {
    "rollback": ({}, "image.app", "registry.local/shop/app:1"),
    "rollback_to": ({"revision": 1}, "image.app", "registry.local/shop/app:1"),
    "scale": ({"replicas": 3}, "replicas", 3),
    "set_image": ({"container": "app", "tag": "3"}, "image.app", "registry.local/shop/app:3"),
    "set_memory": ({"container": "app", "mebibytes": 512}, "memory.app", "512Mi"),
    "set_cpu": ({"container": "app", "millicores": 50}, "cpu.app", "50m"),
    "pause_rollout": ({}, "paused", True),
    "set_config": ({"key": "LIMIT", "value": "20"}, "data.LIMIT", "20"),
    "cordon": ({}, "cordoned", True),
}
"""Types that can be undone: parameters, and the field that shows it."""


def test_every_type_has_its_case():
    tested_below = {"restart", "evict_pod", "resume_rollout", "uncordon"}
    ours = {entry.name for entry in KUBERNETES_TYPES} | {"restart", "rollback", "scale"}
    assert ours == CASES.keys() | tested_below


@pytest.fixture
def place(request, kube_cluster, name):
    """The target that a type acts on."""
    if request.param == "set_config":
        return config_map(kube_cluster, name)
    if request.param == "cordon":
        return target("fake-1", "node")
    kube_cluster.deploy(SHOP, name)
    second_revision(kube_cluster, name)
    return target(name)


@pytest.mark.parametrize(("kind", "place"), [(kind, kind) for kind in CASES], indirect=["place"], ids=list(CASES))
def test_an_action_is_shown_done_once_seen_and_put_back(executor, kube_cluster, kind, place):
    params, field, wanted = CASES[kind]
    deed = action(kind, place, **params)
    first, before = spec(kube_cluster, place.name, place.kind), executor.observe(place)

    preview = executor.dry_run(deed)
    assert preview.before == before.fields
    assert preview.after[field] == wanted != preview.before[field]
    assert preview.resource_version == before.resource_version
    assert str(wanted).lower() in preview.text.lower()
    assert spec(kube_cluster, place.name, place.kind) == first
    assert executor.observe(place) == before

    inverse = executor.inverse(deed, before)
    applied = executor.apply(deed, before.resource_version, f"key-{place.name}")
    assert (applied.before, applied.after.fields) == (before, preview.after)
    assert executor.observe(place) == applied.after
    assert executor.verify_applied(deed, applied) == ""
    assert executor.apply(deed, before.resource_version, f"key-{place.name}") == applied
    assert executor.observe(place) == applied.after

    undone = executor.apply(inverse, applied.after.resource_version, f"undo-{place.name}")
    assert executor.verify_applied(inverse, undone) == ""
    assert field in executor.verify_applied(deed, applied)
    changing = {"revision"}
    assert {k: v for k, v in undone.after.fields.items() if k not in changing} == {
        k: v for k, v in before.fields.items() if k not in changing
    }
    last = spec(kube_cluster, place.name, place.kind)
    if kind not in ("pause_rollout", "cordon"):  # `paused: false` is left out by the API server, or not
        assert last == first


def test_a_restart_replaces_every_pod_and_nothing_else(executor, kube_cluster, app):
    def pods():
        return {pod["metadata"]["name"] for pod in kube_cluster.get("pods", "-n", SHOP, "-l", f"app={app}")["items"]}

    old, before = pods(), executor.observe(target(app))
    deed = action("restart", app)
    assert "restartedAt" in executor.dry_run(deed).text
    applied = executor.apply(deed, before.resource_version, f"key-{app}")
    assert not old & pods()
    assert applied.after.fields == {**before.fields, "revision": 2}
    assert executor.verify_applied(deed, applied) == ""
    assert applied.effective_at >= before.fields["replicas"]
    assert executor.inverse(deed, before) is None


def test_a_roll_out_that_is_paused_can_go_on(executor, kube_cluster, app):
    pause, resume = action("pause_rollout", app), action("resume_rollout", app)
    running = executor.observe(target(app))
    assert executor.inverse(resume, running) is None, "nothing is paused: there is nothing to put back"
    paused = executor.apply(pause, running.resource_version, f"pause-{app}")
    kube_cluster.kubectl("-n", SHOP, "set", "image", f"deployment/{app}", "app=registry.local/shop/app:2")
    waiting = executor.observe(target(app))
    assert (waiting.fields["revision"], paused.after.fields["paused"]) == (1, True)
    with pytest.raises(PermanentError, match="is paused"):
        executor.dry_run(action("restart", app))
    applied = executor.apply(resume, waiting.resource_version, f"resume-{app}")
    assert (applied.after.fields["revision"], applied.after.fields["paused"]) == (2, False)
    assert executor.verify_applied(resume, applied) == ""
    assert executor.inverse(resume, waiting) == executor.inverse(resume, paused.after)


def test_a_node_can_be_used_again(executor, kube_cluster):
    node = target("fake-1", "node")
    cordoned = executor.apply(action("cordon", node), executor.observe(node).resource_version, "key-a")
    deed = action("uncordon", node)
    assert executor.inverse(deed, cordoned.after).type == "cordon"
    applied = executor.apply(deed, cordoned.after.resource_version, "key-b")
    assert applied.after.fields == {"cordoned": False}
    assert "unschedulable" not in kube_cluster.get("node", "fake-1")["spec"]


def test_an_action_says_who_did_it_and_under_which_key(executor, kube_cluster, app):
    at = executor.observe(target(app)).resource_version
    executor.apply(action("scale", app, replicas=1), at, f"key-{app}")
    metadata = kube_cluster.get("deployment", app, "-n", SHOP, "--show-managed-fields=true")["metadata"]
    assert f"key-{app}" in metadata["annotations"][ACTIONS]
    managers = {entry["manager"]: entry["fieldsV1"] for entry in metadata["managedFields"]}
    assert "f:replicas" in str(managers["aiops-sentinel"])


def test_somebody_elses_change_is_drift(executor, kube_cluster, app):
    seen = executor.observe(target(app))
    deed = action("scale", app, replicas=5)
    kube_cluster.kubectl("-n", SHOP, "scale", f"deployment/{app}", "--replicas=4")
    with pytest.raises(RefusedError) as refused:
        executor.apply(deed, seen.resource_version, f"key-{app}")
    assert refused.value.rule == "drift"
    assert executor.observe(target(app)).fields["replicas"] == 4


def test_a_status_that_moves_is_no_drift(executor, kube_cluster, app):
    seen = executor.observe(target(app))
    kube_cluster.kubectl("-n", SHOP, "label", "deployment", app, "moves=resourceVersion")
    assert executor.observe(target(app)) == seen
    assert executor.apply(action("scale", app, replicas=1), seen.resource_version, f"key-{app}").changed


@pytest.mark.parametrize(
    ("kind", "params", "reason"),
    [
        ("rollback", {}, "no earlier revision"),
        ("rollback_to", {"revision": 7}, "no revision 7; kept are: 1"),
        ("set_image", {"container": "side", "tag": "2"}, "no container 'side'; it has app"),
        ("set_cpu", {"container": "app", "millicores": 64000}, ""),
        ("evict_pod", {"pod": "of-somebody-else"}, "no pod of-somebody-else"),
        ("cordon", {}, "acts on a node"),
        ("set_config", {"key": "A", "value": "b"}, "acts on a configmap"),
        ("deploy", {"version": "2"}, "nothing that Kubernetes can do"),
    ],
)
def test_what_the_live_object_does_not_allow_is_refused_for_good(executor, app, kind, params, reason):
    deed = action(kind, app, **params)
    if not reason:
        assert executor.dry_run(deed).after["cpu.app"] == "64", "the API server writes 64000m as 64"
        return
    with pytest.raises(PermanentError, match=reason):
        executor.dry_run(deed)


def test_what_could_not_be_put_back_has_no_inverse(executor, kube_cluster, name, app):
    """The catalogue calls these reversible, so that the rehearsal before every action refuses them."""
    config = config_map(kube_cluster, f"{name}-config")
    assert executor.inverse(action("set_config", config, key="LONG", value="y"), executor.observe(config)) is None
    with pytest.raises(PermanentError, match="no key 'NEW'; it has LIMIT, LONG"):
        executor.dry_run(action("set_config", config, key="NEW", value="y"))
    deed = action("scale", app, replicas=1)
    kube_cluster.kubectl("-n", SHOP, "scale", f"deployment/{app}", "--replicas=0")
    with pytest.raises(PermanentError, match="switched it off"):
        executor.dry_run(deed)
    kube_cluster.kubectl("-n", SHOP, "scale", f"deployment/{app}", "--replicas=21")
    assert executor.inverse(deed, executor.observe(target(app))) is None, "21 replicas are out of bounds"


def test_nothing_can_be_put_back_without_history(executor, kube_cluster, name):
    kube_cluster.deploy(SHOP, name, revisionHistoryLimit=0)
    with pytest.raises(PermanentError, match="keeps no old revision"):
        executor.dry_run(action("set_memory", name, container="app", mebibytes=64))


def test_an_autoscaler_has_the_last_word(executor, kube_cluster, app):
    kube_cluster.kubectl("-n", SHOP, "autoscale", "deployment", app, "--min=1", "--max=3")
    with pytest.raises(PermanentError, match=f"{app} scales {app}"):
        executor.dry_run(action("scale", app, replicas=3))
