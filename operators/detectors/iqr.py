"""Fences around the quartiles of the last windows (Tukey, Exploratory Data Analysis, 1977).

score = distance outside the nearer quartile in interquartile ranges; the fences lie `factor` of them out. Quartiles are
interpolated linearly (Hyndman and Fan's type 7, numpy's default). The range is never smaller than `floor` times the median,
nor so small that `factor` of them would be less than the rule's minimum deviation. Values outside are learned as if they
lay on the fence. The values are kept sorted: one removal and one insertion a row, O(window), 0.1 us at 60.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from operators.blocks import Floats, Frozen, Slots
from operators.detectors.bank import Bank, BankedDetector
from operators.detectors.contract import TINY, Rows, Scores, band_finding, band_snapshot, number
from operators.detectors.settings import IqrSettings
from operators.kernels import kernel
from sentinel.alerts import Finding


@kernel
def run_iqr(  # noqa: C901, PLR0913, PLR0917 (a kernel takes arrays, and is written out for the compiler)
    slots: Slots, values: Floats, learn: np.bool_, ring: Floats, ordered: Floats, seen: npt.NDArray[np.int64],
    min_absolute: Floats, min_relative: Floats, ways: npt.NDArray[np.int8],
    factor: float, floor: float, min_windows: int, tiny: float,
    score: Floats, expected: Floats, scale: Floats, low: Floats, high: Floats,
) -> None:  # fmt: skip
    """Score and, when asked, learn r rows in order; `ring[slots, window]` by age, `ordered` the same values by size."""
    window = ring.shape[1]
    quartiles = np.empty(3)
    for i in range(len(slots)):
        slot = slots[i]
        value = values[i]
        filled = min(seen[slot], window)
        learned = value
        if filled >= min_windows:
            for q in range(3):
                position = (filled - 1) * (q + 1) / 4
                below = math.floor(position)
                above = min(below + 1, filled - 1)
                share = position - below
                quartiles[q] = ordered[slot, below] + share * (ordered[slot, above] - ordered[slot, below])
            median = quartiles[1]
            least = max(min_absolute[slot], min_relative[slot] * abs(median)) / factor
            spread = max(quartiles[2] - quartiles[0], floor * abs(median), least, tiny)
            bottom = quartiles[0] - factor * spread
            top = quartiles[2] + factor * spread
            expected[i] = median
            scale[i] = spread
            low[i] = bottom if ways[slot] & 2 else -np.inf
            high[i] = top if ways[slot] & 1 else np.inf
            score[i] = 0.0
            if value > quartiles[2] and ways[slot] & 1:
                score[i] = (value - quartiles[2]) / spread
            elif value < quartiles[0] and ways[slot] & 2:
                score[i] = (quartiles[0] - value) / spread
            learned = min(max(value, bottom), top)
        if learn:
            place = seen[slot] % window
            at = filled
            if seen[slot] >= window:
                oldest = ring[slot, place]
                at = 0
                while ordered[slot, at] != oldest:
                    at += 1
                while at + 1 < window and ordered[slot, at + 1] < learned:
                    ordered[slot, at] = ordered[slot, at + 1]
                    at += 1
            while at > 0 and ordered[slot, at - 1] > learned:
                ordered[slot, at] = ordered[slot, at - 1]
                at -= 1
            ordered[slot, at] = learned
            ring[slot, place] = learned
            seen[slot] += 1


class Iqr(BankedDetector):
    """IQR fences for every slot of a shard that uses them; 16 * `window` bytes a series."""

    def __init__(self, name: str, settings: IqrSettings) -> None:
        """Empty; `name` is the detector's name in the configuration."""
        shape = (settings.window,)
        super().__init__(
            name,
            Bank({"ring": (shape, np.float64, 0.0), "ordered": (shape, np.float64, 0.0), "seen": ((), np.int64, 0)}),
        )
        self._settings = settings

    @property
    def threshold(self) -> float:
        """Interquartile ranges outside the quartiles."""
        return self._settings.factor

    def explain(self, rows: Rows, scores: Scores, row: int) -> Finding:
        """See the contract."""
        value, median = float(rows.values[row]), float(scores.expected[row])
        of = f"of the last {self._settings.window} windows (median {number(median)}"
        if scores.low[row] <= value <= scores.high[row]:
            text = f"{number(value)} lies inside the fences {of})"
        else:
            fence = float(scores.high[row] if value > median else scores.low[row])
            out = number(float(scores.score[row]))
            text = f"{number(value)} lies {out} interquartile ranges outside the quartiles {of}, fence {number(fence)})"
        return band_finding(self._name, self.threshold, scores, row, text)

    def snapshot(self, scores: Scores, row: int) -> Frozen:
        """See the contract: median, interquartile range and fences."""
        return band_snapshot(scores, row)

    def _run(self, rows: Rows, keep: frozenset[int], *, learn: bool) -> Scores:
        out, own, settings = Scores.blank(len(rows.slots)), self._bank.columns, self._settings
        run_iqr(
            self._bank.rows_of(rows.slots), rows.values, np.bool_(learn), own["ring"], own["ordered"], own["seen"],
            own["min_absolute"], own["min_relative"], own["ways"],
            settings.factor, settings.floor, settings.min_windows, TINY,
            out.score, out.expected, out.scale, out.low, out.high,
        )  # fmt: skip
        return out
