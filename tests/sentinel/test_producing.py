"""Producing: JSON lines and recordings arrive keyed by service and in order; bad lines are named."""

from __future__ import annotations

import json
import uuid

import pytest

from sentinel.config import KafkaSettings
from sentinel.errors import PermanentError
from sentinel.kafka import LogReader, Publisher, ensure_topics
from sentinel.producing import produce_lines, replay
from sentinel.recorded import Recording
from sentinel.series import Series
from sentinel.topics import Topics
from tests.sentinel.test_kafka import take_all

pytestmark = pytest.mark.slow

START = 1_700_000_000.0


@pytest.fixture
def kafka(tansu_broker):
    settings = KafkaSettings(
        bootstrap=tansu_broker.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}.", telemetry_partitions=1
    )
    ensure_topics(settings)
    return settings


def event(service, number=0):
    return {"ts": START + number, "name": "m", "value": 1.5, "labels": {"service": service}}


def written(kafka, count):
    with LogReader(kafka, [Topics(kafka.topic_prefix).telemetry]) as reader:
        return [(record.key, json.loads(record.value)) for record in take_all(reader, count)]


def test_lines_are_split_by_service(kafka):
    lines = [
        json.dumps(event("cart")).encode() + b"\n",
        b"\n",
        json.dumps([event("cart", 1), event("web", 1), event("cart", 2)]).encode(),
        json.dumps({"v": 1, "events": [event("web", 3)]}).encode(),
    ]
    with Publisher(kafka) as publisher:
        produced = produce_lines(lines, "-", publisher, Topics(kafka.topic_prefix).telemetry)
    assert (produced.events, produced.messages, produced.first, produced.last) == (5, 4, START, START + 3)
    assert written(kafka, 4) == [
        ("cart", [event("cart")]),
        ("cart", [event("cart", 1), event("cart", 2)]),
        ("web", [event("web", 1)]),
        ("web", [event("web", 3)]),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"junk", "events.jsonl:2: not_json: "),
        (json.dumps({"ts": 1}).encode(), "events.jsonl:2: missing_field: the event has no name, value, labels"),
    ],
)
def test_a_bad_line_is_named_and_those_before_it_are_written(kafka, line, said):
    with Publisher(kafka) as publisher, pytest.raises(PermanentError) as caught:
        produce_lines(
            [json.dumps(event("cart")).encode(), line], "events.jsonl", publisher, Topics(kafka.topic_prefix).telemetry
        )
    assert str(caught.value).startswith(said)
    assert len(written(kafka, 1)) == 1


def test_recordings_are_replayed_in_the_order_of_time(kafka):
    cart = Recording(
        Series.of("a", {"service": "cart"}), [START + n for n in range(250)], [float(n) for n in range(250)]
    )
    web = Recording(Series.of("b", {"service": "web"}), [START + 99.5], [7.0])
    with Publisher(kafka) as publisher:
        produced = replay([cart, web], publisher, Topics(kafka.topic_prefix).telemetry)
    assert (produced.events, produced.first, produced.last) == (251, START, START + 249)
    messages = written(kafka, produced.messages)
    events = [each for _, batch in messages for each in batch]
    assert [each["ts"] for each in events] == sorted(each["ts"] for each in events)
    assert len(events) == 251
    assert all({each["labels"]["service"] for each in batch} == {key} for key, batch in messages)
    assert max(len(batch) for _, batch in messages) == 100
