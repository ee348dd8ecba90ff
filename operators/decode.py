"""The step `decode`: raw blocks of a partition in; blocks of columns by sub-shard, and what was rejected, out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream, StatefulBatchLogic

from operators.blocks import RawBlock, ShardBlock
from operators.decoding import PartitionDecoder, RejectedMessage
from sentinel.metrics import DECODE_SECONDS, EVENTS_DECODED, EVENTS_REJECTED, KNOWN_SERIES, WATERMARK
from sentinel.telemetry import TelemetrySettings

State: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The two outputs: `shards` keyed by shard, `rejected` without a key."""

    shards: KeyedStream[ShardBlock]
    rejected: Stream[RejectedMessage]


def decode(
    step_id: str,
    up: KeyedStream[RawBlock],
    topic: str,
    settings: TelemetrySettings,
    lateness: float,
    now: Callable[[], float] = time.time,
) -> Decoded:
    """Decode blocks keyed by partition; the state is the partition's high mark. Bad bytes are data, never exceptions."""

    def build(state: State | None) -> _DecodeLogic:
        return _DecodeLogic(PartitionDecoder(topic, settings, lateness, state), now)

    decoded = op.stateful_batch(f"{step_id}_columns", up, build)
    rejected = op.flat_map(f"{step_id}_rejected", decoded, _rejected)
    shards = op.flat_map(f"{step_id}_shards", decoded, _shards)
    return Decoded(shards, rejected)


_Item: TypeAlias = ShardBlock | RejectedMessage


class _DecodeLogic(StatefulBatchLogic[RawBlock, _Item, State]):
    def __init__(self, decoder: PartitionDecoder, now: Callable[[], float]) -> None:
        self._decoder = decoder
        self._now = now

    def on_batch(self, values: list[RawBlock]) -> tuple[Iterable[_Item], bool]:
        items: list[_Item] = []
        for block in values:
            started = time.perf_counter()
            shards, rejected = self._decoder.feed(block, self._now())
            items += rejected
            items += shards
            self._count(block, shards, rejected, time.perf_counter() - started)
        return items, StatefulBatchLogic.RETAIN

    def snapshot(self) -> State:
        return self._decoder.snapshot()

    def _count(
        self, block: RawBlock, shards: list[ShardBlock], rejected: list[RejectedMessage], seconds: float
    ) -> None:
        partition = str(block.partition)
        EVENTS_DECODED.labels(partition).inc(sum(len(shard.times) for shard in shards) + self._decoder.changes)
        for message in rejected:
            EVENTS_REJECTED.labels(message.reason).inc(message.count)
        KNOWN_SERIES.labels(partition).set(self._decoder.known_series)
        WATERMARK.labels(partition).set(self._decoder.watermark)
        DECODE_SECONDS.observe(seconds)


def _rejected(item: tuple[str, _Item]) -> Iterable[RejectedMessage]:
    return (item[1],) if isinstance(item[1], RejectedMessage) else ()


def _shards(item: tuple[str, _Item]) -> Iterable[tuple[str, ShardBlock]]:
    return ((item[1].shard, item[1]),) if isinstance(item[1], ShardBlock) else ()
