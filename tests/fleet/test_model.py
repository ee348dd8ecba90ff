"""Faults act on state; the right action heals within two minutes, the wrong one does not."""

from __future__ import annotations

import pytest

from sentinel.fleet.actions import FleetAction, FleetRequestError
from sentinel.fleet.effects import hop_weights
from sentinel.fleet.faults import FleetFault
from sentinel.fleet.model import ActionRequest, make_fleet
from sentinel.fleet.settings import FleetSettings
from tests.fleet.shop import CATALOGUE, Shop


def test_a_bad_deploy_hurts_the_service_at_once_and_its_callers_less_with_each_hop() -> None:
    shop, well = Shop(), Shop()
    shop.pass_minutes(0.5)
    fault = shop.fleet.inject(FleetFault.BAD_DEPLOY, "payments", {})
    assert fault.at == shop.start + 30
    shop.pass_minutes(1)
    added = {
        name: shop.measure(name, "error_ratio") - well.measure(name, "error_ratio", shop.start + 60)
        for name in shop.fleet.services
    }
    slower = {
        name: shop.measure(name, "latency_p95_seconds") / well.measure(name, "latency_p95_seconds", shop.start + 60)
        for name in shop.fleet.services
    }
    assert added["payments"] == pytest.approx(0.15, rel=0.6)
    assert added["payments"] > added["checkout"] > added["api-gateway"] > added["web"] > 0.005
    assert slower["payments"] == pytest.approx(3)
    assert slower["checkout"] == pytest.approx(2)
    untouched = set(shop.fleet.services) - {"payments", "checkout", "api-gateway", "web"}
    assert all(added[name] == 0 and slower[name] == 1 for name in untouched)


