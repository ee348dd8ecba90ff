"""Fusion and emission of the fused detector: one score whose 1.0 means "an alert" on every series and at every step.

- *Fusion*: Z is the weighted mean of the deviation channels, each at most `CAP`; the novelty E multiplies it:
  S = Z (1 + kappa E). The jump counts less the longer the step, because an hour's neighbour says little.
- *Persistence*, in time: over the windows of `persistence` seconds, S becomes max(`LIFT` times their median, S / `ALONE`).
  At five-minute steps and above that is S itself.
- *Calibration*: a running quantile of S, exceeded `HABIT_PER_DAY` times a day, says what is usual for the series. Where it
  lies above `USUAL`, the score is divided by (quantile / `USUAL`) ** `habituation`.
- *Budget*: a count of the series' alerts, forgotten over a week. Beyond the budget each raises the bar by `penalty`.
- *Onset*: after an emission nothing follows within the refractory time that is not `gain` times as bad. The refractory time is
  `refractory` seconds, or `refractory_windows` windows where that is less.
Cost: O(1), 0.05 us a row; 0.2 kB a series.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from operators.blocks import Floats, Slots
from operators.detectors.fused_channels import Columns
from operators.kernels import kernel

RING = 16
"""Windows of persistence at most, and one."""
WARM = 140
"""Windows before the first emission."""
CAP = 10.0
"""The most that one channel counts: ten decades or ten spreads."""
SEASON_WEIGHT, DRIFT_WEIGHT, JUMP_WEIGHT = 1.0, 1.0, 2.0
"""Weights of the channels in Z."""
JUMP_STEP = 800.0
"""Seconds of step at which the weight of the jump has halved."""
LIFT, ALONE = 1.75, 3.0
"""A lasting score counts this much more, one that stands alone this much less."""
HABIT_PER_DAY = 6.0
"""Exceedances a day of the quantile that stands for usual."""
USUAL = 3.4
"""Quantile from which a series counts as restless."""
SUBJECT = 0.4
"""Scores below this share of an alert are no onset and are not emitted."""
WEEK = 604800.0
"""Seconds over which alerts are forgotten by the budget."""
SEEN, BEFORE, HABIT, COUNT, COUNTED, LAST_SCORE, LAST_TIME = range(7)
"""Places in a slot's state: windows, S of the window before, log of the quantile, alerts counted and when, last emission."""
STATE = 7
"""Length of it."""
SCORE, RAW, LASTING, BAR = range(4)
"""Columns of `out`: what is emitted; S; S after persistence in units of the level; the factor by which calibration and
budget raise the bar."""
OUT = 4
"""Number of these columns."""


@kernel
def run_emission(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 (one loop, written out for the compiler)
    slots: Slots, times: Floats, values: Floats, channels: Columns, novelty: Floats,
    min_absolute: Floats, min_relative: Floats, ways: npt.NDArray[np.int8], budget: Floats,
    kappa: float, level: float, persistence: float, habituation: float, penalty: float,
    refractory: float, refractory_windows: float, gain: float,
    state: Floats, ring: Floats, out: Columns,
) -> None:  # fmt: skip
    """Turn channels and novelty of r rows into `out[r, OUT]`, in order; NaN while warming up.

    `channels[r]` as `run_channels` wrote them; `state[slots, STATE]`, `ring[slots, RING]`. A row within its rule's minimum
    deviations, or on the side that its rule does not look at, is not emitted.
    """
    ordered = np.empty(RING)
    for i in range(len(slots)):
        for k in range(OUT):
            out[i, k] = np.nan
        row = channels[i]
        if math.isnan(row[0]):
            continue
        slot = slots[i]
        own = state[slot]
        time = times[i]
        n = int(own[SEEN])
        if n == 0:
            own[HABIT] = math.log(USUAL) - 1.0
            own[LAST_TIME] = -1e18
            own[COUNTED] = time
        own[SEEN] = n + 1
        # Fusion: channels 0, 1, 2 are season, drift, jump; 3 expected; 5 the step.
        step = row[5]
        jump = JUMP_WEIGHT / (1.0 + (step / JUMP_STEP) * (step / JUMP_STEP))
        total = SEASON_WEIGHT * min(row[0], CAP) + DRIFT_WEIGHT * min(row[1], CAP) + jump * min(row[2], CAP)
        raw = total / (SEASON_WEIGHT + DRIFT_WEIGHT + jump) * (1.0 + kappa * novelty[i])
        # Calibration by what is usual for this series, the present window not counted.
        bar = math.exp(habituation * max(0.0, own[HABIT] - math.log(USUAL)))
        if n >= WARM:
            share = min(HABIT_PER_DAY * step / 86400.0, 0.2)
            move = 0.05 if n <= 1000 else 0.02
            if math.log(raw + 1e-6) > own[HABIT]:
                own[HABIT] += move * (1.0 - share)
            else:
                own[HABIT] -= move * share
        # Persistence.
        ring[slot, n % RING] = raw
        lasting = raw
        wanted = int(min(max(round(persistence / step), 1), RING - 1)) if step > 0.0 else 1
        if wanted > 1:
            have = min(wanted, n + 1)
            for j in range(have):
                each = ring[slot, (n - j) % RING]
                at = j
                while at > 0 and ordered[at - 1] > each:
                    ordered[at] = ordered[at - 1]
                    at -= 1
                ordered[at] = each
            lasting = max(LIFT * ordered[have // 2], raw / ALONE)
        if n < WARM:
            continue
        # Budget and onset.
        count = own[COUNT] * math.exp(-max(time - own[COUNTED], 0.0) / WEEK)
        bar *= 1.0 + penalty * max(0.0, count - budget[slot])
        score = lasting / level / bar
        out[i, RAW] = raw
        out[i, LASTING] = lasting / level
        out[i, BAR] = bar
        out[i, SCORE] = 0.0
        away = values[i] - row[3]
        side = 1 if away > 0.0 else 2
        least = max(min_absolute[slot], min_relative[slot] * abs(row[3]))
        if lasting / level < SUBJECT or score < SUBJECT or not ways[slot] & side or abs(away) < least:
            continue
        quiet = min(refractory, refractory_windows * step)
        if time - own[LAST_TIME] <= quiet and score <= own[LAST_SCORE] * gain:
            continue
        out[i, SCORE] = score
        own[LAST_SCORE] = score
        own[LAST_TIME] = time
        if score >= 1.0:
            own[COUNT] = count + 1.0
            own[COUNTED] = max(own[COUNTED], time)
