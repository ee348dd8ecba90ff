"""The contract of all detectors: score, learn, explain, snapshot; and judging a later value by a snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from operators.blocks import Bools, Floats, Frozen, Slots
from sentinel.alerts import Finding

TINY = 1e-12
"""Smallest deviation: keeps the score of a constant series finite."""
FAR = 1e308
"""Stands for infinity in snapshots, because JSON has none."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What a rule asks of every deviation: by how much at least, and which way. It widens each detector's band."""

    min_absolute: float = 0.0
    min_relative: float = 0.0
    up: bool = True
    down: bool = True
    budget: float = 2.0
    """Alerts a week that a detector with a bar of its own may spend before it raises the bar."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Closed windows for one detector in order: `slots[r]` as the shard numbers them, `times[r]` starts, `values[r]`."""

    slots: Slots
    times: Floats
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a detector said about each row, before it learned the row; NaN while it is warming up.

    High is unusual; above the detector's threshold the value lies outside `low` .. `high` (infinite on a side that the
    rule does not look at). `scale` is the deviation that the score was measured in. `ahead` holds, for rows that were
    asked for, what a snapshot needs beyond the row's own columns.
    """

    score: Floats
    expected: Floats
    scale: Floats
    low: Floats
    high: Floats
    ahead: dict[int, Frozen] = field(default_factory=dict)

    @classmethod
    def blank(cls, rows: int) -> Scores:
        """All NaN."""
        score, expected, scale, low, high = (np.full(rows, np.nan) for _ in range(5))
        return cls(score, expected, scale, low, high)

    def unusual(self, values: Floats) -> Bools:
        """Which rows are candidates: those outside the band; never one whose detector is warming up."""
        return (values < self.low) | (values > self.high)

    def unusual_at(self, row: int, value: float) -> bool:
        """The same for one row, whose value is given."""
        return bool(value < self.low[row] or value > self.high[row])


class PointDetector(Protocol):
    """A detector of single series for all slots of a shard that use it: arrays of slots x state, no object per series.

    `observe` is what the flow calls: score, then learn, row by row, so that several rows of one series in a block are
    exact. A value outside the band is learned clipped, so that no later step has to tell the detector what to forget.
    """

    @property
    def threshold(self) -> float:
        """Scores above this are unusual."""

    def assign(self, slot: int, guard: Guard) -> None:
        """Start a slot anew for a series whose rule has this guard."""

    def release(self, slot: int) -> None:
        """Forget a slot; one that was never assigned is fine."""

    def score(self, rows: Rows) -> Scores:
        """Score each row against the present state; changes nothing."""

    def learn(self, rows: Rows) -> None:
        """Take the rows in, in order."""

    def observe(self, rows: Rows, keep: frozenset[int] = frozenset()) -> Scores:
        """Score then learn each row in order; rows whose index is in `keep` can be passed to `snapshot` afterwards."""

    def explain(self, rows: Rows, scores: Scores, row: int) -> Finding:
        """What was found in one row, with a sentence for a person."""

    def snapshot(self, scores: Scores, row: int) -> Frozen:
        """The parameters that judged one row, as plain JSON values for `judge`."""

    def dump(self) -> dict[str, Any]:
        """The state as plain dicts and arrays, copied."""

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""


def band_snapshot(scores: Scores, row: int) -> Frozen:
    """The snapshot of a detector whose parameters are one band; a side that is not looked at is left out."""
    frozen: Frozen = {"expected": float(scores.expected[row]), "scale": float(scores.scale[row])}
    if np.isfinite(scores.low[row]):
        frozen["low"] = float(scores.low[row])
    if np.isfinite(scores.high[row]):
        frozen["high"] = float(scores.high[row])
    return frozen


def judge_band(frozen: Frozen, value: float, share: float = 1.0) -> bool:
    """Whether `value` lies inside `share` of the band of a snapshot, measured from what was expected.

    >>> frozen = {"expected": 1.0, "high": 2.0}
    >>> judge_band(frozen, -5.0), judge_band(frozen, 1.9), judge_band(frozen, 1.9, share=0.7)
    (True, True, False)
    """
    low, high = frozen.get("low", -FAR), frozen.get("high", FAR)
    expected = frozen.get("expected", value)
    if isinstance(low, list) or isinstance(high, list) or isinstance(expected, list):
        raise TypeError("this snapshot has a band per hour; judge it as a seasonal one")
    return inside(low, expected, high, value, share)


def inside(low: float, expected: float, high: float, value: float, share: float) -> bool:
    """Whether `value` lies inside the band drawn together around `expected` to `share` of its width."""
    if value >= expected:
        return value - expected <= share * (high - expected)
    return expected - value <= share * (expected - low)


def number(value: float) -> str:
    """A value for a sentence: four significant digits.

    >>> number(1234.5678), number(0.00512345)
    ('1235', '0.005123')
    """
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def band_finding(name: str, threshold: float, scores: Scores, row: int, text: str) -> Finding:
    """A finding with the band of one row."""
    low, high = float(scores.low[row]), float(scores.high[row])
    return Finding(
        detector=name, score=float(scores.score[row]), threshold=threshold, expected=float(scores.expected[row]),
        low=low if np.isfinite(low) else None, high=high if np.isfinite(high) else None, text=text,
    )  # fmt: skip
