"""`sentinel produce` against a real broker, and `sentinel replay` of the recordings that come with Sentinel."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from sentinel.broker import EmbeddedBroker
from sentinel.cli.settings import load_settings
from sentinel.kafka import LogReader
from sentinel.topics import Topics
from tests.cli.running import ROOT, configuration, parsed, sentinel, sentinel_process
from tests.services.processes import free_port

pytestmark = pytest.mark.slow

RECORDED = ROOT / "examples" / "recorded"
RDS = RECORDED / "rds_cpu_utilization_e47b3b.csv"
NUMBERS = count()


def event(service: str, ts: float = 1_700_000_000.0, **changes: Any) -> dict[str, Any]:
    return {"ts": ts, "name": "error_ratio", "value": 0.5, "labels": {"service": service}, **changes}


@pytest.fixture
def config(tansu_broker: EmbeddedBroker, tmp_path: Path) -> Path:
    """A configuration with topics of its own."""
    prefix = f"cli-{next(NUMBERS)}."
    return configuration(tmp_path, kafka={"bootstrap": tansu_broker.bootstrap, "topic_prefix": prefix})


def produced(config: Path) -> list[tuple[str, Any]]:
    """Key and value of every message on the telemetry topic."""
    kafka = load_settings(config).kafka
    found = []
    with LogReader(kafka, [Topics(kafka.topic_prefix).telemetry], {}) as reader:
        while records := reader.take(100, 1.0):
            found += [(record.key, json.loads(record.value)) for record in records]
    return found


def test_events_arrays_and_batches_are_produced_by_service(config: Path, tmp_path: Path) -> None:
    lines = [event("cart"), [event("web"), event("cart"), event("web", value=2)], {"v": 1, "events": [event("users")]}]
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    result = sentinel("-c", config, "produce", file)
    assert result.exit_code == 0, result.stderr
    assert "5 events in 4 messages" in result.stdout
    by_key: dict[str, list[float]] = {}
    for key, value in produced(config):
        events = value if isinstance(value, list) else [value]
        assert {one["labels"]["service"] for one in events} == {key}
        by_key.setdefault(key, []).extend(one["value"] for one in events)
    assert by_key == {"cart": [0.5, 0.5], "web": [0.5, 2], "users": [0.5]}


def test_standard_input_is_read_without_a_file(config: Path) -> None:
    result = sentinel("-c", config, "produce", stdin=json.dumps(event("cart")) + "\n")
    assert result.exit_code == 0, result.stderr
    assert [key for key, _ in produced(config)] == ["cart"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{not json", "not_json"),
        ('{"ts": 1700000000, "name": "x", "labels": {"service": "a"}}', "missing_field"),
        ('{"ts": 1700000000, "name": "x", "value": 1, "labels": {}}', "missing_service"),
        ('{"ts": 1700000000, "name": "x", "value": NaN, "labels": {"service": "a"}}', "not_finite"),
        ('[{"ts": 1700000000, "name": "x", "value": "high", "labels": {"service": "a"}}]', "bad_type"),
    ],
)
def test_a_bad_line_stops_with_its_place_and_reason(config: Path, tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(f"{json.dumps(event('cart'))}\n\n{line}\n{json.dumps(event('never'))}\n")
    result = sentinel("-c", config, "produce", file)
    assert result.exit_code == 1
    assert f"{file}:3: {reason}" in result.stderr
    assert [key for key, _ in produced(config)] == ["cart"], "what stood before it is written, what follows is not"


def test_without_a_broker_it_exits_with_4_and_names_the_address(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    result = sentinel("-c", configuration(tmp_path, kafka={"bootstrap": address}), "produce", stdin="{}\n")
    assert result.exit_code == 4
    assert address in result.stderr


def test_a_recording_can_be_produced_to_a_running_broker(config: Path) -> None:
    result = sentinel("-c", config, "replay", RDS, "--only-produce", "--service", "mine", "--metric", "load")
    assert result.exit_code == 0, result.stderr
    assert "4032 events" in result.stdout
    messages = produced(config)
    assert sum(len(value) for _, value in messages) == 4032
    assert {key for key, _ in messages} == {"mine"}


@pytest.mark.timeout(200)
def test_the_labelled_faults_of_a_shipped_recording_are_found_and_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "rds.svg"
    result = sentinel_process("replay", RDS, "--json", "--plot", picture, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    marked = json.loads((RECORDED / "labels.json").read_text())[RDS.name]["windows"]
    windows = [tuple(datetime.fromisoformat(window[key]).timestamp() for key in ("start", "end")) for window in marked]
    opened = [incident["opened_at"] for incident in parsed(result)]
    assert windows
    for start, end in windows:
        assert any(start <= at < end for at in opened), f"the fault from {start} to {end} was not found: {opened}"
    assert all(any(start <= at < end for start, end in windows) for at in opened), "an incident where no fault was"
    assert "<svg" in picture.read_text()
    assert str(picture) in result.stderr
    assert not (tmp_path / ".sentinel").exists(), "a replay leaves nothing behind"


def test_two_recordings_under_one_name_are_refused(tmp_path: Path) -> None:
    result = sentinel("replay", RDS, RECORDED / "ec2_cpu_utilization_825cc2.csv", "--service", "a", "--metric", "b")
    assert result.exit_code == 1
    assert "same service and metric" in result.stderr


@pytest.mark.parametrize(
    ("text", "said"), [("time,load\n1,2\n", ":1: "), ("timestamp,value\n2026-01-01 00:00:00,high\n", ":2: ")]
)
def test_a_recording_that_cannot_be_read_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(text)
    result = sentinel("replay", file)
    assert result.exit_code in {1, 2}
    assert f"{file}{said}" in result.stderr
