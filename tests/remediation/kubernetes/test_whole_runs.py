"""Whole runs of the worker on a real control plane: from an incident over a person's yes to a verified or undone action."""

import pytest

from remediation.settings import RemediationSettings
from sentinel.catalogue import ServiceCatalogue
from tests.remediation.kubernetes.world import SHOP, target
from tests.remediation.world import bad_deploy, connection_leak

pytestmark = pytest.mark.kubernetes


@pytest.fixture
def world(make_world, executor, kube_cluster, app):
    """A worker whose service `checkout` is a Deployment at its second revision."""
    kube_cluster.kubectl("-n", SHOP, "set", "image", f"deployment/{app}", "app=registry.local/shop/app:2")
    kube_cluster.rolled_out(SHOP, app)
    entry = {"backend": "kubernetes", "resource": f"{SHOP}/deployment/{app}", "tier": 1}
    services = ServiceCatalogue.model_validate({"services": {"checkout": entry, "web": {"calls": ["checkout"]}}})
    rule = {"actions": ["rollback", "scale"], "backend": "kubernetes", "namespace": SHOP, "name": app}
    config = RemediationSettings.model_validate(
        {"policy": {"mode": "approve", "allow": [rule]}, "worker": {"settle": 5}}
    )
    return make_world(config, executor=lambda _: executor, services=services)


def live(executor, app):
    return executor.observe(target(app)).fields


def effective(world, one):
    return next(row.event_at for row in world.stores.runs.timeline(one.id) if row.kind == "executed")


def test_a_bad_deploy_is_rolled_back_after_approval_and_verified(world, executor, app):
    one = bad_deploy()
    world.open(one)
    (request,) = world.pending()
    assert request.plan.actions[0].target.key == f"kubernetes/{SHOP}/deployment/{app}"
    assert "spec.template.spec.containers[app].image: registry.local/shop/app:2 -> " in request.previews[0].text
    assert f"rollback_to {app} revision=2 (rehearsed)" in request.previews[0].text
    assert live(executor, app)["image.app"] == "registry.local/shop/app:2"
    world.answer()
    world.steps()
    assert live(executor, app)["image.app"] == "registry.local/shop/app:1"
    world.windows(one, "normal", "normal", "normal", first=effective(world, one) + 60)
    assert world.results(one) == ["verified"]
    assert world.stores.audit.verify().ok


def test_what_somebody_changes_meanwhile_is_asked_about_again(world, executor, kube_cluster, app):
    one = bad_deploy()
    world.open(one)
    kube_cluster.kubectl("-n", SHOP, "scale", f"deployment/{app}", "--replicas=3")
    world.answer()
    world.steps()
    assert live(executor, app)["image.app"] == "registry.local/shop/app:2", "the approval was for two replicas"
    (request,) = world.pending()
    assert request.previews[0].before["replicas"] == 3
    world.answer()
    world.steps()
    assert live(executor, app)["image.app"] == "registry.local/shop/app:1"


def test_a_fix_without_effect_is_undone(world, executor, app):
    one = connection_leak(service="checkout")
    world.open(one)
    world.answer()
    world.steps()
    assert live(executor, app)["replicas"] == 4
    world.windows(one, *["abnormal"] * 10, first=effective(world, one) + 60)
    assert live(executor, app)["replicas"] == 2
    assert world.results(one)[0] == "no_effect"
    assert "undone" in world.kinds(one)
