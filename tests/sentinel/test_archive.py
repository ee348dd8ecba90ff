"""The archive on the embedded broker: copies, waits for a history that is away, and loses nothing."""

from __future__ import annotations

import json
import threading
import time
import uuid

import pytest

from sentinel.archive import Archive, ArchiveSettings, PointReader
from sentinel.config import KafkaSettings
from sentinel.decisions import Decision
from sentinel.errors import PermanentError, TransientError
from sentinel.kafka import Publisher, Record, ensure_topics
from sentinel.telemetry import TelemetrySettings
from sentinel.topics import Topics, encode
from tests.services.mock_cluster import NOT_COORDINATOR, OFFSET_FETCH, mock_cluster

START = 1_700_000_000.0
SETTINGS = ArchiveSettings(batch_seconds=0.1, longest_pause=0.5)


class History:
    """Keeps what it is given; away while `away` is set."""

    def __init__(self):
        self.away = threading.Event()
        self.tries = 0
        self.points = set()
        self.decisions = {}

    def add_points(self, points):
        self._answer()
        times, values = points.times.tolist(), points.values.tolist()
        self.points |= {(series.key, at, value) for series, at, value in zip(points.series, times, values, strict=True)}

    def add_decisions(self, rows):
        self._answer()
        self.decisions |= {row.decision_id: row for row in rows}

    def _answer(self):
        self.tries += 1
        if self.away.is_set():
            raise TransientError("the history is away")


def event(number, **more):
    return {"ts": START + number, "name": "m", "value": 1.0, "labels": {"service": f"s{number % 3}"}, **more}


def decision(number):
    return Decision(
        decision_id=f"dec-{number}", stage="confirm", subject="x", verdict="fired", reason="r", at=START,
        decided_at=START, config_hash="c",
    )  # fmt: skip


def record(value, partition=0, offset=0):
    return Record("telemetry", partition, offset, "k", value, START)


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def kafka(tansu_broker):
    settings = KafkaSettings(bootstrap=tansu_broker.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}.")
    ensure_topics(settings)
    return settings


def archive_to(kafka, history):
    return Archive(kafka, history, SETTINGS, TelemetrySettings())


class Running:
    """An archive in a thread, for as long as the context lasts."""

    def __init__(self, kafka, history):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=archive_to(kafka, history).run, args=(self.stop,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(15)
        assert not self.thread.is_alive()


def test_points_follow_the_rules_of_decode():
    reader = PointReader(TelemetrySettings(), lambda: START)
    batch = [event(1), event(2, value="x"), event(3, ts=START + 9999), event(4, name="change.deploy")]
    points = reader.read(
        [record(json.dumps(batch).encode()), record(b"junk"), record(json.dumps(event(5)).encode(), 1)]
    )
    assert [[series.name for series in block.series] for block in points] == [["m", "change.deploy"], ["m"]]
    assert [block.times.tolist() for block in points] == [[START + 1, START + 4], [START + 5]]


@pytest.mark.slow
def test_telemetry_and_decisions_are_copied_and_junk_is_left_out(kafka):
    topics, history = Topics(kafka.topic_prefix), History()
    with Publisher(kafka) as publisher:
        for number in range(30):
            publisher.publish(topics.telemetry, f"s{number % 3}", json.dumps(event(number)).encode())
            publisher.publish(topics.decisions, f"d{number}", encode(decision(number)))
        publisher.publish(topics.telemetry, "s", b"junk")
        publisher.publish(topics.decisions, "d", b"junk")
    with Running(kafka, history):
        wait_for(lambda: len(history.points) == 30 and len(history.decisions) == 30)
    assert history.decisions["dec-7"] == decision(7)


@pytest.mark.slow
def test_nothing_is_lost_while_the_history_is_away(kafka):
    topics, history = Topics(kafka.topic_prefix), History()
    history.away.set()
    with Running(kafka, history), Publisher(kafka) as publisher:
        for number in range(10):
            publisher.publish(topics.telemetry, "s", json.dumps(event(number)).encode())
        publisher.flush()
        wait_for(lambda: history.tries >= 2)
        assert history.points == set()
        history.away.clear()
        wait_for(lambda: len(history.points) == 10)


@pytest.mark.slow
def test_what_was_not_inserted_before_the_stop_comes_again(kafka):
    topics, history = Topics(kafka.topic_prefix), History()
    with Publisher(kafka) as publisher:
        for number in range(10):
            publisher.publish(topics.telemetry, "s", json.dumps(event(number)).encode())
    history.away.set()
    with Running(kafka, history):
        wait_for(lambda: history.tries >= 1)
    assert history.points == set()
    history.away.clear()
    with Running(kafka, history):
        wait_for(lambda: len(history.points) == 10)
    history.points.clear()
    with Running(kafka, history):
        time.sleep(1.5)
    assert history.points == set(), "the second archive had committed"


@pytest.mark.slow
def test_what_waiting_cannot_mend_ends_the_archive(kafka):
    class Broken(History):
        def add_points(self, points):
            raise PermanentError("no such table")

    with Publisher(kafka) as publisher:
        publisher.publish(Topics(kafka.topic_prefix).telemetry, "s", json.dumps(event(1)).encode())
    with pytest.raises(PermanentError, match="no such table"):
        archive_to(kafka, Broken()).run(threading.Event())


def test_an_archive_waits_while_the_broker_elects_the_coordinator_of_its_group():
    with mock_cluster() as cluster:
        settings = KafkaSettings(bootstrap=cluster.bootstrap, topic_prefix="t.")
        topics, history = Topics("t."), History()
        with Publisher(settings) as publisher:
            names = (topics.telemetry, topics.rejected, topics.alerts, topics.incidents)
            for topic in (*names, topics.decisions, topics.outcomes, topics.commands):
                publisher.publish(topic, "s", json.dumps(event(1)).encode())
        cluster.answer(OFFSET_FETCH, [NOT_COORDINATOR] * 2)
        with Running(settings, history):
            wait_for(lambda: len(history.points) == 1)
