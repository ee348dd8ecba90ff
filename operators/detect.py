"""Step `detect`: closed windows in, the same windows with their candidates out. Thin; see `shard_detectors`."""

from __future__ import annotations

import time
from typing import Any

import bytewax.operators as op
from bytewax.operators import KeyedStream, StatefulBatchLogic

from operators.blocks import ScoredBlock, WindowBlock
from operators.rules import DetectionSettings
from operators.shard_detectors import ShardDetectors
from sentinel.metrics import DETECTION_SECONDS, FINDINGS

State = dict[str, Any]


def detect(step_id: str, up: KeyedStream[WindowBlock], settings: DetectionSettings) -> KeyedStream[ScoredBlock]:
    """Score every window by the detectors of its rule, then let them learn it."""
    return op.stateful_batch(step_id, up, lambda state: DetectLogic(settings, state))


class DetectLogic(StatefulBatchLogic[WindowBlock, ScoredBlock, State]):
    """The detectors of one shard."""

    def __init__(self, settings: DetectionSettings, state: State | None) -> None:
        """Fresh, or from a snapshot."""
        self._detectors = ShardDetectors(settings)
        if state is not None:
            self._detectors.restore(state)

    def on_batch(self, values: list[WindowBlock]) -> tuple[list[ScoredBlock], bool]:
        """Feed the blocks in order."""
        out: list[ScoredBlock] = []
        for block in values:
            started = time.perf_counter()
            scored = self._detectors.feed(block)
            out.append(scored)
            FINDINGS.inc(len(scored.candidates))
            DETECTION_SECONDS.labels("detect").observe(time.perf_counter() - started)
        return out, StatefulBatchLogic.RETAIN

    def snapshot(self) -> State:
        """Plain values, copied."""
        return self._detectors.snapshot()
