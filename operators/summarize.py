"""Step `summarize`: events of a shard in, its closed event-time windows out. Thin; the work is in `windows`."""

from __future__ import annotations

import time
from typing import Any

import bytewax.operators as op
from bytewax.operators import KeyedStream, StatefulBatchLogic

from operators.blocks import ShardBlock, WindowBlock
from operators.rules import DetectionSettings
from operators.windows import NEVER, Windows
from sentinel.metrics import DETECTION_SECONDS, EVENTS_LEFT_OUT, WINDOWS_CLOSED

State = dict[str, Any]


def summarize(step_id: str, up: KeyedStream[ShardBlock], settings: DetectionSettings) -> KeyedStream[WindowBlock]:
    """Close windows by the partition's watermark; a block goes on when a window closed or time passed the end of one."""
    return op.stateful_batch(step_id, up, lambda state: SummarizeLogic(settings, state))


class SummarizeLogic(StatefulBatchLogic[ShardBlock, WindowBlock, State]):
    """The windows of one shard."""

    def __init__(self, settings: DetectionSettings, state: State | None) -> None:
        """Fresh, or from a snapshot."""
        self._windows = Windows(settings)
        if state is not None:
            self._windows.restore(state)
        self._told = NEVER
        self._counted = self._windows.counters

    def on_batch(self, values: list[ShardBlock]) -> tuple[list[WindowBlock], bool]:
        """Feed the blocks in order."""
        out: list[WindowBlock] = []
        for block in values:
            started = time.perf_counter()
            closed = self._windows.feed(block)
            if len(closed.slots) or closed.assigned or self._windows.passes(self._told, closed.watermark):
                self._told = closed.watermark
                out.append(closed)
            WINDOWS_CLOSED.inc(len(closed.slots))
            DETECTION_SECONDS.labels("summarize").observe(time.perf_counter() - started)
        self._count()
        return out, StatefulBatchLogic.RETAIN

    def snapshot(self) -> State:
        """Plain values, copied."""
        return self._windows.snapshot()

    def _count(self) -> None:
        counters = self._windows.counters
        for reason, count in counters.items():
            if count > self._counted[reason]:
                EVENTS_LEFT_OUT.labels(reason).inc(count - self._counted[reason])
        self._counted = counters
