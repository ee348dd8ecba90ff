"""Where flows read: telemetry in blocks, and Sentinel's own topics message by message. Offsets live in the recovery store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from operators.blocks import RawBlock
from sentinel.config import KafkaSettings
from sentinel.errors import PermanentError
from sentinel.kafka import BlockConsumer, MessageBlock, partition_count
from sentinel.logs import get_logger
from sentinel.metrics import MESSAGES_UNREADABLE
from sentinel.topics import decode

T = TypeVar("T")

log = get_logger(__name__)

QUIET_AT_END = 0.5
"""Seconds without a message at the end of a partition before `stop_at_end` believes it: the embedded broker may
understate its end by the messages of its last batch."""


@dataclass(frozen=True)
class Reading:
    """How the sources of one flow read; `stop` ends them: they finish their epoch and the flow takes a last snapshot."""

    kafka: KafkaSettings
    group: str
    stop: threading.Event = field(default_factory=threading.Event)
    stop_at_end: bool = False
    poll_interval: float = 0.01
    block_messages: int = 10_000
    block_bytes: int = 4 << 20


class _Partition(StatefulSourcePartition[tuple[str, MessageBlock], int | None]):
    """One partition of one topic; items are (partition, block). Polls without waiting, at once again while blocks are full."""

    def __init__(self, reading: Reading, topic: str, partition: int, start: int | None) -> None:
        self._reading = reading
        self._key = str(partition)
        self._consumer = BlockConsumer(
            reading.kafka,
            topic,
            partition,
            start=start,
            group=reading.group,
            block_messages=reading.block_messages,
            block_bytes=reading.block_bytes,
        )
        if start is not None:
            self._consumer.check_start()
        self._next: datetime | None = None
        self._last_message = time.monotonic()

    def next_batch(self) -> Iterable[tuple[str, MessageBlock]]:
        if self._reading.stop.is_set():
            raise StopIteration
        block = self._consumer.take()
        self._next = None
        if not self._consumer.full:
            self._next = datetime.now(UTC) + timedelta(seconds=self._reading.poll_interval)
        if block is not None:
            self._last_message = time.monotonic()
            return [(self._key, block)]
        if self._reading.stop_at_end and self._finished():
            raise StopIteration
        return []

    def next_awake(self) -> datetime | None:
        return self._next

    def snapshot(self) -> int | None:
        self._consumer.commit()
        return self._consumer.position

    def close(self) -> None:
        self._consumer.close()

    def _finished(self) -> bool:
        return time.monotonic() - self._last_message > QUIET_AT_END and self._consumer.at_end()


class _BlockSource(FixedPartitionedSource[tuple[str, MessageBlock], int | None]):
    def __init__(self, reading: Reading, topic: str, partitions: Sequence[int]) -> None:
        self._reading, self._topic, self._partitions = reading, topic, partitions

    def list_parts(self) -> list[str]:
        return [str(partition) for partition in self._partitions]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> _Partition:
        return _Partition(self._reading, self._topic, int(for_part), resume_state)


def read_blocks(
    step_id: str, flow: Dataflow, reading: Reading, topic: str, partitions: Sequence[int]
) -> Stream[tuple[str, RawBlock]]:
    """Raw messages of some partitions of a topic, in blocks keyed by partition."""
    blocks = op.input(step_id, flow, _BlockSource(reading, topic, partitions))
    return op.map(f"{step_id}_raw", blocks, _raw)


def read_messages(step_id: str, flow: Dataflow, reading: Reading, topic: str, as_type: type[T]) -> Stream[T]:
    """Messages of one of Sentinel's own topics, all partitions, decoded. One that is not `as_type` is logged and counted."""
    partitions = range(partition_count(reading.kafka, topic))
    blocks = op.input(step_id, flow, _BlockSource(reading, topic, partitions))
    return op.flat_map(f"{step_id}_decoded", blocks, _decoder(topic, as_type))


def _raw(item: tuple[str, MessageBlock]) -> tuple[str, RawBlock]:
    key, block = item
    return key, RawBlock(int(key), block.offsets, block.values, block.traces)


def _decoder(topic: str, as_type: type[T]) -> Callable[[tuple[str, MessageBlock]], Iterable[T]]:
    def messages(item: tuple[str, MessageBlock]) -> Iterable[T]:
        partition, block = item
        for offset, value in zip(block.offsets, block.values, strict=True):
            try:
                yield decode(value, as_type)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                MESSAGES_UNREADABLE.labels(topic).inc()
                log.warning(
                    "a message is not what its topic holds and is left out",
                    topic=topic,
                    partition=partition,
                    offset=offset,
                    reason=str(error),
                )

    return messages


def partitions_of_group(count: int, group: int, groups: int) -> list[int]:
    """The telemetry partitions of one partition group: every `groups`-th, from `group` on.

    >>> partitions_of_group(8, 1, 4)
    [1, 5]
    """
    if not 0 <= group < groups <= count:
        raise PermanentError(
            f"partition group {group} of {groups} over {count} partitions: use 0 <= group < groups <= partitions"
        )
    return list(range(group, count, groups))
