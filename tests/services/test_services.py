"""Each service fixture works: a message goes round, a query is answered, a crash loses nothing."""

import uuid

import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from sentinel.broker import EmbeddedBroker
from tests.services.kafka_broker import KafkaBroker
from tests.services.processes import free_port, unavailable


def produce_one(bootstrap: str, topic: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def consume_one(bootstrap: str, topic: str) -> bytes | None:
    group = {"group.id": f"group-{topic}", "auto.offset.reset": "earliest", "session.timeout.ms": 6000}
    consumer = Consumer({"bootstrap.servers": bootstrap, **group})
    try:
        consumer.subscribe([topic])
        message = consumer.poll(30)
        assert message is not None, "nothing came within 30 s"
        assert message.error() is None
        return message.value()
    finally:
        consumer.close()


def a_topic() -> str:
    return f"house-{uuid.uuid4().hex[:8]}"


def test_free_port_can_be_bound_at_once() -> None:
    ports = {free_port() for _ in range(3)}
    assert all(1024 <= port < 65536 for port in ports)


@pytest.mark.slow
def test_tansu_carries_a_message(tansu_broker: EmbeddedBroker) -> None:
    topic = a_topic()
    produce_one(tansu_broker.bootstrap, topic, b"through tansu")
    assert consume_one(tansu_broker.bootstrap, topic) == b"through tansu"


@pytest.mark.kafka
def test_kafka_carries_a_message(kafka_broker: KafkaBroker) -> None:
    topic = a_topic()
    produce_one(kafka_broker.bootstrap, topic, b"through kafka")
    assert consume_one(kafka_broker.bootstrap, topic) == b"through kafka"


@pytest.mark.kafka
def test_kafka_keeps_its_data_and_address_over_a_crash(own_kafka_broker: KafkaBroker) -> None:
    topic, before = a_topic(), own_kafka_broker.pid
    produce_one(own_kafka_broker.bootstrap, topic, b"before the crash")
    own_kafka_broker.kill()
    own_kafka_broker.start()
    assert own_kafka_broker.pid != before
    assert consume_one(own_kafka_broker.bootstrap, topic) == b"before the crash"


@pytest.mark.postgres
def test_postgres_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.postgres
@pytest.mark.parametrize("_again", [1, 2])
def test_each_test_gets_an_empty_database(postgres_database: str, _again: int) -> None:
    with psycopg.connect(postgres_database) as connection:
        connection.execute("create table only_here (id integer)")
        count = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
    assert count == (1,)


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_service_skips_at_home_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.delenv("SENTINEL_CI", raising=False)
    with pytest.raises(outcome, match="no such service"):
        unavailable("no such service")
