"""The step `confirm`: scored windows of a shard in, alert messages and decision rows out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import bytewax.operators as op
from bytewax.operators import KeyedStream, StatefulBatchLogic

from operators.alert_states import AlertStates
from operators.blocks import Judgements, ScoredBlock
from operators.rules import DetectionSettings
from sentinel.alerts import AlertMessage, AlertState
from sentinel.metrics import ALERTS_FIRED, ALERTS_RESOLVED


def confirm(
    step_id: str, up: KeyedStream[ScoredBlock], settings: DetectionSettings, now: Callable[[], float] = time.time
) -> KeyedStream[Judgements]:
    """Turn candidates into alerts and follow the firing ones; the state is the alerts. `now` is wall time, for stamps."""

    def build(state: dict[str, Any] | None) -> _ConfirmLogic:
        states = AlertStates(settings)
        if state is not None:
            states.restore(state)
        return _ConfirmLogic(states, now)

    return op.stateful_batch(step_id, up, build)


class _ConfirmLogic(StatefulBatchLogic[ScoredBlock, Judgements, dict[str, Any]]):
    def __init__(self, states: AlertStates, now: Callable[[], float]) -> None:
        self._states = states
        self._now = now

    def on_batch(self, values: list[ScoredBlock]) -> tuple[Iterable[Judgements], bool]:
        judged = [self._states.feed(block, self._now()) for block in values]
        told = [one for one in judged if one.alerts or one.decisions]
        for message in (message for one in told for message in one.alerts):
            _count(message)
        return told, StatefulBatchLogic.RETAIN

    def snapshot(self) -> dict[str, Any]:
        return self._states.snapshot()


def _count(message: AlertMessage) -> None:
    if message.state is AlertState.FIRING:
        ALERTS_FIRED.labels(message.rule).inc()
    elif message.resolution is not None:
        ALERTS_RESOLVED.labels(message.resolution).inc()
