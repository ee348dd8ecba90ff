"""The Kafka clients on the embedded broker, and what differs on Apache Kafka."""

from __future__ import annotations

import time
import uuid

import pytest

from sentinel.config import KafkaSettings
from sentinel.errors import PermanentError, TransientError
from sentinel.kafka import (
    BlockConsumer,
    GroupConsumer,
    LogReader,
    MessageBlock,
    Publisher,
    Record,
    check_broker,
    end_offsets,
    ensure_topics,
    partition_count,
)
from sentinel.topics import Topics
from tests.services.processes import free_port

pytestmark = pytest.mark.slow

TRACE = b"00-0000000000000001000000000000000a-00f067aa0ba902b7-01"


@pytest.fixture(params=["tansu_broker", pytest.param("kafka_broker", marks=pytest.mark.kafka)])
def kafka(request):
    """Topics of its own on each broker."""
    broker = request.getfixturevalue(request.param)
    settings = KafkaSettings(bootstrap=broker.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}.")
    ensure_topics(settings)
    return settings


@pytest.fixture
def topic(kafka):
    return Topics(kafka.topic_prefix).alerts


def publish(kafka, topic, count, first=0):
    with Publisher(kafka) as publisher:
        for number in range(first, first + count):
            publisher.publish(topic, f"k{number}", str(number).encode(), {"traceparent": TRACE} if number % 2 else None)


def take_all(consumer, count, seconds=15.0):
    records: list[Record] = []
    end = time.monotonic() + seconds
    while len(records) < count and time.monotonic() < end:
        records += consumer.take(100, timeout=0.5)
    return records


def blocks_of(consumer, count, seconds=15.0):
    found: list[MessageBlock] = []
    end = time.monotonic() + seconds
    while sum(len(block.values) for block in found) < count and time.monotonic() < end:
        block = consumer.take()
        if block is None:
            time.sleep(0.01)
        else:
            found.append(block)
    return found


def test_topics_have_the_partitions_that_their_readers_need_and_stay_as_they_are(kafka):
    ensure_topics(kafka.model_copy(update={"telemetry_partitions": 9}))
    topics = Topics(kafka.topic_prefix)
    assert partition_count(kafka, topics.telemetry) == 4
    assert partition_count(kafka, topics.alerts) == partition_count(kafka, topics.incidents) == 1


def test_blocks_come_in_order_with_their_headers_and_go_on_from_a_position(kafka, topic):
    publish(kafka, topic, 120)
    consumer = BlockConsumer(kafka, topic, 0, block_messages=50)
    blocks = blocks_of(consumer, 120)
    assert [offset for block in blocks for offset in block.offsets] == list(range(120))
    assert [value for block in blocks for value in block.values] == [str(number).encode() for number in range(120)]
    assert [trace for block in blocks for trace in block.traces] == [None, TRACE] * 60
    assert max(len(block.values) for block in blocks) <= 50
    assert consumer.position == 120
    assert consumer.at_end()
    consumer.close()
    again = BlockConsumer(kafka, topic, 0, start=100)
    assert blocks_of(again, 20)[0].offsets[0] == 100
    again.close()


def test_blocks_without_any_header_have_no_traces(kafka, topic):
    with Publisher(kafka) as publisher:
        publisher.publish(topic, "k", b"v")
    consumer = BlockConsumer(kafka, topic, 0)
    assert blocks_of(consumer, 1)[0].traces == []
    consumer.close()


def test_a_position_that_the_broker_never_reached_is_an_error(kafka, topic):
    publish(kafka, topic, 10)
    consumer = BlockConsumer(kafka, topic, 0, start=10)
    consumer.check_start(patience=5.0)
    consumer.close()
    lost = BlockConsumer(kafka, topic, 0, start=500)
    with pytest.raises(PermanentError, match="the broker has lost data"):
        lost.check_start(patience=1.0)


def test_a_log_reader_reads_from_the_callers_positions(kafka, topic):
    publish(kafka, topic, 10)
    with LogReader(kafka, [topic], {(topic, 0): 7}) as reader:
        records = take_all(reader, 3)
        assert [(record.offset, record.key, record.value) for record in records] == [
            (number, f"k{number}", str(number).encode()) for number in (7, 8, 9)
        ]
        assert records[0].headers == {"traceparent": TRACE}
        assert abs(records[0].timestamp - time.time()) < 60
        assert reader.positions == {(topic, 0): 10}


def test_what_a_group_took_and_did_not_commit_comes_again(kafka, topic):
    publish(kafka, topic, 10)
    with GroupConsumer(kafka, [topic], "workers") as consumer:
        assert len(take_all(consumer, 10)) == 10
    with GroupConsumer(kafka, [topic], "workers") as consumer:
        assert len(take_all(consumer, 10)) == 10
        consumer.commit()
    publish(kafka, topic, 2, first=10)
    with GroupConsumer(kafka, [topic], "workers") as consumer:
        assert [record.offset for record in take_all(consumer, 2)] == [10, 11]


def test_end_offsets_count_what_was_written(kafka, topic):
    publish(kafka, topic, 1)
    publish(kafka, topic, 1)
    assert end_offsets(kafka, [topic]) == {(topic, 0): 2}


@pytest.mark.kafka
def test_a_message_that_the_broker_refuses_is_an_error_of_the_writer(kafka_broker):
    kafka = KafkaSettings(bootstrap=kafka_broker.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}.")
    ensure_topics(kafka)
    publisher = Publisher(kafka)
    publisher.publish(Topics(kafka.topic_prefix).alerts, "k", b"x" * 2_000_000)
    with pytest.raises(PermanentError, match="MSG_SIZE_TOO_LARGE"):
        publisher.flush()


@pytest.mark.kafka
def test_a_missing_topic_is_an_error(kafka_broker):
    with pytest.raises(PermanentError, match="does not exist"):
        partition_count(KafkaSettings(bootstrap=kafka_broker.bootstrap), "nowhere")


def test_no_broker_is_a_transient_error_within_the_time_out():
    nobody = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(TransientError, match="asking the Kafka broker"):
        check_broker(nobody, timeout=1.0)
    publisher = Publisher(nobody, delivery_timeout=1.0)
    publisher.publish("t", "k", b"v")
    with pytest.raises(TransientError, match="delivering"):
        publisher.flush()
    assert time.monotonic() - began < 15.0
