"""Telemetry as messages: complete, in order, repeatable, readable by decode; and the whole fleet on a real broker."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from sentinel.broker import EmbeddedBroker
from sentinel.config import KafkaSettings
from sentinel.fleet.clock import Phase
from sentinel.fleet.faults import FleetFault
from sentinel.fleet.model import Fleet, make_fleet
from sentinel.fleet.patterns import METRICS
from sentinel.fleet.producing import TelemetryWriter, produce_history, produce_live
from sentinel.fleet.running import run_fleet
from sentinel.fleet.settings import FleetSettings
from sentinel.kafka import LogReader
from sentinel.telemetry import TelemetrySettings, parse_messages
from sentinel.telemetry_series import SeriesTable
from sentinel.traces import HEADER, read_traceparent
from tests.fleet.shop import CATALOGUE

MONDAY = datetime(2026, 11, 16, 6, 30, tzinfo=UTC)


@dataclass
class Messages:
    """A publisher that keeps what it gets, and does something after the n-th message."""

    taken: list[tuple[str, bytes, Mapping[str, bytes] | None]] = field(default_factory=list)
    after: dict[int, Any] = field(default_factory=dict)

    def publish(self, topic: str, key: str, value: bytes, headers: Mapping[str, bytes] | None = None) -> None:
        self.taken.append((key, value, headers))
        self.after.get(len(self.taken), lambda: None)()

    def flush(self) -> None:
        pass

    def events(self) -> list[dict[str, Any]]:
        return [event for _, value, _ in self.taken for event in json.loads(value)]


def writer_of(fleet: Fleet, messages: Messages) -> TelemetryWriter:
    return TelemetryWriter(messages, "telemetry", fleet.services, environment="prod", seed=fleet.settings.seed)


def history(stop_after: int = 0, **settings: Any) -> tuple[Fleet, Messages]:
    fleet = make_fleet(CATALOGUE, FleetSettings(live_start=MONDAY, **settings), lambda: 0.0, live=False)
    messages, stop = Messages(), threading.Event()
    messages.after[stop_after] = stop.set
    produce_history(fleet, writer_of(fleet, messages), stop)
    return fleet, messages


def test_the_history_is_every_minute_of_every_service_in_the_order_of_time() -> None:
    fleet, messages = history(history_days=0.5, deploys_per_day=0)
    assert len(messages.taken) == 720 * 15
    assert fleet.events_produced == 720 * 15 * len(METRICS)
    times = [event["ts"] for event in messages.events()]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (MONDAY.timestamp() - 43_200, MONDAY.timestamp() - 60)
    key, value, headers = messages.taken[17]
    assert headers is None
    first = json.loads(value)[0]
    assert first["name"] == "requests_per_second"
    assert first["labels"] == {"env": "prod", "service": key}
    assert (fleet.clock.phase, fleet.clock.now()) == (Phase.LIVE, MONDAY.timestamp())


def test_the_same_seed_writes_the_same_bytes() -> None:
    one, two = (history(history_days=1.5, deploys_per_day=5)[1].taken for _ in range(2))
    assert one == two
    assert history(history_days=1.5, seed=8)[1].taken != one


def test_decode_accepts_every_event_of_the_history() -> None:
    fleet, messages = history(history_days=1, deploys_per_day=20)
    settings = TelemetrySettings()
    columns = parse_messages([value for _, value, _ in messages.taken], SeriesTable(), settings)
    assert columns.rejected == []
    assert len(columns.times) == fleet.events_produced


def test_planned_deploys_are_told_in_the_history_and_change_the_state() -> None:
    fleet, messages = history(history_days=1, deploys_per_day=20)
    changes = [event for event in messages.events() if event["name"] == "change.deploy"]
    assert len(changes) > 5
    last = changes[-1]["labels"]
    assert set(last) == {"service", "env", "version", "previous_version", "cause"}
    state = fleet.state(last["service"])
    assert (state.version, state.previous_version) == (last["version"], last["previous_version"])


def test_stopping_in_the_history_ends_it_there() -> None:
    fleet, messages = history(stop_after=150, history_days=1)
    assert len(messages.taken) == 150
    assert fleet.clock.phase is Phase.HISTORY


def test_live_minutes_come_when_they_end_with_faults_changes_and_trace_ids() -> None:
    wall = [0.0]
    settings = FleetSettings(live_start=MONDAY, factor=1, live_minutes=3)
    fleet = make_fleet(CATALOGUE, settings, lambda: wall[0])
    messages, stop = Messages(), threading.Event()
    wall[0] += 130
    messages.after[30] = stop.set
    fleet.inject(FleetFault.BAD_DEPLOY, "cart", {})
    produce_live(fleet, writer_of(fleet, messages), stop)
    assert len(messages.taken) == 30, "two minutes have ended, the third has not"
    assert not any(event["name"] == "change.deploy" for event in messages.events()), "it happened in the third"

    wall[0] += 50
    again = Messages()
    produce_live(fleet, writer_of(fleet, again), threading.Event())
    assert fleet.clock.phase is Phase.ENDED
    assert {ts["ts"] for ts in again.events()} >= {MONDAY.timestamp() + 60 * n for n in range(3)}
    [change] = [event for event in again.events() if event["name"] == "change.deploy"]
    assert change["ts"] == MONDAY.timestamp() + 130
    assert change["labels"]["service"] == "cart"
    errors = {
        event["ts"]: event["value"]
        for event in again.events()
        if (event["name"], event["labels"]["service"]) == ("error_ratio", "cart")
    }
    first, second, third = errors.values()
    assert max(first, second) < 0.02
    assert third > 0.08
    traces = [read_traceparent(headers[HEADER]) for _, _, headers in again.taken if headers]
    assert len(set(traces)) == len(again.taken)


def test_a_paused_start_waits_for_the_clock() -> None:
    fleet, _ = history(history_days=0.1, start_paused=True)
    assert fleet.clock.paused
    assert fleet.clock.wall_until(MONDAY.timestamp() + 60) == float("inf")


@pytest.mark.slow
def test_the_fleet_runs_on_a_real_broker_and_obeys_over_http(tansu_broker: EmbeddedBroker) -> None:
    kafka = KafkaSettings(bootstrap=tansu_broker.bootstrap, topic_prefix="fleet-run.")
    settings = FleetSettings(
        live_start=MONDAY, history_days=0.25, port=0, factor=6000, live_minutes=20, start_paused=True, deploys_per_day=0
    )
    stop, url, ready = threading.Event(), [], threading.Event()

    def started(base: str) -> None:
        url.append(base)
        ready.set()

    thread = threading.Thread(target=run_fleet, args=(settings, kafka, CATALOGUE, stop), kwargs={"ready": started})
    thread.start()
    try:
        assert ready.wait(20)
        with httpx.Client(base_url=url[0]) as http:
            wait_for(http, "live")
            fault = http.post("/v1/faults", json={"kind": "bad_deploy", "service": "payments"}).json()
            assert fault["at"] == MONDAY.timestamp()
            http.post("/v1/clock", json={"paused": False})
            ended = wait_for(http, "ended")
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert ended["events"] == (360 + 20) * 15 * 5 + 1
    values = read_all(kafka, 380 * 15)
    events = [event for value in values for event in json.loads(value)]
    errors = {
        e["ts"]: e["value"] for e in events if e["name"] == "error_ratio" and e["labels"]["service"] == "payments"
    }
    assert all((value > 0.08) == (ts >= MONDAY.timestamp()) for ts, value in errors.items())
    assert len(errors) == 380


def wait_for(http: httpx.Client, phase: str) -> dict[str, Any]:
    waiting = threading.Event()
    for _ in range(400):
        clock: dict[str, Any] = http.get("/v1/clock").json()
        if clock["phase"] == phase:
            return clock
        waiting.wait(0.05)
    raise AssertionError(f"the fleet did not reach the phase {phase}")


def read_all(kafka: KafkaSettings, count: int) -> list[bytes]:
    values: list[bytes] = []
    with LogReader(kafka, [f"{kafka.topic_prefix}telemetry"]) as reader:
        while len(values) < count:
            records = reader.take(2000, 5)
            assert records, f"only {len(values)} of {count} messages came"
            values += [record.value for record in records]
    return values
