"""The HTTP contract of `docs/seams.md`, over a real socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from sentinel.errors import PermanentError
from sentinel.fleet.server import serve_fleet
from tests.fleet.shop import Shop


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    shop = Shop()
    with serve_fleet(shop.fleet, "127.0.0.1", 0) as url, httpx.Client(base_url=url) as client:
        yield client


def test_the_clock_tells_time_factor_phase_and_events_and_can_be_set(http: httpx.Client) -> None:
    clock = http.get("/v1/clock").json()
    assert set(clock) == {"now", "factor", "paused", "phase", "events"}
    assert (clock["phase"], clock["factor"], clock["events"]) == ("live", 1, 0)
    assert http.post("/v1/clock", json={"paused": True, "factor": 60}).json() == {
        **clock,
        "paused": True,
        "factor": 60,
    }
    http.post("/v1/clock", json={"paused": False, "factor": 1})
    assert http.post("/v1/clock", json={"factor": 0}).status_code == 422


def test_services_show_their_state(http: httpx.Client) -> None:
    services = http.get("/v1/services").json()
    assert len(services) == 15
    assert http.get("/v1/services/shipping").json() == {
        "name": "shipping",
        "version": "1.1.0",
        "previous_version": "1.0.0",
        "replicas": 3,
        "restarts": 0,
        "resource_version": "1",
        "flags": {},
    }


def test_an_action_is_previewed_applied_once_and_logged(http: httpx.Client) -> None:
    path = "/v1/services/cart/actions/scale"
    body = {"params": {"replicas": 4}, "dry_run": False, "resource_version": "1", "idempotency_key": "a"}
    preview = http.post(path, json={**body, "dry_run": True}).json()
    assert not preview["applied"]
    applied = http.post(path, json=body).json()
    assert set(applied) == {"applied", "before", "after", "effective_at", "downtime"}
    assert applied == {**preview, "applied": True}
    assert http.post(path, json=body).json() == applied
    assert http.get("/v1/services/cart").json() == applied["after"]
    [logged] = http.get("/v1/actions").json()
    assert (logged["service"], logged["action"], logged["idempotency_key"]) == ("cart", "scale", "a")
    conflict = http.post(path, json={**body, "idempotency_key": "b"})
    assert conflict.status_code == 409
    assert conflict.headers["content-type"] == "application/problem+json"
    assert conflict.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "cart is at resource_version 2, not 1: look at it again",
        "instance": path,
    }


def test_a_fault_is_injected_and_listed(http: httpx.Client) -> None:
    made = http.post("/v1/faults", json={"kind": "bad_deploy", "service": "payments", "params": {"error_ratio": 0.3}})
    assert made.status_code == 201
    fault = made.json()
    assert fault["params"] == {"version": "", "error_ratio": 0.3, "latency_factor": 3}
    assert fault["at"] == http.get("/v1/clock").json()["now"]
    assert http.get("/v1/faults").json() == [fault]
    assert http.get("/v1/services/payments").json()["version"] == "1.2.0"
    http.post("/v1/services/payments/actions/rollback", json={"idempotency_key": "back"})
    [ended] = http.get("/v1/faults").json()
    assert ended["ended_by"] == "rollback"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/services/nobody", None, 404),
        ("GET", "/v1/nothing", None, 404),
        ("POST", "/v1/services/nobody/actions/restart", {"idempotency_key": "x"}, 404),
        ("POST", "/v1/services/web/actions/explode", {"idempotency_key": "x"}, 422),
        ("POST", "/v1/services/web/actions/restart", {}, 422),
        ("POST", "/v1/services/web/actions/restart", {"idempotency_key": "x", "force": True}, 422),
        ("POST", "/v1/services/web/actions/scale", {"idempotency_key": "x", "params": {"replicas": "many"}}, 422),
        ("POST", "/v1/faults", {"kind": "earthquake", "service": "web"}, 422),
        ("POST", "/v1/faults", {"kind": "memory_leak", "service": "nobody"}, 404),
        ("POST", "/v1/faults", {"kind": "memory_leak", "service": "web", "params": {"minutes": -1}}, 422),
    ],
)
def test_bad_requests_get_a_problem_document(
    http: httpx.Client, method: str, path: str, body: dict[str, object] | None, status: int
) -> None:
    answer = http.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]


def test_an_address_in_use_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(PermanentError, match=f"127.0.0.1:{port}.*0 for any free one"),
            serve_fleet(Shop().fleet, "127.0.0.1", port),
        ):
            pass
