"""From a page to measurements: counters become rates, histograms quantiles, gauges stay. Pure; one `Converter` a target.

Detection judges levels, and a counter only climbs; so what is produced is `name:rate` (per second over the time between
two pages), and for histograms `name:rate`, `name:mean` and `name:p99` of what was observed between two pages. The first
page of a counter gives nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sentinel.scraping.exposition import Family, Sample

Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of a series, at a time in epoch seconds. The labels have no service yet."""

    name: str
    labels: dict[str, str]
    value: float
    time: float


@dataclass(frozen=True, slots=True)
class _Before:
    """What a counter (one value) or a histogram (cumulative buckets, then the sum) showed at its last time."""

    time: float
    values: tuple[float, ...]
    bounds: tuple[float, ...] = ()


class Converter:
    """Remembers the last page: bounded by it, because what a page does not show any more is forgotten."""

    def __init__(self, quantiles: Sequence[float]) -> None:
        self._quantiles = tuple(quantiles)
        self._before: dict[Key, _Before] = {}

    def convert(self, families: Iterable[Family], now: float, *, honor_timestamps: bool = False) -> list[Measurement]:
        """The finite measurements of one page that was read at `now` (epoch seconds)."""
        found: list[Measurement] = []
        seen: dict[Key, _Before] = {}
        for family in families:
            samples = [_at(one, now, honor=honor_timestamps) for one in family.samples]
            match family.kind:
                case "counter":
                    found += self._counters(samples, seen)
                case "histogram":
                    found += self._histograms(family.name, samples, seen)
                case "summary":
                    found += self._summaries(family.name, samples, seen)
                case "unknown" if family.name.endswith("_total"):
                    found += self._counters(samples, seen)
                case "gauge" | "unknown":
                    found += _measuring(samples)
        self._before = seen
        return [one for one in found if math.isfinite(one.value)]

    def _counters(self, samples: Sequence[Measurement], seen: dict[Key, _Before]) -> Iterable[Measurement]:
        for one in _measuring(samples):
            yield from self._rate(one.name, one, seen)

    def _rate(self, name: str, sample: Measurement, seen: dict[Key, _Before]) -> Iterable[Measurement]:
        """Increase per second since the last page; after a reset the counter began again at zero."""
        key, time = _key(name, sample.labels), sample.time
        before = self._before.get(key)
        seen[key] = _Before(time, (sample.value,))
        if before is None or time <= before.time:
            return
        increase = sample.value - before.values[0] if sample.value >= before.values[0] else sample.value
        yield Measurement(f"{name}:rate", sample.labels, increase / (time - before.time), time)

    def _summaries(self, name: str, samples: Sequence[Measurement], seen: dict[Key, _Before]) -> Iterable[Measurement]:
        for one in samples:
            if one.name == name and "quantile" in one.labels:
                labels = {label: value for label, value in one.labels.items() if label != "quantile"}
                yield Measurement(
                    f"{name}:{_quantile_name(float(one.labels['quantile']))}", labels, one.value, one.time
                )
            elif one.name == f"{name}_count":
                for rate in self._rate(one.name, one, seen):
                    yield Measurement(f"{name}:rate", rate.labels, rate.value, rate.time)

    def _histograms(self, name: str, samples: Sequence[Measurement], seen: dict[Key, _Before]) -> Iterable[Measurement]:
        buckets: dict[Key, dict[float, float]] = {}
        sums: dict[Key, float] = {}
        shown: dict[Key, Measurement] = {}
        for one in samples:
            labels = {label: value for label, value in one.labels.items() if label != "le"}
            key = _key(name, labels)
            if one.name == f"{name}_bucket" and "le" in one.labels:
                buckets.setdefault(key, {})[float(one.labels["le"])] = one.value
                shown.setdefault(key, Measurement(name, labels, 0.0, one.time))
            elif one.name == f"{name}_sum":
                sums[key] = one.value
        for key, counts in buckets.items():
            if math.inf in counts:
                now = _now(shown[key], counts, sums.get(key, math.nan))
                yield from self._histogram(shown[key], key, now)
                seen[key] = now

    def _histogram(self, sample: Measurement, key: Key, now: _Before) -> Iterable[Measurement]:
        before = self._before.get(key)
        if before is None or before.bounds != now.bounds or now.time <= before.time:
            return
        began_again = now.values[-2] < before.values[-2]
        new = now.values if began_again else tuple(a - b for a, b in zip(now.values, before.values, strict=True))
        count, total = new[-2], new[-1]
        yield Measurement(f"{sample.name}:rate", sample.labels, count / (now.time - before.time), now.time)
        if count <= 0:
            return
        yield Measurement(f"{sample.name}:mean", sample.labels, total / count, now.time)
        for q in self._quantiles:
            value = quantile(q, now.bounds, new[:-1])
            yield Measurement(f"{sample.name}:{_quantile_name(q)}", sample.labels, value, now.time)


def quantile(q: float, bounds: Sequence[float], cumulative: Sequence[float]) -> float:
    """The q-quantile of a histogram with these upper bounds (the last infinite), as PromQL's `histogram_quantile`.

    Linear within a bucket; the first begins at zero when its bound is positive; what falls into the infinite bucket
    answers the highest finite bound. NaN when the histogram has no finite bucket.
    """
    if len(bounds) < 2:
        return math.nan
    rank = q * cumulative[-1]
    index = next(i for i, count in enumerate(cumulative) if count >= rank)
    if index == len(bounds) - 1:
        return bounds[-2]
    if index == 0 and bounds[0] <= 0:
        return bounds[0]
    low, below = (bounds[index - 1], cumulative[index - 1]) if index else (0.0, 0.0)
    inside = cumulative[index] - below
    return low + (bounds[index] - low) * ((rank - below) / inside if inside > 0 else 1.0)


def _now(sample: Measurement, counts: dict[float, float], total: float) -> _Before:
    bounds = tuple(sorted(counts))
    return _Before(sample.time, (*(counts[bound] for bound in bounds), total), bounds)


def _at(sample: Sample, now: float, *, honor: bool) -> Measurement:
    time = sample.time if honor and sample.time is not None else now
    return Measurement(sample.name, sample.labels, sample.value, time)


def _measuring(samples: Sequence[Measurement]) -> list[Measurement]:
    """Without what the text format shows as gauges though it measures nothing: when counters began, and constant texts."""
    return [one for one in samples if not one.name.endswith(("_created", "_info"))]


def _key(name: str, labels: dict[str, str]) -> Key:
    return name, tuple(sorted(labels.items()))


def _quantile_name(q: float) -> str:
    return f"p{q * 100:g}"
