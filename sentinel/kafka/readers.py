"""Reading whole topics record by record: from the caller's own offsets, or from those of a consumer group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from sentinel.config import KafkaSettings
from sentinel.errors import PermanentError
from sentinel.kafka.admin import TIMEOUT, partition_count
from sentinel.kafka.client import client_config, from_exception, ours
from sentinel.logs import get_logger
from sentinel.metrics import KAFKA_ERRORS

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """One message. `timestamp` is the broker's or producer's wall time in seconds."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    timestamp: float
    headers: Mapping[str, bytes] = field(default_factory=dict)


class LogReader:
    """Every partition of some topics, from offsets that the caller keeps (in SQL, with its work, so exactly once).

    `positions` gives the next offset by (topic, partition); partitions that it does not name start at the oldest message.
    """

    def __init__(
        self, settings: KafkaSettings, topics: Sequence[str], positions: Mapping[tuple[str, int], int] | None = None
    ) -> None:
        self.positions: dict[tuple[str, int], int] = dict(positions or {})
        """The next offset of each partition that gave a record or was given one."""
        self._consumer = Consumer(
            client_config(
                settings,
                **{
                    "group.id": "sentinel-reader",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "earliest",
                    "fetch.error.backoff.ms": 100,
                },
            )
        )
        self._consumer.assign(
            [
                TopicPartition(topic, number, self.positions.get((topic, number), OFFSET_BEGINNING))
                for topic in topics
                for number in range(partition_count(settings, topic))
            ]
        )

    def take(self, limit: int = 500, timeout: float = 0.2) -> list[Record]:
        """Up to `limit` records; waits at most `timeout` seconds for the first and not at all for more."""
        records = _take(self._consumer, limit, timeout)
        self.positions.update({(r.topic, r.partition): r.offset + 1 for r in records})
        return records

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


class GroupConsumer:
    """Whole topics, from the offsets of a consumer group in Kafka, which are committed after the work.

    What was taken and not committed comes again after a restart, so work must be idempotent. It takes all partitions
    itself instead of joining the group: no rebalance to wait for (3 s on the embedded broker, which a member that died
    while joining even blocks for ever), and one reader per group is what its users need.
    """

    def __init__(self, settings: KafkaSettings, topics: Sequence[str], group: str) -> None:
        self._taken: dict[tuple[str, int], int] = {}
        self._consumer = Consumer(
            client_config(
                settings,
                **{
                    "group.id": group,
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "earliest",
                    "fetch.error.backoff.ms": 100,
                },
            )
        )
        places = [
            TopicPartition(topic, number) for topic in topics for number in range(partition_count(settings, topic))
        ]
        try:
            stored = self._consumer.committed(places, timeout=TIMEOUT)
        except KafkaException as error:
            raise from_exception(error, f"reading the offsets of group {group!r}") from error
        self._consumer.assign(
            [
                TopicPartition(place.topic, place.partition, place.offset if place.offset >= 0 else OFFSET_BEGINNING)
                for place in stored
            ]
        )

    def take(self, limit: int = 500, timeout: float = 0.2) -> list[Record]:
        """Up to `limit` records; waits at most `timeout` seconds for the first and not at all for more."""
        records = _take(self._consumer, limit, timeout)
        self._taken.update({(r.topic, r.partition): r.offset + 1 for r in records})
        return records

    def commit(self) -> None:
        """Commit everything taken so far. Raises `TransientError` when the broker does not take it."""
        offsets = [TopicPartition(topic, number, offset) for (topic, number), offset in self._taken.items()]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise from_exception(error, "committing offsets") from error
        self._taken.clear()

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


def _take(consumer: Consumer, limit: int, timeout: float) -> list[Record]:
    """`consume` waits for its whole time-out unless `limit` messages come, so wait for one and then take what is there."""
    try:
        messages = consumer.consume(limit, 0)
        if not messages and timeout > 0:
            messages = consumer.consume(1, timeout)
            messages += consumer.consume(limit - 1, 0) if messages and limit > 1 else []
    except KafkaException as error:
        raise from_exception(error, "reading from Kafka") from error
    return list(_records(messages))


def _records(messages: Iterable[Message]) -> Iterable[Record]:
    for message in messages:
        error = message.error()
        if error is None:
            yield _record(message)
            continue
        KAFKA_ERRORS.labels(error.name()).inc()
        mapped = ours(error, f"reading {message.topic()}")
        if isinstance(mapped, PermanentError):
            raise mapped
        log.warning("kafka read error, the client retries", reason=str(mapped))


def _record(message: Message) -> Record:
    raw = message.headers()
    headers = raw if isinstance(raw, list) else []
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=(message.key() or b"").decode(errors="replace"),
        value=message.value() or b"",
        timestamp=message.timestamp()[1] / 1000.0,
        headers={name: value for name, value in headers if isinstance(value, bytes)},
    )
