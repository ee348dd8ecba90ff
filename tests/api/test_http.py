"""The protocol around the routes: problems, ids, health, metrics, the OpenAPI file, starting and stopping."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

import api as api_room
from api.openapi import document
from api.server import run_api
from api.settings import ApiSettings
from sentinel.approvals import Role
from sentinel.errors import PermanentError, TransientError
from sentinel.health import HealthState, Probe

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/incidents/", 404),
        ("DELETE", "/api/v1/incidents", 405),
        ("GET", "/api/v1/incidents?limit=0", 422),
        ("GET", "/api/v1/incidents?since=nan", 422),
        ("GET", "/api/v1/incidents?cursor=zzz", 422),
        ("GET", "/api/v1/incidents?status=maybe", 422),
        ("GET", "/api/v1/incidents/inc-9", 404),
        ("GET", "/api/v1/incidents?service=%00", 422),
        ("GET", "/api/v1/series", 503),
    ],
)
def test_every_error_is_a_problem_document(api, method, path, status):
    with api.http(Role.ADMIN) as http:
        answer = http.request(method, path)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "detail", "instance"} <= problem.keys()
    assert problem["instance"] == path.split("?")[0]
    assert problem["request_id"] == answer.headers["X-Request-ID"]


def test_a_defect_is_a_problem_without_its_secrets(serve, stores):
    class Broken:
        def find_series(self, service: str = "", name: str = ""):
            raise ZeroDivisionError("password=hunter2")

    api = serve(history=Broken())
    with capture_logs() as logs, api.http(Role.VIEWER) as http:
        answer = http.get("/api/v1/series", headers={"X-Request-ID": "abc"})
        assert http.get("/healthz").status_code == 200
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert (answer.json()["rule"], answer.headers["X-Request-ID"]) == ("internal", "abc")
    assert "hunter2" not in answer.text
    assert [(line["log_level"], line["exc_info"]) for line in logs if line["event"] == "unhandled_error"] == [
        ("error", True)
    ]


def test_a_database_without_tables_is_a_500_that_hides_the_reason(serve, stores):
    with stores.database.write() as connection:
        connection.exec_driver_sql("drop table timeline")
        connection.exec_driver_sql("alter table incidents rename to hidden")
    with serve().http(Role.VIEWER) as http:
        answer = http.get("/api/v1/incidents")
    assert (answer.status_code, answer.json()["rule"]) == (500, "internal")
    assert "incidents" not in answer.json()["detail"]


@pytest.mark.parametrize(("given", "kept"), [("req-1.A_b", True), ("x" * 129, False), ("a b", False), ("é", False)])
def test_a_request_id_comes_back_when_it_is_safe(api, given, kept):
    with api.http(None) as http:
        answer = http.get("/healthz", headers={"X-Request-ID": given.encode()})
    assert (answer.headers["X-Request-ID"] == given) == kept
    assert answer.headers["X-Request-ID"]


def test_the_trace_id_of_the_caller_goes_on(api):
    trace = "0af7651916cd43dd8448eb211c80319c"
    with api.http(None) as http:
        answer = http.get("/healthz", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
        other = http.get("/healthz", headers={"traceparent": "nonsense"})
    assert answer.headers["traceparent"].split("-")[1] == trace
    assert len(other.headers["traceparent"].split("-")[1]) == 32


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(api, chunked):
    body = json.dumps({"reason": "x" * 100_000}).encode()
    with api.http(Role.APPROVER) as http:
        content = iter([body[:50_000], body[50_000:]]) if chunked else body
        answer = http.post("/api/v1/approvals/apr-1/decision", content=content)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def away() -> None:
    raise TransientError("kafka: no broker")


def hang() -> None:
    time.sleep(30)


@pytest.mark.parametrize(
    ("probes", "ready", "state"),
    [
        ((), 200, "ok"),
        ((Probe("database", lambda: "sqlite"),), 200, "ok"),
        ((Probe("memory", away, required=False),), 200, "degraded"),
        ((Probe("kafka", away), Probe("memory", away, required=False)), 503, "down"),
        ((Probe("clickhouse", hang),), 503, "down"),
    ],
)
def test_health_says_what_the_parts_say(serve, probes, ready, state):
    api = serve(probes=probes)
    with api.http(Role.VIEWER) as http:
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").status_code == ready
        health, detailed = http.get("/health"), http.get("/health/detailed")
    assert (health.status_code, health.json()) == (503 if state == "down" else 200, {"status": state})
    assert detailed.json()["state"] == state
    assert [part["name"] for part in detailed.json()["components"]] == [
        *(probe.name for probe in probes),
        "audit_anchor",
        "kill_switch",
    ]
    with api.client(Role.VIEWER) as client:
        assert client.health().state is HealthState(state)


def test_details_need_a_key_and_name_the_reason(serve):
    api = serve(probes=(Probe("kafka", away),))
    with api.http(None) as http:
        assert http.get("/health/detailed").status_code == 401
        assert "no broker" not in http.get("/health").text + http.get("/readyz").text
    with api.client(Role.VIEWER) as client:
        part = client.health().components[0]
    assert (part.state, part.detail) == (HealthState.DOWN, "kafka: no broker")


def test_an_audit_that_cannot_be_anchored_degrades_the_process(serve, stores, tmp_path):
    api = serve()
    anchor = tmp_path / "audit-anchor.jsonl"
    anchor.mkdir()
    stores.audit.append(actor="a", action="x", target="t", at=1.0)
    with api.client(Role.VIEWER) as client:
        assert client.health().state is HealthState.DEGRADED
        anchor.rmdir()
        stores.audit.append(actor="a", action="x", target="t", at=2.0)
        assert client.health().state is HealthState.OK


def test_metrics_count_requests_by_route(api):
    with api.http(Role.VIEWER) as http:
        http.get("/api/v1/incidents/inc-9")
        answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    counted = 'sentinel_http_requests_total{method="GET",route="/api/v1/incidents/{incident_id}",status="404"}'
    assert counted in answer.text


def test_the_checked_in_openapi_file_is_current(api):
    path = Path(api_room.__file__).parent / "openapi.json"
    assert path.read_text(encoding="utf-8") == document(), "run scripts/check_generated.py --write"
    with api.http(None) as http:
        assert http.get("/openapi.json").json() == json.loads(document())


def test_an_address_in_use_is_a_clear_error(database_url):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PermanentError, match=r"api\.port"):
            run_api(None, "127.0.0.1", other.getsockname()[1], threading.Event())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad",
    [
        {"keys": [{"name": "a", "role": "viewer", "sha256": "short"}]},
        {"keys": [{"name": "a", "role": "root", "sha256": "0" * 64}]},
        {
            "keys": [
                {"name": "a", "role": "viewer", "sha256": "0" * 64},
                {"name": "b", "role": "admin", "sha256": "0" * 64},
            ]
        },
        {
            "keys": [
                {"name": "a", "role": "viewer", "sha256": "0" * 64},
                {"name": "a", "role": "admin", "sha256": "1" * 64},
            ]
        },
    ],
)
def test_keys_that_cannot_be_right_are_refused(database_url, bad):
    with pytest.raises(ValueError, match=r"sha256|role|name"):
        ApiSettings.model_validate(bad)


PROCESS = """
import sys, threading, signal, time
from api.app import create_app
from api.parts import ApiParts
from api.server import run_api
from api.settings import ApiSettings
from sentinel import logs
from sentinel.health import Probe
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
def slow():
    print("asked", flush=True)
    time.sleep(1)
logs.configure()
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
database = Database(sys.argv[1])
migrate(database)
parts = ApiParts(stores=SqlStores.over(database), now=time.time, probes=(Probe("slow", slow),))
run_api(create_app(ApiSettings(), parts), "127.0.0.1", 0, stop, ready=lambda url: print(url, flush=True))
"""


def test_sigterm_lets_calls_end_and_exits_0(database_url):
    root = Path(api_room.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", PROCESS, database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            answers = []
            caller = threading.Thread(target=lambda: answers.append(httpx.get(f"{url}/readyz", trust_env=False)))
            caller.start()
            assert process.stdout.readline() == "asked\n"
            process.send_signal(signal.SIGTERM)
            caller.join(20)
            assert process.wait(20) == 0
            assert [answer.status_code for answer in answers] == [200]
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{url}/healthz", trust_env=False)
        finally:
            process.kill()
