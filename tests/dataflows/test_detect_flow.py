"""The detect flow from Kafka to Kafka: on the embedded broker, and killed and stopped on Apache Kafka."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from sentinel.alerts import AlertState, Resolution
from sentinel.config import KafkaSettings
from sentinel.kafka import Publisher, end_offsets, ensure_topics
from sentinel.topics import Topics
from tests.dataflows.shop_telemetry import SERVICES, messages, publish_all, run_detect, said, timeless

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def own_topics(bootstrap: str) -> KafkaSettings:
    kafka = KafkaSettings(bootstrap=bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}.")
    ensure_topics(kafka)
    return kafka


def child(kafka: KafkaSettings, folder: Path, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.dataflows.shop_telemetry", kafka.bootstrap, kafka.topic_prefix]
    with (folder.parent / "flow.log").open("ab") as log:
        return subprocess.Popen([*command, str(folder), *flags], cwd=ROOT, stdout=log, stderr=log)


def test_faults_come_out_as_alerts_and_junk_as_rejected(tansu_broker, tmp_path):
    kafka = own_topics(tansu_broker.bootstrap)
    publish_all(kafka)
    run_detect(kafka, tmp_path / "state", threading.Event(), stop_at_end=True)
    alerts, rows, rejected = said(kafka)
    fired = [alert for alert in alerts if alert.state is AlertState.FIRING]
    assert sorted(alert.service for alert in fired) == sorted([*SERVICES, *SERVICES[:4]])
    resolved = {alert.alert_id: alert for alert in alerts if alert.state is AlertState.RESOLVED}
    assert set(resolved) == {alert.alert_id for alert in fired}
    assert {alert.resolution for alert in resolved.values()} == {Resolution.RECOVERED}
    assert all(len(alert.trace_id) == 32 for alert in alerts)
    assert {row.stage for row in rows} == {"confirm"}
    assert len(rejected) == sum(value == b"junk" for _, value in messages())
    assert {value for _, value in rejected} == {b"junk"}


def test_a_second_run_goes_on_where_the_first_stopped(tansu_broker, tmp_path):
    kafka = own_topics(tansu_broker.bootstrap)
    publish_all(kafka)
    run_detect(kafka, tmp_path / "state", threading.Event(), stop_at_end=True)
    before = said(kafka)
    run_detect(kafka, tmp_path / "state", threading.Event(), stop_at_end=True)
    assert said(kafka) == before


@pytest.mark.kafka
@pytest.mark.timeout(180)
def test_kill_nine_loses_nothing_and_repeats_only_what_has_the_same_id(kafka_broker, tmp_path):
    reference = own_topics(kafka_broker.bootstrap)
    publish_all(reference)
    run_detect(reference, tmp_path / "reference", threading.Event(), stop_at_end=True)
    kafka = own_topics(kafka_broker.bootstrap)
    producing = threading.Thread(target=produce_slowly, args=(kafka, 16.0))
    producing.start()
    killed_early = 0
    for pause in (4.0, 2.0, 3.7, 5.0):
        running = child(kafka, tmp_path / "state")
        time.sleep(pause)
        killed_early += running.poll() is None
        running.kill()
        running.wait()
    producing.join()
    last = child(kafka, tmp_path / "state", "--to-the-end")
    assert last.wait(60) == 0, (tmp_path / "flow.log").read_text()[-3000:]
    assert killed_early == 4
    expected, expected_rows, expected_rejected = said(reference)
    alerts, rows, rejected = said(kafka)
    assert same({alert.message_id: timeless(alert) for alert in alerts}, expected, "message_id")
    assert same({row.decision_id: timeless(row) for row in rows}, expected_rows, "decision_id")
    assert len(rejected) >= len(expected_rejected)
    assert {value for _, value in rejected} == {b"junk"}


def same(found, expected, name):
    wanted = {getattr(message, name): timeless(message) for message in expected}
    assert wanted
    assert found.keys() == wanted.keys()
    assert found == wanted
    return True


@pytest.mark.kafka
@pytest.mark.timeout(180)
def test_sigterm_ends_within_seconds_and_nothing_is_lost_nor_repeated(kafka_broker, tmp_path):
    reference = own_topics(kafka_broker.bootstrap)
    publish_all(reference)
    run_detect(reference, tmp_path / "reference", threading.Event(), stop_at_end=True)
    kafka = own_topics(kafka_broker.bootstrap)
    producing = threading.Thread(target=produce_slowly, args=(kafka, 6.0))
    producing.start()
    for pause in (3.0, 3.5):
        running = child(kafka, tmp_path / "state")
        time.sleep(pause)
        asked = time.monotonic()
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
        assert time.monotonic() - asked < 5.0
    producing.join()
    assert child(kafka, tmp_path / "state", "--to-the-end").wait(60) == 0
    expected, expected_rows, expected_rejected = said(reference)
    alerts, rows, rejected = said(kafka)
    assert sorted(alert.message_id for alert in alerts) == sorted(alert.message_id for alert in expected)
    assert sorted(row.decision_id for row in rows) == sorted(row.decision_id for row in expected_rows)
    assert len(rejected) == len(expected_rejected)
    committed = end_offsets(kafka, [Topics(kafka.topic_prefix).telemetry])
    assert sum(committed.values()) == sum(1 for _ in messages())


@pytest.mark.kafka
@pytest.mark.timeout(180)
def test_a_broker_that_crashes_and_comes_back_costs_nothing(own_kafka_broker, tmp_path):
    reference = own_topics(own_kafka_broker.bootstrap)
    publish_all(reference)
    run_detect(reference, tmp_path / "reference", threading.Event(), stop_at_end=True)
    kafka = own_topics(own_kafka_broker.bootstrap)
    producing = threading.Thread(target=produce_slowly, args=(kafka, 6.0))
    producing.start()
    running = child(kafka, tmp_path / "state")
    time.sleep(4.0)
    own_kafka_broker.kill()
    time.sleep(1.0)
    own_kafka_broker.start()
    producing.join()
    time.sleep(2.0)
    assert running.poll() is None, (tmp_path / "flow.log").read_text()[-3000:]
    running.terminate()
    assert running.wait(20) == 0
    assert child(kafka, tmp_path / "state", "--to-the-end").wait(60) == 0
    expected, expected_rows, _ = said(reference)
    alerts, rows, _ = said(kafka)
    assert same({alert.message_id: timeless(alert) for alert in alerts}, expected, "message_id")
    assert same({row.decision_id: timeless(row) for row in rows}, expected_rows, "decision_id")


def produce_slowly(kafka: KafkaSettings, seconds: float) -> None:
    everything = list(messages())
    began = time.monotonic()
    with Publisher(kafka) as publisher:
        for number, (key, value) in enumerate(everything):
            publisher.publish(Topics(kafka.topic_prefix).telemetry, key, value)
            due = began + seconds * number / len(everything)
            time.sleep(max(0.0, due - time.monotonic()))