def test_only_rolling_back_heals_a_bad_deploy() -> None:
    shop = Shop()
    before = shop.fleet.state("cart")
    shop.fleet.inject(FleetFault.BAD_DEPLOY, "cart", {})
    bad = shop.fleet.state("cart").version
    assert bad != before.version
    for action, params in (("restart", {}), ("scale", {"replicas": 6})):
        shop.act("cart", action, **params)
        shop.pass_minutes(3)
        assert shop.measure("cart", "error_ratio") > 0.08
    done = shop.act("cart", "rollback")
    assert done["after"]["version"] == before.version
    healed_from = -(-done["effective_at"] // 60) * 60
    assert healed_from <= shop.fleet.clock.now() + 90
    assert shop.measure("cart", "error_ratio", healed_from) < 0.02
    [fault] = shop.fleet.faults()
    assert (fault.ended_at, fault.ended_by) == (done["effective_at"], "rollback")

    shop.pass_minutes(5)
    shop.act("cart", "deploy", version=bad)
    shop.pass_minutes(2)
    assert shop.measure("cart", "error_ratio") > 0.08, "the bad version is bad whenever it runs"


def test_a_memory_leak_ramps_for_half_an_hour_and_only_a_restart_heals_it() -> None:
    shop = Shop()
    usual = shop.measure("search", "memory_ratio")
    usual_latency = shop.measure("search", "latency_p95_seconds")
    shop.fleet.inject(FleetFault.MEMORY_LEAK, "search", {})
    shop.pass_minutes(14)
    halfway = shop.measure("search", "memory_ratio")
    assert usual + 0.1 < halfway < 0.85
    shop.pass_minutes(20)
    assert shop.measure("search", "memory_ratio") == pytest.approx(0.97, abs=0.01)
    assert shop.measure("search", "latency_p95_seconds") > 2 * usual_latency
    shop.act("search", "scale", replicas=6)
    shop.act("search", "rollback")
    shop.pass_minutes(3)
    assert shop.measure("search", "memory_ratio") > 0.9
    done = shop.act("search", "restart")
    assert shop.measure("search", "memory_ratio", done["effective_at"] + 60) < usual + 0.1


def test_a_connection_leak_looks_like_saturation_and_scaling_does_not_help() -> None:
    shop = Shop()
    usual, usual_caller = (shop.measure(name, "latency_p95_seconds") for name in ("inventory", "cart"))
    usual_cpu = shop.measure("inventory", "cpu_ratio")
    shop.fleet.inject(FleetFault.CONNECTION_LEAK, "inventory", {})
    shop.pass_minutes(2)
    shop.act("inventory", "scale", replicas=6)
    shop.pass_minutes(5)
    assert shop.measure("inventory", "cpu_ratio") > 0.8 > usual_cpu
    assert shop.measure("inventory", "latency_p95_seconds") > 2 * usual
    assert shop.measure("cart", "latency_p95_seconds") > 1.5 * usual_caller
    assert shop.measure("inventory", "error_ratio") < 0.02
    shop.act("inventory", "restart")
    shop.pass_minutes(2)
    assert shop.measure("inventory", "cpu_ratio") < usual_cpu + 0.1
    assert shop.measure("inventory", "latency_p95_seconds") < 1.5 * usual


def test_a_restart_of_a_healthy_service_is_a_small_blip() -> None:
    shop, well = Shop(), Shop()
    done = shop.act("users", "restart")
    assert done["downtime"] == 20
    for metric in ("error_ratio", "latency_p95_seconds"):
        usual = well.measure("users", metric)
        assert usual < shop.measure("users", metric) < 1.5 * usual
        assert shop.measure("users", metric, shop.start + 60) == well.measure("users", metric, shop.start + 60)


def test_more_replicas_lower_the_cpu_of_a_healthy_service() -> None:
    shop = Shop()
    usual = shop.measure("users", "cpu_ratio")
    shop.act("users", "scale", replicas=6)
    assert shop.measure("users", "cpu_ratio") < usual


def test_a_dry_run_tells_what_would_happen_and_changes_nothing() -> None:
    shop = Shop()
    before = shop.fleet.states()
    answer = shop.fleet.act(
        ActionRequest(service="web", action=FleetAction.SCALE, params={"replicas": 5}, dry_run=True)
    )
    assert not answer["applied"]
    assert (answer["before"]["replicas"], answer["after"]["replicas"]) == (3, 5)
    assert shop.fleet.states() == before
    assert shop.fleet.actions() == []
    applied = shop.act("web", "scale", replicas=5)
    assert applied["after"] == answer["after"]


def test_the_same_idempotency_key_answers_the_same_and_acts_once() -> None:
    shop = Shop()
    asked = ActionRequest(
        service="web",
        action=FleetAction.RESTART,
        params={},
        resource_version=shop.fleet.state("web").resource_version,
        idempotency_key="once",
    )
    first = shop.fleet.act(asked)
    shop.pass_minutes(5)
    assert shop.fleet.act(asked) == first
    assert shop.fleet.state("web").restarts == 1
    assert len(shop.fleet.actions()) == 1
    other = ActionRequest(service="cart", action=FleetAction.RESTART, params={}, idempotency_key="once")
    with pytest.raises(FleetRequestError, match="another action"):
        shop.fleet.act(other)
    assert shop.fleet.state("cart").restarts == 0


def test_refused_requests_change_nothing_and_say_why() -> None:
    shop = Shop()
    before = shop.fleet.states()
    stale = ActionRequest(
        service="web", action=FleetAction.RESTART, params={}, resource_version="99", idempotency_key="k"
    )
    with pytest.raises(FleetRequestError, match="resource_version 1, not 99") as error:
        shop.fleet.act(stale)
    assert error.value.status == 409
    for service, action, params, status in (
        ("nobody", "restart", {}, 404),
        ("web", "scale", {"replicas": 0}, 422),
        ("web", "scale", {}, 422),
        ("web", "restart", {"now": True}, 422),
        ("web", "deploy", {"version": ""}, 422),
    ):
        with pytest.raises(FleetRequestError) as error:
            shop.act(service, action, **params)
        assert error.value.status == status
    assert shop.fleet.states() == before
    shop.act("web", "rollback")
    with pytest.raises(FleetRequestError, match="no earlier version"):
        shop.act("web", "rollback")


def test_faults_and_actions_wait_for_the_live_phase() -> None:
    fleet = make_fleet(CATALOGUE, FleetSettings(), lambda: 0.0, live=False)
    with pytest.raises(FleetRequestError, match="history") as error:
        fleet.inject(FleetFault.MEMORY_LEAK, "web", {})
    assert error.value.status == 503
    with pytest.raises(FleetRequestError, match="history"):
        fleet.act(ActionRequest(service="web", action=FleetAction.RESTART, params={}, idempotency_key="k"))
    assert fleet.actions() == []


def test_a_change_of_version_is_told_once_with_its_cause() -> None:
    shop = Shop()
    shop.fleet.inject(FleetFault.BAD_DEPLOY, "web", {"version": "2.0.0-rc1"})
    shop.pass_minutes(1)
    shop.act("web", "rollback")
    shop.act("web", "restart")
    assert [(c.version, c.previous, c.cause) for c in shop.fleet.take_changes(shop.start + 600)] == [
        ("2.0.0-rc1", "1.1.0", "deploy"),
        ("1.1.0", "2.0.0-rc1", "rollback"),
    ]
    assert shop.fleet.take_changes(shop.start + 600) == []


def test_a_fault_reaches_callers_only_and_halves_with_each_call() -> None:
    weights = hop_weights(CATALOGUE, 0.5)
    names = list(CATALOGUE.services)
    row = weights[names.index("fraud")]
    assert {name: row[names.index(name)] for name in names if row[names.index(name)]} == {
        "fraud": 1,
        "payments": 0.5,
        "checkout": 0.25,
        "api-gateway": 0.125,
        "web": 0.0625,
    }
