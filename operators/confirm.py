"""Step `confirm`: candidates in, alert messages and decision rows out. Thin; see `alert_states`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import bytewax.operators as op
from bytewax.operators import KeyedStream, StatefulBatchLogic

from operators.alert_states import AlertStates
from operators.blocks import Judgements, ScoredBlock, Tick
from operators.rules import DetectionSettings
from sentinel.alerts import AlertState
from sentinel.metrics import ALERTS_FIRED, ALERTS_FIRING, ALERTS_RESOLVED, DETECTION_SECONDS

State = dict[str, Any]


def confirm(
    step_id: str,
    up: KeyedStream[ScoredBlock | Tick],
    settings: DetectionSettings,
    now: Callable[[], float] = time.time,
) -> KeyedStream[Judgements]:
    """Fire, judge and resolve alerts. `now` is wall time; merge `Tick`s of silent shards into `up` to hear of silence."""
    return op.stateful_batch(step_id, up, lambda state: ConfirmLogic(settings, now, state))


class ConfirmLogic(StatefulBatchLogic[ScoredBlock | Tick, Judgements, State]):
    """The alert states of one shard."""

    def __init__(self, settings: DetectionSettings, now: Callable[[], float], state: State | None) -> None:
        """Fresh, or from a snapshot."""
        self._states = AlertStates(settings)
        self._now = now
        if state is not None:
            self._states.restore(state)

    def on_batch(self, values: list[ScoredBlock | Tick]) -> tuple[list[Judgements], bool]:
        """Feed the blocks in order; blocks about which nothing is said give nothing."""
        out: list[Judgements] = []
        for item in values:
            started = time.perf_counter()
            judged = (
                self._states.tick(item, self._now()) if isinstance(item, Tick) else self._states.feed(item, self._now())
            )
            if judged.alerts or judged.decisions:
                out.append(judged)
                self._count(judged)
            DETECTION_SECONDS.labels("confirm").observe(time.perf_counter() - started)
        return out, StatefulBatchLogic.RETAIN

    def snapshot(self) -> State:
        """Plain values, copied."""
        return self._states.snapshot()

    def _count(self, judged: Judgements) -> None:
        for alert in judged.alerts:
            if alert.state is AlertState.FIRING:
                ALERTS_FIRED.labels(alert.rule).inc()
            elif alert.resolution is not None:
                ALERTS_RESOLVED.labels(alert.resolution).inc()
        ALERTS_FIRING.labels(judged.shard).set(self._states.firing)
