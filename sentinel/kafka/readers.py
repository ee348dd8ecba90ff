"""Reading whole topics record by record: from the caller's own offsets, or as a member of a consumer group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from sentinel.config import KafkaSettings
from sentinel.errors import PermanentError
from sentinel.kafka.admin import partition_count
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
    """A member of a consumer group that commits after the work: what was taken and not committed comes again.

    Offsets live in Kafka. The group's members share the partitions; work must be idempotent.
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
                    "session.timeout.ms": 6000,
                    "fetch.error.backoff.ms": 100,
                    # Work may wait long for a store that is away; the heartbeat alone says whether this member lives.
                    "max.poll.interval.ms": 86_400_000,
                },
            )
        )
        self._consumer.subscribe(list(topics), on_revoke=self._forget, on_lost=self._forget)

    def take(self, limit: int = 500, timeout: float = 0.2) -> list[Record]:
        """Up to `limit` records; waits at most `timeout` seconds for the first and not at all for more."""
        records = _take(self._consumer, limit, timeout)
        self._taken.update({(r.topic, r.partition): r.offset + 1 for r in records})
        return records

    def commit(self) -> None:
        """Commit everything taken so far. After a rebalance the records come again to their new owner instead."""
        offsets = [TopicPartition(topic, number, offset) for (topic, number), offset in self._taken.items()]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in _REBALANCED:
                raise from_exception(error, "committing offsets") from error
            log.warning("not committed because the group changed; the records come again", reason=str(error))
        self._taken.clear()

    def close(self) -> None:
        """Leave the group; its partitions go to the other members at once."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _forget(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for gone in partitions:
            self._taken.pop((gone.topic, gone.partition), None)


_REBALANCED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
    }
)


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
