"""What most teams run: detectors with one idea each, for comparison with the fused one.

Each takes the times and values of one series and gives a score per row in units of its own usual threshold, so that 1.0 and
above is an alert, before the row is learned. None has an emission of its own: a row that is odd is an alert, and so is the
next. `with_onset` gives it the fused detector's refractory time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from operators.blocks import Floats
from operators.detectors.contract import Guard, Rows
from operators.detectors.registry import build
from operators.detectors.settings import IqrSettings, PointSettings, ZScoreSettings
from operators.kernels import kernel

Detector = Callable[[Floats, Floats], Floats]

WINDOW = 60
"""Rows that the rolling detectors remember, as the shipped z-score and IQR fences do."""
TREES, HEIGHT, TREE_WINDOW, REACH = 25, 6, 250, 8.0


def z_score(times: Floats, values: Floats) -> Floats:
    """The shipped rolling z-score alone: 5 deviations."""
    return _shipped(ZScoreSettings(), times, values)


def iqr_fences(times: Floats, values: Floats) -> Floats:
    """The shipped IQR fences alone: 3.5 ranges outside the quartiles."""
    return _shipped(IqrSettings(), times, values)


def robust_z(_times: Floats, values: Floats) -> Floats:
    """Distance from the median of the last rows in 1.4826 median absolute deviations; 6 of them is an alert."""
    scores = np.zeros(len(values))
    if len(values) > WINDOW:
        recent = np.lib.stride_tricks.sliding_window_view(values[:-1], WINDOW)
        middle = np.median(recent, axis=1)
        spread = 1.4826 * np.median(np.abs(recent - middle[:, None]), axis=1)
        floor = np.maximum(0.01 * np.abs(middle), 1e-12)
        scores[WINDOW:] = np.abs(values[WINDOW:] - middle) / np.maximum(spread, floor) / 6.0
    return scores


def grafana_band(times: Floats, values: Floats) -> Floats:
    """In the style of Grafana's PromQL rules: mean of 26 hours, two deviations of the same 26 hours either way."""
    step = max(float(np.median(np.diff(times))), 1.0) if len(times) > 1 else 60.0
    rows = max(int(26 * 3600 / step), 8)
    centred = values - values[0]
    sums, squares = np.cumsum(np.r_[0.0, centred]), np.cumsum(np.r_[0.0, centred**2])
    at = np.arange(len(values))
    start = np.maximum(at - rows, 0)
    count = np.maximum(at - start, 1)
    mean = (sums[at] - sums[start]) / count
    variance = (squares[at] - squares[start]) / count - mean**2
    deviation = np.sqrt(np.maximum(variance, 0.0))
    scores: Floats = np.abs(centred - mean) / np.maximum(2.0 * deviation, 0.01 * np.abs(values[0] + mean) + 1e-12)
    scores[: min(rows, 140)] = 0.0
    return scores


def half_space_trees(times: Floats, values: Floats) -> Floats:
    """Half-space trees (Tan, Ting, Liu 2011; 25 trees, height 6, window 250) on the rolling z of the value.

    An alert is a score 0.02 above the 0.99 quantile of the 1,000 rows before, as the shipped detector has it.
    """
    detector = build("z", ZScoreSettings(), 3600.0)
    detector.assign(0, Guard())
    said = detector.observe(Rows(np.zeros(len(values), np.int32), times, values))
    with np.errstate(invalid="ignore"):
        points = np.clip(np.nan_to_num((values - said.expected) / said.scale), -REACH, REACH)
    splits = np.random.default_rng(7).uniform(0.15, 0.85, (TREES, 2**HEIGHT))
    scores = np.zeros(len(values))
    run_trees(points, splits, TREE_WINDOW, REACH, scores)
    limits = np.full(len(values), np.inf)
    for at in range(2 * TREE_WINDOW, len(values), 50):
        limits[at : at + 50] = np.quantile(scores[max(TREE_WINDOW, at - 1000) : at], 0.99) + 0.02
    ratios: Floats = scores / limits
    return ratios


@kernel
def run_trees(points: Floats, splits: Floats, window: int, reach: float, scores: Floats) -> None:
    """Score and learn points of one dimension: 1 minus the share of the mass that the trees would expect at most."""
    trees, nodes = splits.shape
    height = int(np.log2(nodes))
    reference = np.zeros((trees, 2 * nodes))
    latest = np.zeros((trees, 2 * nodes))
    limit = 0.1 * window
    most = trees * window * (2.0 ** (height + 1) - 1.0)
    for i in range(len(points)):
        mass = 0.0
        for tree in range(trees):
            low = -reach
            high = reach
            node = 1
            open_ = True
            for depth in range(height + 1):
                latest[tree, node] += 1.0
                if open_:
                    mass += reference[tree, node] * 2.0**depth
                    open_ = reference[tree, node] >= limit
                if depth == height:
                    break
                middle = low + (high - low) * splits[tree, node % nodes]
                node *= 2
                if points[i] >= middle:
                    node += 1
                    low = middle
                else:
                    high = middle
        scores[i] = 1.0 - mass / most if i >= window else 0.0
        if (i + 1) % window == 0:
            reference[:] = latest
            latest[:] = 0.0


def with_onset(detector: Detector) -> Detector:
    """The detector with an alert once in four hours or 50 rows, whichever is less, unless it is half as bad again."""

    def scored(times: Floats, values: Floats) -> Floats:
        scores = detector(times, values)
        step = float(np.median(np.diff(times))) if len(times) > 1 else 60.0
        run_onsets(times, scores, min(4 * 3600.0, 50 * step), 1.5)
        return scores

    return scored


@kernel
def run_onsets(times: Floats, scores: Floats, refractory: float, gain: float) -> None:
    """Set every score to zero that follows another within the refractory time and is not `gain` times as high."""
    last = -1e18
    before = 0.0
    for i in range(len(scores)):
        if scores[i] < 0.4 or (times[i] - last <= refractory and scores[i] <= before * gain):
            scores[i] = 0.0
        else:
            last = times[i]
            before = scores[i]


def _shipped(settings: PointSettings, times: Floats, values: Floats) -> Floats:
    detector = build("one", settings, 3600.0)
    detector.assign(0, Guard())
    said = detector.observe(Rows(np.zeros(len(values), np.int32), times, values))
    scores: Floats = np.nan_to_num(said.score, nan=0.0) / detector.threshold
    return scores


SIMPLE: dict[str, Detector] = {
    "z-score": z_score,
    "IQR fences": iqr_fences,
    "robust z": robust_z,
    "half-space trees": half_space_trees,
    "Grafana-style band": grafana_band,
}
"""Every one by its name."""
