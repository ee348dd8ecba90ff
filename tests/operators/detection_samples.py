"""Small recorded worlds for the tests of detection, and plain Python references of its kernels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from operators.blocks import ShardBlock
from operators.rules import DetectionSettings
from operators.shard_core import ShardCore
from sentinel.alerts import AlertMessage
from sentinel.decisions import Decision
from sentinel.series import Series

MONDAY = 1_700_438_400.0
"""Monday 2023-11-20 00:00 UTC."""


def series(name: str = "error_ratio", service: str = "cart") -> Series:
    return Series.of(name, {"service": service})


def noisy(count: int, level: float = 100.0, deviation: float = 2.0, seed: int = 1) -> np.ndarray:
    return level + deviation * np.random.default_rng(seed).standard_normal(count)


def minutes(count: int, start: float = MONDAY) -> np.ndarray:
    return start + 60.0 * np.arange(count)


def run(core: ShardCore, blocks: Iterable[ShardBlock]) -> tuple[list[AlertMessage], list[Decision]]:
    alerts, decisions = [], []
    for block in blocks:
        said, decided = core.feed(block)
        alerts += said
        decisions += decided
    return alerts, decisions


def one_rule(**rule) -> DetectionSettings:
    """One rule for every series, warm at once, without vectors."""
    return DetectionSettings.model_validate({"rules": {"all": {"warm_up": 0, **rule}}, "vectors": {}, "lateness": 0})


def cut(blocks: Sequence[ShardBlock], cuts: Sequence[int]) -> list[ShardBlock]:
    """The same stream cut into blocks at other rows."""
    whole: dict[str, Any] = {
        name: np.concatenate([getattr(b, name) for b in blocks])
        for name in ("times", "values", "series", "traces", "high_marks")
    }
    new = [each for block in blocks for each in block.new_series]
    edges = sorted({0, *(c for c in cuts if c < len(whole["times"])), len(whole["times"])})
    parts = []
    for first, last in pairwise(edges):
        columns: dict[str, Any] = {name: array[first:last] for name, array in whole.items()}
        parts.append(
            ShardBlock(
                "0/0", **columns, high_mark=float(columns["high_marks"][-1]), new_series=new if first == 0 else []
            )
        )
    end = max(block.high_mark for block in blocks)
    if parts and end > parts[-1].high_mark:
        empty: dict[str, Any] = {name: array[:0] for name, array in whole.items()}
        parts.append(ShardBlock("0/0", **empty, high_mark=end))
    return parts


def windows_reference(events, length: float, lateness: float, end_mark: float):
    """(events in arrival order as (time, value, key, mark)) to {(end, key): list of values} of closed windows, and late count."""
    cells = defaultdict(list)
    late = 0
    for time, value, key, mark in events:
        end = math.floor(time / length) * length + length
        if end <= mark - lateness:
            late += 1
        else:
            cells[end, key].append(value)
    return {place: values for place, values in cells.items() if place[0] <= end_mark - lateness}, late


def zscore_reference(values, *, window, threshold, clip, floor, min_windows, least=0.0):
    """(score, mean, deviation) per value, None while warming up. `least` is the rule's minimum absolute deviation."""
    ring: list[float] = []
    out = []
    for seen, value in enumerate(values):
        learned, said = value, None
        if len(ring) >= min_windows:
            total = 0.0
            for each in ring:
                total += each
            mean = total / len(ring)
            squares = 0.0
            for each in ring:
                squares += (each - mean) * (each - mean)
            deviation = max(math.sqrt(squares / (len(ring) - 1)), floor * abs(mean), least / threshold, 1e-12)
            said = (abs(value - mean) / deviation, mean, deviation)
            learned = min(max(value, mean - clip * deviation), mean + clip * deviation)
        out.append(said)
        if len(ring) < window:
            ring.append(learned)
        else:
            ring[seen % window] = learned
    return out


def iqr_reference(values, *, window, factor, floor, min_windows, least=0.0):
    """(score, median, spread) per value, None while warming up; quartiles as numpy makes them."""
    learned_so_far: list[float] = []
    out = []
    for value in values:
        recent = sorted(learned_so_far[-window:])
        learned, said = value, None
        if len(recent) >= min_windows:
            low, median, high = (_quantile(recent, share) for share in (1, 2, 3))
            spread = max(high - low, floor * abs(median), least / factor, 1e-12)
            score = (value - high) / spread if value > high else (low - value) / spread if value < low else 0.0
            said = (score, median, spread)
            learned = min(max(value, low - factor * spread), high + factor * spread)
        out.append(said)
        learned_so_far.append(learned)
    return out


def _quantile(ordered, quarter):
    position = (len(ordered) - 1) * quarter / 4
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def seasonal_reference(times, values, *, factor, floor, memory, min_windows):
    """(expected, deviation) per value, None while warming up."""
    hours: dict[int, tuple[int, float, float]] = {}
    out = []
    for time, value in zip(times, values, strict=True):
        of_week = (math.floor(time / 3600) + 72) % 168
        age = time - times[0]
        bands = []
        for place, period in ((of_week, 604800.0), (168 + of_week % 24, 86400.0)):
            count, mean, variance = hours.get(place, (0, 0.0, 0.0))
            usable = count >= min_windows and age >= period
            bands.append((mean, max(math.sqrt(variance), floor * abs(mean), 1e-12)) if usable else None)
        out.append(bands[0] or bands[1])
        for place, band in zip((of_week, 168 + of_week % 24), bands, strict=True):
            count, mean, variance = hours.get(place, (0, 0.0, 0.0))
            learned = min(max(value, band[0] - factor * band[1]), band[0] + factor * band[1]) if band else value
            weight = max(1.0 / (count + 1), 1.0 / memory)
            distance = learned - mean
            hours[place] = (
                count + 1,
                mean + weight * distance,
                (1.0 - weight) * (variance + weight * distance * distance),
            )
    return out
