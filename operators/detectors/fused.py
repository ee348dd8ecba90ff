"""The fused detector: deviation channels and a novelty channel, fused, calibrated and emitted once an episode.

Three kernels in a row over the same rows: `fused_channels` (season, drift, jump), `fused_novelty` (envelopes) and
`fused_emission` (fusion, persistence, calibration, budget, refractory). Each keeps its state per slot and takes the rows in
order, so that the cut into blocks does not matter. Method, figures and what was tried: docs/detection.md.
Cost: 0.4 us a row; 3.5 kB a series.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from operators.blocks import Bools, Floats, Frozen, Slots
from operators.detectors import fused_channels, fused_emission, fused_novelty
from operators.detectors.bank import Bank, BankedDetector
from operators.detectors.contract import Rows, Scores, band_finding, band_snapshot, number
from operators.detectors.fused_channels import Columns, run_channels
from operators.detectors.fused_emission import BAR, LASTING, RAW, SCORE, run_emission
from operators.detectors.fused_novelty import FEATURES, run_novelty
from operators.detectors.settings import FusedSettings
from sentinel.alerts import Finding

ALERT = 1.0
"""The score that means an alert."""
INSIDE = 0.8
"""The frozen band reaches at most this share of the way from what was expected to the value that fired."""


@dataclass(frozen=True, slots=True, eq=False)
class FusedScores(Scores):
    """Scores with what made them: `channels[r]`, `novelty[r, feature]`, `emission[r]`.

    `score` is what is emitted: 1 and more is an alert; 0 also while the refractory time suppresses. The band is where the
    deviation channels alone would reach the alert; novelty and persistence can make a value inside it a candidate.
    """

    channels: Columns = field(kw_only=True)
    novelty: Columns = field(kw_only=True)
    emission: Columns = field(kw_only=True)

    def unusual(self, values: Floats) -> Bools:
        """See the base class; the emitted score decides."""
        decided: Bools = self.score >= ALERT
        return decided

    def unusual_at(self, row: int, value: float) -> bool:
        """See the base class."""
        return bool(self.score[row] >= ALERT)


class Fused(BankedDetector):
    """The fused detector for every slot of a shard that uses it."""

    def __init__(self, name: str, settings: FusedSettings) -> None:
        """Empty; `name` is the detector's name in the configuration."""
        bins = (fused_channels.BINS,)
        shapes: dict[str, tuple[int, ...]] = {
            "base": (fused_channels.BASE,), "gaps": (fused_channels.GAPS,), "levels": bins, "spreads": bins, "visits": bins,
            "warm": (2, fused_channels.WARM - fused_channels.UNUSED), "recent": (fused_channels.SHORT,),
            "envelopes": (len(FEATURES), fused_novelty.STATE), "emission": (fused_emission.STATE,),
            "ring": (fused_emission.RING,),
        }  # fmt: skip
        super().__init__(name, Bank({column: (shape, np.float64, 0.0) for column, shape in shapes.items()}))
        self._settings = settings

    @property
    def threshold(self) -> float:
        """One, on every series."""
        return ALERT

    def explain(self, rows: Rows, scores: Scores, row: int) -> Finding:
        """See the contract: channels, novelty and what raised the bar."""
        if not isinstance(scores, FusedScores):
            raise TypeError("the fused detector explains its own scores only")
        return band_finding(
            self._name, ALERT, scores, row, _sentence(float(rows.values[row]), scores, row, self._settings)
        )

    def snapshot(self, scores: Scores, row: int) -> Frozen:
        """See the contract: the band."""
        return band_snapshot(scores, row)

    def _run(self, rows: Rows, keep: frozenset[int], *, learn: bool) -> FusedScores:
        slots, count = self._bank.rows_of(rows.slots), len(rows.slots)
        channels, parts = np.empty((count, fused_channels.CHANNELS)), np.empty((count, len(FEATURES)))
        emission = np.empty((count, fused_emission.OUT))
        if learn:
            self._learn(slots, rows.times, rows.values, channels, parts, emission)
            return self._scores(slots, rows, channels, parts, emission)
        for i in range(count):  # a look without learning: each row alone, and the state put back
            one, at = slice(i, i + 1), slots[i]
            before = {name: array[at].copy() for name, array in self._bank.columns.items()}
            self._learn(slots[one], rows.times[one], rows.values[one], channels[one], parts[one], emission[one])
            for name, array in before.items():
                self._bank.columns[name][at] = array
        return self._scores(slots, rows, channels, parts, emission)

    def _learn(
        self, slots: Slots, times: Floats, values: Floats, channels: Columns, parts: Columns, emission: Columns
    ) -> None:
        """The three kernels over some rows, into the columns given."""
        own, settings, novelty = self._bank.columns, self._settings, np.empty(len(slots))
        run_channels(
            slots, times, values, settings.floor, settings.level, own["base"], own["gaps"], own["levels"],
            own["spreads"], own["visits"], own["warm"], own["recent"], channels,
        )  # fmt: skip
        features = np.ascontiguousarray(channels[:, fused_channels.LOG :])
        run_novelty(slots, features, settings.theta, own["envelopes"], parts, novelty)
        run_emission(
            slots, times, values, channels, novelty,
            own["min_absolute"], own["min_relative"], own["ways"], own["budget"],
            settings.novelty, settings.level, settings.persistence, settings.habituation, settings.penalty,
            settings.refractory, settings.refractory_windows, settings.gain,
            own["emission"], own["ring"], emission,
        )  # fmt: skip

    def _scores(self, slots: Slots, rows: Rows, channels: Columns, parts: Columns, emission: Columns) -> FusedScores:
        own = self._bank.columns
        score, expected, width = (
            emission[:, SCORE],
            channels[:, fused_channels.EXPECTED],
            channels[:, fused_channels.WIDTH],
        )
        width = np.maximum(width, own["min_absolute"][slots])
        width = np.maximum(width, own["min_relative"][slots] * np.abs(expected))
        away = np.abs(rows.values - expected)
        fired = np.maximum(np.minimum(width, INSIDE * away), width / self._settings.level)
        width = np.where(score >= ALERT, fired, width)
        width[np.isnan(score)] = np.nan
        ways = own["ways"][slots]
        low = np.where(ways & 2, expected - width, np.where(np.isnan(score), np.nan, -np.inf))
        high = np.where(ways & 1, expected + width, np.where(np.isnan(score), np.nan, np.inf))
        return FusedScores(
            score=score, expected=expected, scale=width, low=low, high=high, channels=channels, novelty=parts, emission=emission
        )  # fmt: skip


def _sentence(value: float, scores: FusedScores, row: int, settings: FusedSettings) -> str:
    """What a person reads: the distance, the channels, the novelty, and what raised the bar or held back."""
    expected = float(scores.expected[row])
    channels, emission = scores.channels[row], scores.emission[row]
    places = (fused_channels.SEASON, fused_channels.DRIFT, fused_channels.JUMP)
    season, drift, jump = (number(float(channels[each])) for each in places)
    text = f"{number(value)} where {number(expected)} is expected: season {season} spreads, drift {drift} and jump {jump} decades"
    news = [
        f"{name} x{number(1 + settings.novelty * float(part))}"
        for name, part in zip(FEATURES, scores.novelty[row], strict=True)
        if part > 0
    ]
    if news:
        text += f"; new for this series: {', '.join(news)}"
    share, bar = float(emission[LASTING]), float(emission[BAR])
    text += f"; fused {number(float(emission[RAW]))}, lasting {number(share)} of the level"
    if bar > 1.005:
        text += f", against a bar raised to {number(bar)} by what is usual here and the budget"
    if share / bar >= ALERT and scores.score[row] < ALERT:
        text += "; held back: within the refractory time and not clearly worse, or within the rule's minimum deviations"
    return text
