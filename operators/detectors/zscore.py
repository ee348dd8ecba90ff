"""Rolling z-score: how many standard deviations a window lies from the mean of the windows before it.

z = |x - mean| / deviation over the last `window` values; the deviation (with n - 1) is never smaller than `floor` times
the mean, nor so small that `threshold` deviations would be less than the rule's minimum deviation. Values further out
than `clip` deviations are learned as if they lay there (winsorised; Tukey 1962). Cost: O(window), 0.1 us a row at 60.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from operators.blocks import Floats, Frozen, Slots
from operators.detectors.bank import Bank, BankedDetector
from operators.detectors.contract import TINY, Rows, Scores, band_finding, band_snapshot, number
from operators.detectors.settings import ZScoreSettings
from operators.kernels import kernel
from sentinel.alerts import Finding


@kernel
def run_zscore(  # noqa: PLR0913, PLR0917 (a kernel takes arrays, not objects)
    slots: Slots, values: Floats, learn: np.bool_, ring: Floats, seen: npt.NDArray[np.int64],
    min_absolute: Floats, min_relative: Floats, ways: npt.NDArray[np.int8],
    threshold: float, clip: float, floor: float, min_windows: int, tiny: float,
    score: Floats, expected: Floats, scale: Floats, low: Floats, high: Floats,
) -> None:  # fmt: skip
    """Score and, when asked, learn r rows in order; `ring[slots, window]`, `seen[slots]` counts values ever learned."""
    window = ring.shape[1]
    for i in range(len(slots)):
        slot = slots[i]
        value = values[i]
        filled = min(seen[slot], window)
        learned = value
        if filled >= min_windows:
            total = 0.0
            for j in range(filled):
                total += ring[slot, j]
            mean = total / filled
            squares = 0.0
            for j in range(filled):
                squares += (ring[slot, j] - mean) * (ring[slot, j] - mean)
            least = max(min_absolute[slot], min_relative[slot] * abs(mean)) / threshold
            deviation = max(math.sqrt(squares / (filled - 1)), floor * abs(mean), least, tiny)
            expected[i] = mean
            scale[i] = deviation
            low[i] = mean - threshold * deviation if ways[slot] & 2 else -np.inf
            high[i] = mean + threshold * deviation if ways[slot] & 1 else np.inf
            score[i] = abs(value - mean) / deviation
            if (value < mean and not ways[slot] & 2) or (value > mean and not ways[slot] & 1):
                score[i] = 0.0
            learned = min(max(value, mean - clip * deviation), mean + clip * deviation)
        if learn:
            ring[slot, seen[slot] % window] = learned
            seen[slot] += 1


class ZScore(BankedDetector):
    """Rolling z-score for every slot of a shard that uses it; 8 * `window` bytes a series."""

    def __init__(self, name: str, settings: ZScoreSettings) -> None:
        """Empty; `name` is the detector's name in the configuration."""
        super().__init__(name, Bank({"ring": ((settings.window,), np.float64, 0.0), "seen": ((), np.int64, 0)}))
        self._settings = settings

    @property
    def threshold(self) -> float:
        """Standard deviations."""
        return self._settings.threshold

    def explain(self, rows: Rows, scores: Scores, row: int) -> Finding:
        """See the contract."""
        value, mean = float(rows.values[row]), float(scores.expected[row])
        distance = number(abs(value - mean) / float(scores.scale[row]))
        text = (
            f"{number(value)} is {distance} deviations {'above' if value > mean else 'below'} the mean "
            f"{number(mean)} of the last {self._settings.window} windows ({number(self.threshold)} are usual)"
        )
        return band_finding(self._name, self.threshold, scores, row, text)

    def snapshot(self, scores: Scores, row: int) -> Frozen:
        """See the contract: mean, deviation and band."""
        return band_snapshot(scores, row)

    def _run(self, rows: Rows, keep: frozenset[int], *, learn: bool) -> Scores:
        out, own, settings = Scores.blank(len(rows.slots)), self._bank.columns, self._settings
        run_zscore(
            self._bank.rows_of(rows.slots), rows.values, np.bool_(learn), own["ring"], own["seen"],
            own["min_absolute"], own["min_relative"], own["ways"],
            settings.threshold, settings.clip, settings.floor, settings.min_windows, TINY,
            out.score, out.expected, out.scale, out.low, out.high,
        )  # fmt: skip
        return out
