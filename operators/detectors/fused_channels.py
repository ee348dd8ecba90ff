"""The deviation channels of the fused detector: how far a window lies from its time of day, its mean and its neighbour.

- *Season*: |x - level| / spread of the half hour of the day; level and spread are exponentially weighted, the spread is the
  mean of the half hour's own and the series' mean absolute residual.
- *Drift*: |x - m| / deviation of a slow exponentially weighted mean that learns values clipped at `CLIP` deviations.
- *Jump*: |x - the window before| / deviation of such differences.

Drift and jump are put on the scale of -log10 of a tail probability by streaming peaks over threshold (Siffer et al. 2017,
"Anomaly Detection in Streams with Extreme Value Theory"), with an exponential tail: above the quantile q at tail share a,
p = -log10(a) + (z - q) / (b ln 10); below it the scale is linear. q and b follow by stochastic approximation; the first
`WARM` windows set them. Season starts after each half hour was seen once, so that nothing is taken for zero.
Cost: O(1), 0.15 us a row; 3.1 kB a series.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from operators.blocks import Floats, Slots
from operators.kernels import kernel

BINS = 48
"""Half hours of a day."""
WARM = 140
"""Windows before the tails are known; no score before."""
UNUSED = 35
"""The first of these windows are left out of the tails: mean and deviation settle then."""
SHORT = 10
"""Windows of the running mean whose novelty is watched."""
GAPS = 9
"""Distances between windows whose median is the sampling step."""
SEASON, DRIFT, JUMP, EXPECTED, WIDTH, STEP, LOG, DAY, MEAN_SHORT = range(9)
"""Columns that `run_channels` writes: three channels, the band, the step in seconds, three features for novelty."""
CHANNELS = 9
"""Number of these columns."""
SEEN, SIZE, BORN, LAST_TIME, GAPS_SEEN, MEAN, VARIANCE, LAST, STEPS, RESIDUAL, RESIDUALS, QUANTILES, TAILS = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13
)  # fmt: skip
"""Places in a slot's `base`: windows seen, mean |x|, first and last time, distances seen, mean and variance, last value,
variance of differences, mean |residual| and how many, then q and b of the two tails."""
BASE = 15
"""Length of `base`."""
SEASON_RATE = 0.05
"""Weight of a new window in its half hour: five-minute windows are forgotten over three to four days."""
MEAN_RATE = 0.001
"""Weight of a new window in the mean: 1,000 windows, three and a half days of five minutes."""
CLIP = 4.0
"""Deviations at which a value is clipped when it is learned."""
FAR = 50.0
"""Spreads at which a residual is clipped when its half hour learns it, so that one absurd value blinds nothing for days."""
HUGE = 20.0
"""Mean sizes at which a value is clipped when the size of the series is learned."""
TAIL = 0.03
"""Share of windows in the tail."""
TAIL_RATE = 0.001
"""Step of the stochastic approximation of q, four times that for b."""
TAIL_CLIP = 8.0
"""An excess is learned as at most this many b."""
LOG_FLOOR = 40.0
"""The signed logarithm is linear up to this many floors (four per cent of the mean size)."""

Columns = npt.NDArray[np.float64]


@kernel
def run_channels(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 (one loop, written out for the compiler)
    slots: Slots, times: Floats, values: Floats, floor: float, level: float,
    base: Floats, gaps: Floats, levels: Floats, spreads: Floats, visits: Floats, warm: Floats, recent: Floats,
    out: Columns,
) -> None:  # fmt: skip
    """Score, then learn r rows in order into `out[r, CHANNELS]`; a value that is not finite is passed over (all NaN).

    `base[slots, BASE]`, `gaps[slots, GAPS]`, `levels`, `spreads`, `visits[slots, BINS]`, `warm[slots, 2, WARM - UNUSED]`,
    `recent[slots, SHORT]`. Deviations are never below `floor` times the mean size of the series. `level` is the score that
    the half width of the band stands for. A feature that is not there yet is NaN.
    """
    ordered = np.empty(GAPS)
    log_tail = -math.log10(TAIL)
    for i in range(len(slots)):
        x = values[i]
        time = times[i]
        if not math.isfinite(x):
            for k in range(CHANNELS):
                out[i, k] = np.nan
            continue
        slot = slots[i]
        own = base[slot]
        n = int(own[SEEN])
        # The sampling step: the median of the last distances between windows.
        if n == 0:
            own[BORN] = time
        elif time > own[LAST_TIME]:
            gaps[slot, int(own[GAPS_SEEN]) % GAPS] = time - own[LAST_TIME]
            own[GAPS_SEEN] += 1
        own[LAST_TIME] = time if n == 0 else max(time, own[LAST_TIME])
        known = int(min(own[GAPS_SEEN], GAPS))
        for j in range(known):
            gap = gaps[slot, j]
            at = j
            while at > 0 and ordered[at - 1] > gap:
                ordered[at] = ordered[at - 1]
                at -= 1
            ordered[at] = gap
        out[i, STEP] = ordered[known // 2] if known > 0 else 0.0
        magnitude = min(abs(x), HUGE * own[SIZE]) if n >= 50 and own[SIZE] > 0.0 else abs(x)
        own[SIZE] += (magnitude - own[SIZE]) / (n + 1)
        least = floor * own[SIZE] + 1e-12
        # Season.
        place = int((time % 86400.0) / 86400.0 * BINS)
        visited = visits[slot, place]
        out[i, SEASON] = 0.0
        out[i, DAY] = np.nan
        expected = x if n == 0 else own[MEAN]
        season_width = -1.0
        if visited >= 1:
            residual = x - levels[slot, place]
            size = abs(residual)
            usual = own[RESIDUAL]
            spread = max(0.5 * (usual + spreads[slot, place]) if visited >= 4 else usual, least)
            expected = 0.5 * (expected + levels[slot, place])
            season_width = level * spread
            if own[RESIDUALS] >= 20:
                out[i, SEASON] = size / spread
            if time - own[BORN] >= 86400.0:
                out[i, DAY] = residual
            own[RESIDUALS] += 1
            rate = max(0.005, 1.0 / own[RESIDUALS])
            learned = min(size, 8.0 * usual + least) if own[RESIDUALS] > 30 else size
            own[RESIDUAL] += rate * (learned - usual)
            rate = max(SEASON_RATE, 1.0 / (visited + 1))
            far = min(size, FAR * spread) if visited >= 4 else size
            spreads[slot, place] += rate * (far - spreads[slot, place])
            levels[slot, place] += rate * math.copysign(far, residual)
        else:
            levels[slot, place] = x
        visits[slot, place] = visited + 1
        # Drift and jump.
        deviation = max(math.sqrt(own[VARIANCE]), least)
        step_deviation = max(math.sqrt(own[STEPS]), least)
        drift = 0.0
        jump = 0.0
        if n == 0:
            own[MEAN] = x
        else:
            away = x - own[MEAN]
            move = x - own[LAST]
            if n >= 10:
                drift = abs(away) / deviation
                jump = abs(move) / step_deviation
            if n >= 50:
                away = min(max(away, -CLIP * deviation), CLIP * deviation)
                move = min(max(move, -CLIP * step_deviation), CLIP * step_deviation)
            rate = max(MEAN_RATE, 1.0 / (n + 1))
            own[MEAN] += rate * away
            own[VARIANCE] = (1.0 - rate) * (own[VARIANCE] + rate * away * away)
            own[STEPS] = (1.0 - rate) * own[STEPS] + rate * move * move
        own[LAST] = x
        width = 2.0 * level * deviation
        for tail in range(2):
            z = drift if tail == 0 else jump
            said = 0.0
            if n < WARM:
                if n >= UNUSED:
                    warm[slot, tail, n - UNUSED] = z
                if n == WARM - 1:
                    first = np.sort(warm[slot, tail])
                    count = len(first)
                    q = first[int((1.0 - TAIL) * count)]
                    total = 0.0
                    above = 0
                    for k in range(count):
                        if first[k] > q:
                            total += first[k] - q
                            above += 1
                    excess = total / above if above > 0 else 0.0
                    own[QUANTILES + tail] = q
                    own[TAILS + tail] = max(excess, 0.15 * max(q - first[count // 2], 0.0), 0.02 * q, 1e-9)
            else:
                q = own[QUANTILES + tail]
                b = own[TAILS + tail]
                if tail == 0:
                    width = (q + max(level - log_tail, 0.0) * b * math.log(10.0)) * deviation
                rate = max(TAIL_RATE, 1.0 / n)
                if z > q:
                    said = log_tail + (z - q) / (b * math.log(10.0))
                    b = max(b + max(TAIL_RATE * 4.0, 4.0 / n) * (min(z - q, TAIL_CLIP * b) - b), 1e-9)
                    own[TAILS + tail] = b
                    own[QUANTILES + tail] = q + rate * (1.0 - TAIL) * b / TAIL * 0.5
                else:
                    said = log_tail * z / q if q > 0.0 else 0.0
                    own[QUANTILES + tail] = max(q - rate * b * 0.5, 0.0)
            out[i, DRIFT if tail == 0 else JUMP] = said
        out[i, EXPECTED] = expected
        out[i, WIDTH] = 0.5 * (season_width + width) if season_width >= 0.0 else width
        # Features for novelty.
        out[i, LOG] = math.copysign(math.log1p(abs(x) / (LOG_FLOOR * least)), x)
        recent[slot, n % SHORT] = x
        total = 0.0
        for j in range(min(n + 1, SHORT)):
            total += recent[slot, (n - j) % SHORT]
        out[i, MEAN_SHORT] = total / min(n + 1, SHORT)
        own[SEEN] = n + 1
