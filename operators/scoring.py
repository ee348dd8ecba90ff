"""Scores of one recorded series, row by row, from the very detectors and alert states of the live flow. Pure.

Each row is taken as one closed window. 1.0 and above means that an alert fires at that row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from operators.alert_states import AlertStates
from operators.blocks import Assignment, Floats, WindowBlock
from operators.detectors.contract import PointDetector, Rows
from operators.detectors.registry import build
from operators.detectors.settings import HalfSpaceTreesSettings
from operators.rules import DetectionSettings, Rule
from operators.shard_detectors import ShardDetectors, guard_of
from sentinel.alerts import AlertMessage, AlertState
from sentinel.series import Series

RECORDED = Series.of("value", {"service": "recorded"})
"""What every recorded series is called, so that no rule can tell one file from another by its name."""
BLOCK = 2000
"""Rows of a block. The result does not depend on it; the alert states look at every row of a block that has a candidate."""
FIRST_STEPS = 64
"""Distances between rows whose median is the length of a window; far less than any warm-up."""
BELOW = 0.999
"""The most that a row without an alert can have."""


@dataclass(frozen=True, slots=True)
class Scored:
    """`scores[n]` in the order of the rows given; `alerts` are the first messages of the alerts; `skipped` rows were bad."""

    scores: Floats
    alerts: tuple[AlertMessage, ...]
    skipped: int


class NoRuleError(ValueError):
    """No rule of the configuration takes a recorded series."""


def score_series(settings: DetectionSettings, times: Floats, values: Floats) -> Scored:
    """Score a recorded series; `times` in seconds, one per value.

    Rows whose time or value is not finite score 0 and are left out. The others are taken in order of time, equal times in
    the order given, as the windows of the live flow close. A row scores 1.0 or more where an alert fires, else the highest
    score of the rule's detectors in units of their threshold, below 1.0; 0 while they warm up or an alert is suppressed.
    Raises `NoRuleError` when no rule matches `RECORDED`. About 1.5 us a row.
    """
    found = settings.rule_for(RECORDED)
    if found is None:
        raise NoRuleError("no rule of the configuration matches a series by the name of `value`")
    scores = np.zeros(len(times))
    good = np.flatnonzero(np.isfinite(times) & np.isfinite(values))
    order = good[np.argsort(times[good], kind="stable")]
    if not len(order):
        return Scored(scores, (), len(times))
    starts, ordered = times[order], values[order]
    name, rule = found[0], found[1].model_copy(update={"window": _length(starts)})
    own = settings.model_copy(update={"rules": {name: rule}, "vectors": {}})
    scores[order] = _below(own, rule, Rows(np.zeros(len(order), np.int32), starts, ordered))
    alerts = tuple(_fired(own, name, starts, ordered))
    for row, alert in zip(_rows_of(alerts, starts, ordered), alerts, strict=True):
        scores[order[row]] = max(1.0, alert.score / alert.threshold if alert.threshold > 0 else 1.0)
    return Scored(scores, alerts, len(times) - len(order))


def _length(starts: Floats) -> float:
    """The median distance of the first rows, in seconds; 1 when there is none."""
    steps = np.diff(starts[: FIRST_STEPS + 1])
    steps = np.sort(steps[steps > 0])
    return float(steps[len(steps) // 2]) if len(steps) else 1.0


def _below(settings: DetectionSettings, rule: Rule, rows: Rows) -> Floats:
    """What the proposing detectors say of each row in units of their threshold, kept below an alert."""
    best = np.zeros(len(rows.slots))
    for name in rule.detectors:
        own = settings.detectors[name]
        if isinstance(own, HalfSpaceTreesSettings):
            continue
        detector: PointDetector = build(name, own, rule.max_firing)
        detector.assign(0, guard_of(rule))
        said = np.nan_to_num(detector.observe(rows).score, nan=0.0, posinf=BELOW)
        best = np.maximum(best, said / detector.threshold)
    capped: Floats = np.minimum(best, BELOW)
    return capped


def _fired(settings: DetectionSettings, rule: str, starts: Floats, values: Floats) -> Iterator[AlertMessage]:
    """The first message of each alert that the flow would send, shadow rules' alerts included."""
    detectors, states = ShardDetectors(settings), AlertStates(settings)
    assigned = [Assignment(0, RECORDED, rule)]
    length = settings.rules[rule].window
    for at in range(0, len(starts), BLOCK):
        part = slice(at, at + BLOCK)
        count = len(starts[part])
        block = WindowBlock(
            "0/0", np.zeros(count, np.int32), starts[part], starts[part] + length, values[part], np.ones(count, np.int32),
            np.zeros((count, 2), np.uint64), float(starts[part][-1] + length), assigned,
        )  # fmt: skip
        assigned = []
        for message in states.feed(detectors.feed(block), 0.0).alerts:
            if message.state is AlertState.FIRING:
                yield message


def _rows_of(alerts: tuple[AlertMessage, ...], starts: Floats, values: Floats) -> Iterator[int]:
    """The row at which each alert fired; of rows with equal times the first with the alert's value."""
    for alert in alerts:
        row = int(np.searchsorted(starts, alert.window.start))
        while values[row] != alert.value:
            row += 1
        yield row
