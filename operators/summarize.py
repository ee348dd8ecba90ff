"""The step `summarize`: blocks of events of a shard in, closed event-time windows out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
from bytewax.operators import KeyedStream, StatefulBatchLogic

from operators.blocks import ShardBlock, WindowBlock
from operators.rules import DetectionSettings
from operators.windows import Windows
from sentinel.metrics import EVENTS_LEFT_OUT, WINDOWS_CLOSED


def summarize(step_id: str, up: KeyedStream[ShardBlock], settings: DetectionSettings) -> KeyedStream[WindowBlock]:
    """Close windows by the partition's watermark; the state is the open windows and the table of series."""

    def build(state: dict[str, Any] | None) -> _SummarizeLogic:
        windows = Windows(settings)
        if state is not None:
            windows.restore(state)
        return _SummarizeLogic(windows)

    return op.stateful_batch(step_id, up, build)


class _SummarizeLogic(StatefulBatchLogic[ShardBlock, WindowBlock, dict[str, Any]]):
    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._counted = dict(windows.counters)

    def on_batch(self, values: list[ShardBlock]) -> tuple[Iterable[WindowBlock], bool]:
        blocks = [self._windows.feed(block) for block in values]
        WINDOWS_CLOSED.inc(sum(len(block.slots) for block in blocks))
        self._count()
        return blocks, StatefulBatchLogic.RETAIN

    def snapshot(self) -> dict[str, Any]:
        return self._windows.snapshot()

    def _count(self) -> None:
        """Pass on what the counters of the windows have grown by; they are part of the state and outlive the process."""
        for name, total in self._windows.counters.items():
            if total > self._counted[name]:
                EVENTS_LEFT_OUT.labels(name).inc(total - self._counted[name])
                self._counted[name] = total
