"""The novelty channel of the fused detector: values that this series has not shown before.

Each feature (the signed logarithm of the value, its residual of the time of day, the mean of the last ten windows) keeps a
running envelope [low, high] that contracts slowly towards the present value. A break by the share s of the envelope's width
counts as log(1 + s / theta), so that the sum over features is -log of the probability that none of them is news, each with
p = s / (s + theta) (a noisy or). A feature that breaks often counts less, and so does a young one.
Cost: O(1), 0.05 us a row; 0.2 kB a series.
"""

from __future__ import annotations

import math

from operators.blocks import Floats, Slots
from operators.detectors.fused_channels import Columns
from operators.kernels import kernel

FEATURES = ("value", "time of day", "short mean")
"""Names of the features in the order of their columns."""
SKIP = 25
"""Windows of each feature that are left out at first."""
HIGH, LOW, MEAN, VARIANCE, BREAKS, COUNT, LAST_BREAK = range(7)
"""Places in the state of one feature."""
STATE = 7
"""Length of it."""
WARM = 140
"""Windows of a feature before a break of it counts."""
CONTRACTION = 7e-5
"""Share by which the envelope contracts at each window."""
SHRINK = 0.2
"""A break moves the edge beyond the value by this share of the break."""
YOUNG = 1000.0
"""A break counts age / (age + this)."""
HABIT = 0.2
"""A break counts 1 / (1 + this times the breaks of late)."""
HABIT_MEMORY = 2000.0
"""Windows over which breaks are forgotten."""
APART = 30
"""Windows between breaks that are counted as two."""


@kernel
def run_novelty(
    slots: Slots, features: Columns, theta: float, envelopes: Floats, parts: Columns, novelty: Floats
) -> None:
    """Judge and learn `features[r, 3]` in order; `parts[r, 3]` are the features' shares of `novelty[r]`.

    `envelopes[slots, 3, STATE]`. A feature that is NaN is passed over.
    """
    forget = math.exp(-1.0 / HABIT_MEMORY)
    for i in range(len(slots)):
        novelty[i] = 0.0
        for k in range(features.shape[1]):
            parts[i, k] = 0.0
            x = features[i, k]
            if math.isnan(x):
                continue
            own = envelopes[slots[i], k]
            age = own[COUNT]
            own[COUNT] += 1
            if age < SKIP:
                continue
            if age == SKIP:
                own[HIGH] = x
                own[LOW] = x
                own[MEAN] = x
                own[LAST_BREAK] = -1e9
                continue
            rate = max(0.001, 1.0 / (age - SKIP + 1))
            away = x - own[MEAN]
            own[MEAN] += rate * away
            own[VARIANCE] = (1.0 - rate) * (own[VARIANCE] + rate * away * away)
            high = own[HIGH]
            low = own[LOW]
            width = max(high - low, math.sqrt(own[VARIANCE]), 1e-9 * abs(own[MEAN]) + 1e-12)
            own[BREAKS] *= forget
            share = max(x - high, low - x, 0.0) / width
            if share > 0.0 and age >= WARM:
                parts[i, k] = math.log1p(share / (1.0 + HABIT * own[BREAKS]) * (age / (age + YOUNG)) / theta)
                novelty[i] += parts[i, k]
                if share > 0.01 and age - own[LAST_BREAK] > APART:
                    own[BREAKS] += 1.0
                    own[LAST_BREAK] = age
            own[HIGH] = x + SHRINK * (x - high) if x > high else high - CONTRACTION * (high - x)
            own[LOW] = x - SHRINK * (low - x) if x < low else low + CONTRACTION * (x - low)
