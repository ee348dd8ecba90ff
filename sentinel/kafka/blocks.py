"""Reading one partition in blocks: thousands of raw messages for one Python call, from an offset that the caller keeps."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from sentinel.config import KafkaSettings
from sentinel.errors import PermanentError
from sentinel.kafka.client import client_config, from_exception, ours
from sentinel.logs import get_logger
from sentinel.metrics import KAFKA_ERRORS, MESSAGES_READ, MESSAGES_SKIPPED, POSITION
from sentinel.traces import HEADER

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MessageBlock:
    """Raw messages of one partition in order; `traces` holds their `traceparent` headers, empty when none has one."""

    offsets: list[int]
    values: list[bytes]
    traces: list[bytes | None]


class BlockConsumer:
    """One partition of one topic, read from `start` (None: the oldest message, or the newest with `from_end`).

    `block_messages` and `block_bytes` bound one block: the number asked for follows the mean size seen so far, because
    the client can bound messages only. `group` is used to commit positions for lag tools, never to read them back.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        partition: int,
        *,
        start: int | None = None,
        from_end: bool = False,
        group: str = "sentinel",
        block_messages: int = 10_000,
        block_bytes: int = 4 << 20,
    ) -> None:
        self._settings, self._topic, self._partition = settings, topic, partition
        self._block_messages, self._block_bytes = block_messages, block_bytes
        self._mean_bytes = 1024.0
        self._position = start
        self._committed = start
        self.full = False
        """Whether the last block was as large as asked for: more is waiting, do not pause."""
        self._consumer = Consumer(
            client_config(
                settings,
                **{
                    "group.id": group,
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "earliest",
                    "queued.min.messages": 100_000,
                    "queued.max.messages.kbytes": 16_384,
                    "fetch.queue.backoff.ms": 10,
                    "fetch.error.backoff.ms": 100,
                },
            )
        )
        first = start if start is not None else (OFFSET_END if from_end else OFFSET_BEGINNING)
        self._consumer.assign([TopicPartition(topic, partition, first)])

    @property
    def position(self) -> int | None:
        """The offset after the last message taken: where to start again. None before the first one."""
        return self._position

    def take(self) -> MessageBlock | None:
        """What has arrived since the last call, or None. Never waits.

        Raises `PermanentError` when the topic or the right to read it is missing. Errors that the client retries are
        counted and left to it.
        """
        wanted = max(50, min(self._block_messages, int(self._block_bytes / self._mean_bytes)))
        try:
            messages = self._consumer.consume(wanted, 0)
        except KafkaException as error:
            raise from_exception(error, f"reading {self._topic}/{self._partition}") from error
        self.full = len(messages) >= wanted
        messages = self._without_errors(messages)
        if not messages:
            return None
        block = self._block(messages)
        size = sum(map(len, block.values)) / len(messages)
        self._mean_bytes = max(1.0, 0.5 * self._mean_bytes + 0.5 * size)
        self._advance(block.offsets)
        return block

    def at_end(self) -> bool:
        """Whether the position has reached the broker's end of the partition (see `end_offsets` about its truth)."""
        low, high = self._bounds()
        return (self._position if self._position is not None else low) >= high

    def check_start(self, patience: float = 3.0) -> None:
        """Raise `PermanentError` when the broker ends before the position: it has lost what was already read from it.

        Going on would skip what now gets the lost offsets. The embedded broker understates its end by up to a batch, so
        that an end before the position is believed only when the last message read cannot be read again either, within
        `patience` seconds.
        """
        start, end = self._position or 0, self._bounds()[1]
        if end < start and not self._holds(start - 1, patience):
            self.close()
            raise PermanentError(
                f"{self._topic}/{self._partition} ends at {end}, but this flow has read up to {start}: the broker has lost "
                f"data (the embedded one keeps it in memory). Remove the flow's recovery folder to start anew"
            )

    def commit(self) -> None:
        """Tell the broker the position in the background, for lag tools alone; a failure does no harm."""
        if self._position is None or self._position == self._committed:
            return
        self._consumer.commit(offsets=[TopicPartition(self._topic, self._partition, self._position)], asynchronous=True)
        self._committed = self._position

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _holds(self, offset: int, patience: float) -> bool:
        """Whether a message at or after `offset` can be read."""
        probe = Consumer(client_config(self._settings, **{"group.id": "sentinel-probe", "enable.auto.commit": False}))
        try:
            probe.assign([TopicPartition(self._topic, self._partition, offset)])
            found = probe.consume(1, patience)
        except KafkaException as error:
            raise from_exception(error, f"reading {self._topic}/{self._partition}") from error
        finally:
            probe.close()
        return any(message.error() is None and (message.offset() or 0) >= offset for message in found)

    def _bounds(self) -> tuple[int, int]:
        try:
            return self._consumer.get_watermark_offsets(TopicPartition(self._topic, self._partition), timeout=10.0)
        except KafkaException as error:
            raise from_exception(error, f"asking for the end of {self._topic}/{self._partition}") from error

    def _without_errors(self, messages: list[Message]) -> list[Message]:
        good = [message for message in messages if message.error() is None]
        if len(good) != len(messages):
            for error in (message.error() for message in messages):
                if error is None:
                    continue
                KAFKA_ERRORS.labels(error.name()).inc()
                mapped = ours(error, f"reading {self._topic}/{self._partition}")
                if isinstance(mapped, PermanentError):
                    raise mapped
                log.warning("kafka read error, the client retries", topic=self._topic, reason=str(mapped))
        return good

    def _block(self, messages: list[Message]) -> MessageBlock:
        headers = [message.headers() for message in messages]
        return MessageBlock(
            offsets=[message.offset() or 0 for message in messages],
            values=[message.value() or b"" for message in messages],
            traces=[_traceparent(pairs) for pairs in headers] if any(headers) else [],
        )

    def _advance(self, offsets: list[int]) -> None:
        following = offsets[-1] + 1
        expected = following - len(offsets) if self._position is None else self._position
        missing = following - expected - len(offsets)
        if missing > 0:
            MESSAGES_SKIPPED.labels(self._topic).inc(missing)
            log.warning("offsets were gone", topic=self._topic, partition=self._partition, missing=missing)
        elif missing < 0:
            log.warning(
                "the partition starts again: its older messages are gone",
                topic=self._topic,
                partition=self._partition,
                expected=expected,
                found=offsets[0],
            )
        self._position = following
        MESSAGES_READ.labels(self._topic).inc(len(offsets))
        POSITION.labels(self._topic, str(self._partition)).set(following)


def _traceparent(headers: object) -> bytes | None:
    pairs = headers if isinstance(headers, list) else []
    return next((value for name, value in pairs if name == HEADER and isinstance(value, bytes)), None)
