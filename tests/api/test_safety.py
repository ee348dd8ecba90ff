"""Kill switch and breakers over HTTP: who may read it, who may turn it, and what is kept of it."""

import pytest

from sentinel.api_client import ApiError
from sentinel.approvals import Role
from sentinel.health import HealthState

URL = "/api/v1/kill-switch"


def test_a_viewer_reads_and_does_not_turn(serve):
    api = serve()
    with api.client(Role.VIEWER) as client:
        assert not client.kill_switch().on
        with pytest.raises(ApiError) as refused:
            client.turn_kill_switch(on=True, reason="storm")
    assert (refused.value.status, refused.value.rule) == (403, "role")
    assert not api.stores.kill_switch.read().on
    assert "safety.login_failed" in [record.action for record in api.told()]


@pytest.mark.parametrize("role", [Role.APPROVER, Role.ADMIN])
def test_an_approver_turns_it_both_ways_with_a_reason(serve, role):
    api = serve()
    with api.client(role) as client:
        assert client.turn_kill_switch(on=True, reason="storm").on
        assert client.kill_switch().reason == "storm"
        assert not client.turn_kill_switch(on=False, reason="over").on
    records = api.told()
    assert [record.action for record in records] == ["kill_switch.on", "kill_switch.off"]
    assert records[0].details["role"] == role.value


@pytest.mark.parametrize("body", [{"on": True}, {"on": True, "reason": "  "}, {"on": 1, "reason": "x", "by": "me"}, {}])
def test_without_a_reason_or_with_more_it_is_refused(serve, body):
    api = serve()
    with api.http(Role.APPROVER) as http:
        assert http.post(URL, json=body).status_code == 422
        assert http.get(URL).json()["on"] is False


def test_health_and_metrics_show_it(serve):
    api = serve()
    with api.client() as client, api.http() as http:
        assert client.health().state is HealthState.OK
        api.stores.kill_switch.turn(on=True, actor="ann", reason="storm", now=1.0)
        report = client.health()
        assert report.state is HealthState.DEGRADED
        shown = {one.name: one.detail for one in report.components}
        assert "storm" in shown["kill_switch"]
        assert "sentinel_kill_switch 1.0" in http.get("/metrics").text
        assert http.get("/readyz").status_code == 200


def test_an_approver_closes_breakers_and_a_viewer_sees_them(serve):
    api = serve()
    with api.client(Role.VIEWER) as viewer, api.client() as approver:
        assert [(v.breaker.scope, v.state) for v in viewer.breakers()] == [("global", "open")]
        with pytest.raises(ApiError) as refused:
            viewer.close_breaker("global", reason="tried")
        assert refused.value.rule == "role"
        assert approver.close_breaker("target:fleet//service/cart", reason="tried").state == "closed"
        with pytest.raises(ApiError) as refused:
            approver.close_breaker("everything", reason="tried")
        assert (refused.value.status, refused.value.rule) == (422, "scope")
        shown = [(v.breaker.scope, v.state, v.breaker.actor) for v in viewer.breakers()]
    assert [one[:2] for one in shown] == [("global", "open"), ("target:fleet//service/cart", "closed")]
    assert [r.action for r in api.told()] == ["safety.login_failed", "breaker.closed"]
