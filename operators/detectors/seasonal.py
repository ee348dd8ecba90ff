"""Seasonal baseline: what this hour of the week usually looks like, or this hour of the day until a week was seen.

Each hour keeps an exponentially weighted mean and variance (Finch 2009, "Incremental calculation of weighted mean and
variance"): a = max(1/n, 1/memory); d = x - mean; mean += a d; variance = (1 - a)(variance + a d^2). The variance holds the
hour's own trend as well, so that the first minutes of a surge lie inside. An hour is used only after a whole day (hour of
day) or week (hour of week) of the series was seen. Values outside an hour's band are learned as if they lay on its edge; an hour whose period was not seen yet learns what
comes, because only the first week can teach it the usual Monday.
Cost: O(1), 0.05 us a row; 4.6 kB a series.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from operators.blocks import Floats, Frozen, Slots
from operators.detectors.bank import Bank, BankedDetector
from operators.detectors.contract import FAR, TINY, Rows, Scores, band_finding, inside, number
from operators.detectors.settings import SeasonalSettings
from operators.kernels import kernel
from sentinel.alerts import Finding

HOURS = 168
"""Hours of a week; the hours of a day lie behind them in the same arrays."""
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EPOCH_HOUR = 3 * 24
"""1970-01-01 00:00 UTC was a Thursday: this hour of a week that starts on Monday."""

Counts = npt.NDArray[np.int64]


@kernel
def run_seasonal(  # noqa: C901, PLR0913, PLR0915, PLR0917 (one loop, written out for the compiler)
    slots: Slots, times: Floats, values: Floats, learn: np.bool_, kept: npt.NDArray[np.bool_],
    means: Floats, variances: Floats, counts: Counts, born: Floats,
    min_absolute: Floats, min_relative: Floats, ways: npt.NDArray[np.int8],
    factor: float, floor: float, memory: int, min_windows: int, offset: float, tiny: float, far: float,
    score: Floats, expected: Floats, scale: Floats, low: Floats, high: Floats, ahead_row: Slots, ahead: Floats,
) -> int:  # fmt: skip
    """Score and, when asked, learn r rows in order; returns how many rows of `ahead[k, 3, hours]` it filled.

    `means[slots, 192]`, `variances`, `counts`: 168 hours of the week, then 24 of the day. `ahead` gets the bands of the
    coming hours, as expected, low and high, for rows in `kept` and rows outside their band; the band of an hour without a
    baseline is empty (low above high).
    """
    hours = ahead.shape[2]
    filled = 0
    for i in range(len(slots)):
        slot = slots[i]
        value = values[i]
        if learn and math.isnan(born[slot]):
            born[slot] = times[i]
        age = times[i] - born[slot]
        first = math.floor((times[i] + offset) / 3600.0)
        wanted = kept[i]
        for k in range(hours):
            of_week = (first + k + 72) % 168
            place = of_week
            if age < 604800.0 or counts[slot, place] < min_windows:
                place = 168 + of_week % 24
            usable = counts[slot, place] >= min_windows and age >= (604800.0 if place < 168 else 86400.0)
            mean = means[slot, place]
            least = max(min_absolute[slot], min_relative[slot] * abs(mean)) / factor
            deviation = max(math.sqrt(variances[slot, place]), floor * abs(mean), least, tiny)
            bottom = mean - factor * deviation
            top = mean + factor * deviation
            if k == 0 and usable:
                expected[i] = mean
                scale[i] = deviation
                low[i] = bottom if ways[slot] & 2 else -np.inf
                high[i] = top if ways[slot] & 1 else np.inf
                score[i] = abs(value - mean) / deviation
                if (value < mean and not ways[slot] & 2) or (value > mean and not ways[slot] & 1):
                    score[i] = 0.0
                wanted = wanted or value < low[i] or value > high[i]
            if not wanted:
                break
            ahead[filled, 0, k] = mean if usable else 0.0
            ahead[filled, 1, k] = (bottom if ways[slot] & 2 else -far) if usable else far
            ahead[filled, 2, k] = (top if ways[slot] & 1 else far) if usable else -far
        if wanted:
            ahead_row[filled] = i
            filled += 1
        if learn:
            of_week = (first + 72) % 168
            for period in range(2):
                place = of_week if period == 0 else 168 + of_week % 24
                learned = value
                if counts[slot, place] >= min_windows and age >= (604800.0 if period == 0 else 86400.0):
                    mean = means[slot, place]
                    least = max(min_absolute[slot], min_relative[slot] * abs(mean)) / factor
                    width = factor * max(math.sqrt(variances[slot, place]), floor * abs(mean), least, tiny)
                    learned = min(max(value, mean - width), mean + width)
                counts[slot, place] += 1
                weight = max(1.0 / counts[slot, place], 1.0 / memory)
                distance = learned - means[slot, place]
                means[slot, place] += weight * distance
                variances[slot, place] = (1.0 - weight) * (variances[slot, place] + weight * distance * distance)
    return filled


class Seasonal(BankedDetector):
    """Seasonal baseline for every slot of a shard that uses it."""

    def __init__(self, name: str, settings: SeasonalSettings, horizon: float) -> None:
        """Empty; `horizon` is how many seconds ahead a snapshot can judge (the longest that an alert may fire)."""
        shape = (HOURS + 24,)
        columns = {
            "means": (shape, np.float64, 0.0),
            "variances": (shape, np.float64, 0.0),
            "counts": (shape, np.int64, 0),
        }
        super().__init__(name, Bank({**columns, "born": ((), np.float64, np.nan)}))
        self._settings = settings
        self._hours = min(HOURS, math.ceil(horizon / 3600.0) + 2)

    @property
    def threshold(self) -> float:
        """Standard deviations of the hour."""
        return self._settings.factor

    def explain(self, rows: Rows, scores: Scores, row: int) -> Finding:
        """See the contract."""
        expected, low, high = (float(column[row]) for column in (scores.expected, scores.low, scores.high))
        width = self.threshold * float(scores.scale[row])
        matches = low <= rows.values[row] <= high
        text = (
            f"{'matches' if matches else 'leaves'} the seasonal baseline: expected {number(expected)} +- {number(width)} for "
            f"{hour_name(float(rows.times[row]), self._settings.utc_offset)}, saw {number(float(rows.values[row]))}"
        )
        return band_finding(self._name, self.threshold, scores, row, text)

    def snapshot(self, scores: Scores, row: int) -> Frozen:
        """See the contract: the bands of the coming hours. Only for rows that were kept or outside their band."""
        return scores.ahead[row]

    def _run(self, rows: Rows, keep: frozenset[int], *, learn: bool) -> Scores:
        out, own, settings = Scores.blank(len(rows.slots)), self._bank.columns, self._settings
        kept = np.zeros(len(rows.slots), np.bool_)
        kept[list(keep)] = True
        ahead_row, ahead = np.empty(len(kept), np.int32), np.empty((len(kept), 3, self._hours))
        filled = run_seasonal(
            self._bank.rows_of(rows.slots), rows.times, rows.values, np.bool_(learn), kept,
            own["means"], own["variances"], own["counts"], own["born"],
            own["min_absolute"], own["min_relative"], own["ways"],
            settings.factor, settings.floor, settings.memory, settings.min_windows, settings.utc_offset * 3600.0, TINY, FAR,
            out.score, out.expected, out.scale, out.low, out.high, ahead_row, ahead,
        )  # fmt: skip
        for row, (expected, low, high) in zip(ahead_row[:filled].tolist(), ahead[:filled].tolist(), strict=True):
            first = math.floor((rows.times[row] + settings.utc_offset * 3600.0) / 3600.0)
            out.ahead[row] = {
                "first_hour": float(first), "utc_offset": settings.utc_offset, "expected": expected, "low": low, "high": high
            }  # fmt: skip
        return out


def judge_season(frozen: Frozen, time: float, value: float, share: float = 1.0) -> bool:
    """Whether `value` at `time` lies inside `share` of the band of its hour; never when that hour has no baseline.

    >>> frozen = {"first_hour": 9.0, "utc_offset": 0.0, "expected": [5.0, 9.0], "low": [4.0, 8.0], "high": [6.0, 10.0]}
    >>> judge_season(frozen, 9.5 * 3600, 5.5), judge_season(frozen, 10.5 * 3600, 5.5)
    (True, False)
    """
    first, offset = frozen["first_hour"], frozen["utc_offset"]
    expected, low, high = frozen["expected"], frozen["low"], frozen["high"]
    if isinstance(first, list) or isinstance(offset, list):
        raise TypeError("`first_hour` and `utc_offset` of a seasonal snapshot must be numbers")
    if not (isinstance(expected, list) and isinstance(low, list) and isinstance(high, list)):
        raise TypeError("`expected`, `low` and `high` of a seasonal snapshot must be lists by hour")
    hour = math.floor(time / 3600.0 + offset) - int(first)
    if not 0 <= hour < len(low) or low[hour] > high[hour]:
        return False
    return inside(low[hour], expected[hour], high[hour], value, share)


def hour_name(time: float, utc_offset: float = 0.0) -> str:
    """The weekday and hour of an event time.

    >>> hour_name(1700000000.0)
    'Tuesday 22:00'
    """
    of_week = (math.floor(time / 3600.0 + utc_offset) + EPOCH_HOUR) % HOURS
    return f"{DAYS[of_week // 24]} {of_week % 24:02d}:00"
