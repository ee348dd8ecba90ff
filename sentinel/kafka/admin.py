"""Topics: make the ones that Sentinel needs, and ask the broker how it stands."""

from __future__ import annotations

import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from sentinel.config import KafkaSettings
from sentinel.errors import PermanentError, TransientError
from sentinel.kafka.client import client_config, from_exception
from sentinel.topics import Topics

TIMEOUT = 10.0
"""Seconds to wait for one answer of the broker."""


def ensure_topics(settings: KafkaSettings) -> None:
    """Create the topics that do not exist yet; existing ones are left as they are, and need no right to create.

    `telemetry` has `telemetry_partitions`, every other topic one: `alerts` and `outcomes` because their reader groups
    in the order of arrival, the others because they are small. `incidents` is compacted: the last revision of each stays.
    Returns when the broker shows all of them, so that a reader that comes right after finds its topic. Raises
    `TransientError` when the broker does not answer and `PermanentError` when it refuses.
    """
    check_broker(settings)
    topics = Topics(settings.topic_prefix)
    small = [topics.rejected, topics.alerts, topics.decisions, topics.outcomes, topics.commands]
    wanted = [
        NewTopic(topics.telemetry, settings.telemetry_partitions, settings.replication_factor),
        NewTopic(topics.incidents, 1, settings.replication_factor, config={"cleanup.policy": "compact"}),
        *(NewTopic(name, 1, settings.replication_factor) for name in small),
    ]
    admin = _admin(settings)  # the client must outlive its answers
    names = {each.topic for each in wanted}
    missing = names - _shown(admin, settings)
    if not missing:
        return
    making = [each for each in wanted if each.topic in missing]
    for name, created in admin.create_topics(making, operation_timeout=TIMEOUT).items():
        try:
            created.result(TIMEOUT * 2)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise from_exception(error, f"creating topic {name!r} at {settings.bootstrap}") from error
        except TimeoutError as error:
            raise TransientError(f"creating topic {name!r} at {settings.bootstrap}: no answer in time") from error
    _wait_until_shown(admin, names, settings)


def check_broker(settings: KafkaSettings, timeout: float = TIMEOUT) -> None:
    """Return when the broker answers; raise `TransientError` with the reason when it does not within `timeout` s."""
    try:
        _admin(settings).list_topics(timeout=timeout)
    except KafkaException as error:
        doing = f"asking the Kafka broker at {settings.bootstrap} (is it running, and is kafka.bootstrap right?)"
        raise from_exception(error, doing) from error


def partition_count(settings: KafkaSettings, topic: str) -> int:
    """How many partitions a topic has. Raises `PermanentError` when there is no such topic."""
    try:
        found = _admin(settings).list_topics(topic, timeout=TIMEOUT).topics[topic]
    except KafkaException as error:
        raise from_exception(error, f"looking for topic {topic!r} at {settings.bootstrap}") from error
    if found.error is not None or not found.partitions:
        raise PermanentError(f"topic {topic!r} does not exist at {settings.bootstrap}")
    return len(found.partitions)


def end_offsets(settings: KafkaSettings, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """The offset that the next message of each partition will get, by (topic, partition).

    The embedded broker may understate it by the messages of its last batch.
    """
    consumer = Consumer(client_config(settings, **{"group.id": "sentinel-admin", "enable.auto.commit": False}))
    try:
        return {
            (topic, number): consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT)[1]
            for topic in topics
            for number in range(partition_count(settings, topic))
        }
    except KafkaException as error:
        raise from_exception(error, f"reading offsets at {settings.bootstrap}") from error
    finally:
        consumer.close()


def _wait_until_shown(admin: AdminClient, names: set[str], settings: KafkaSettings) -> None:
    """A topic that was created, by this process or another, takes a moment to reach the metadata that clients get."""
    end = time.monotonic() + TIMEOUT
    while True:
        missing = names - _shown(admin, settings)
        if not missing:
            return
        if time.monotonic() > end:
            raise TransientError(f"topic {min(missing)!r} was created, but {settings.bootstrap} does not show it")
        time.sleep(0.05)


def _shown(admin: AdminClient, settings: KafkaSettings) -> set[str]:
    try:
        return set(admin.list_topics(timeout=TIMEOUT).topics)
    except KafkaException as error:
        raise from_exception(error, f"looking for the topics at {settings.bootstrap}") from error


def _admin(settings: KafkaSettings) -> AdminClient:
    return AdminClient(client_config(settings))
