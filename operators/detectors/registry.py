"""The one place that knows every kind of detector."""

from __future__ import annotations

from typing import assert_never

from operators.blocks import Frozen
from operators.detectors.contract import PointDetector, judge_band
from operators.detectors.fused import Fused
from operators.detectors.iqr import Iqr
from operators.detectors.seasonal import Seasonal, judge_season
from operators.detectors.settings import (
    DetectorSettings,
    FusedSettings,
    HalfSpaceTreesSettings,
    IqrSettings,
    PointSettings,
    SeasonalSettings,
    ZScoreSettings,
)
from operators.detectors.tree_snapshot import judge_score
from operators.detectors.zscore import ZScore


def build(name: str, settings: PointSettings, horizon: float) -> PointDetector:
    """The detector for these settings; `horizon`: seconds that a snapshot must be able to judge ahead."""
    match settings:
        case ZScoreSettings():
            return ZScore(name, settings)
        case IqrSettings():
            return Iqr(name, settings)
        case SeasonalSettings():
            return Seasonal(name, settings, horizon)
        case FusedSettings():
            return Fused(name, settings)
        case _:
            assert_never(settings)


def judge(settings: DetectorSettings, frozen: Frozen, time: float, value: float, share: float = 1.0) -> bool:
    """Whether a detector's snapshot calls `value` at `time` normal: inside `share` of its band.

    For half-space trees `value` is the score by the snapshot's own trees (`judge_vector`); they have no band to share.
    """
    match settings:
        case ZScoreSettings() | IqrSettings() | FusedSettings():
            return judge_band(frozen, value, share)
        case HalfSpaceTreesSettings():
            return judge_score(frozen, value)
        case SeasonalSettings():
            return judge_season(frozen, time, value, share)
        case _:
            assert_never(settings)
