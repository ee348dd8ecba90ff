"""The step `detect`: closed windows of a shard in, the same rows with what the detectors found out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
from bytewax.operators import KeyedStream, StatefulBatchLogic

from operators.blocks import ScoredBlock, WindowBlock
from operators.rules import DetectionSettings
from operators.shard_detectors import ShardDetectors
from sentinel.metrics import FINDINGS


def detect(step_id: str, up: KeyedStream[WindowBlock], settings: DetectionSettings) -> KeyedStream[ScoredBlock]:
    """Score and learn closed windows; the state is what the detectors have learned."""

    def build(state: dict[str, Any] | None) -> _DetectLogic:
        detectors = ShardDetectors(settings)
        if state is not None:
            detectors.restore(state)
        return _DetectLogic(detectors)

    return op.stateful_batch(step_id, up, build)


class _DetectLogic(StatefulBatchLogic[WindowBlock, ScoredBlock, dict[str, Any]]):
    def __init__(self, detectors: ShardDetectors) -> None:
        self._detectors = detectors

    def on_batch(self, values: list[WindowBlock]) -> tuple[Iterable[ScoredBlock], bool]:
        blocks = [self._detectors.feed(block) for block in values]
        FINDINGS.inc(sum(len(block.candidates) for block in blocks))
        return blocks, StatefulBatchLogic.RETAIN

    def snapshot(self) -> dict[str, Any]:
        return self._detectors.snapshot()
