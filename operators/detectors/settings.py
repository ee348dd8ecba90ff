"""The settings of each kind of detector; `kind` chooses the class."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sentinel.config import Section


class ZScoreSettings(Section):
    """Rolling z-score: distance from the mean of the last windows in standard deviations."""

    kind: Literal["zscore"] = "zscore"
    """Chooses this detector."""
    window: int = Field(default=60, ge=8, le=2000)
    """Closed windows that mean and deviation are taken from. Default 60: an hour of minutes, short against the daily
    pattern, so that its slope stays inside the deviation."""
    threshold: float = Field(default=5.0, gt=0)
    """Standard deviations that are still usual. Default 5: 60 values know their own deviation to about 9 %."""
    clip: float = Field(default=3.0, gt=0)
    """A value further out than this many deviations is learned as if it lay there, so that a fault does not teach the
    detector that faults are usual. Default 3."""
    floor: float = Field(default=0.01, ge=0)
    """Smallest deviation, as a share of the mean. Default 0.01: on a constant series a change of 5 % is unusual."""
    min_windows: int = Field(default=30, ge=4)
    """Windows to see before the first score. Default 30."""

    @model_validator(mode="after")
    def _warm_within_window(self) -> ZScoreSettings:
        _check_warm(self.min_windows, self.window)
        return self


class IqrSettings(Section):
    """Fences around the quartiles of the last windows (Tukey 1977)."""

    kind: Literal["iqr"] = "iqr"
    """Chooses this detector."""
    window: int = Field(default=60, ge=8, le=2000)
    """Closed windows that the quartiles are taken from. Default 60, as for `zscore`."""
    factor: float = Field(default=3.5, gt=0)
    """The fences lie this many interquartile ranges outside the quartiles. Default 3.5: a little outside Tukey's
    `far out` (3), because quartiles of 60 values are uncertain by a seventh."""
    floor: float = Field(default=0.01, ge=0)
    """Smallest interquartile range, as a share of the median. Default 0.01."""
    min_windows: int = Field(default=30, ge=4)
    """Windows to see before the first score. Default 30."""

    @model_validator(mode="after")
    def _warm_within_window(self) -> IqrSettings:
        _check_warm(self.min_windows, self.window)
        return self


class SeasonalSettings(Section):
    """Mean and deviation by hour of the week; by hour of the day until a whole week was seen."""

    kind: Literal["seasonal"] = "seasonal"
    """Chooses this detector."""
    factor: float = Field(default=3.0, gt=0)
    """Half width of the band in standard deviations of the hour. Default 3: an hour's deviation holds its own trend."""
    floor: float = Field(default=0.02, ge=0)
    """Smallest deviation, as a share of the mean. Default 0.02: one week does not repeat another to the percent."""
    memory: int = Field(default=240, ge=2)
    """Windows of one hour of the week that the baseline remembers (exponential weights). Default 240: with one-minute
    windows four weeks."""
    min_windows: int = Field(default=4, ge=1)
    """Windows of an hour to see before its band is used. Default 4; `per hour` there are 60 of one minute, 12 of five."""
    utc_offset: float = Field(default=0.0, ge=-14, le=14)
    """Hours to add to UTC before the hour of the day is read. Default 0."""


class HalfSpaceTreesSettings(Section):
    """River's half-space trees (Tan, Ting, Liu 2011) on the vector of all metrics of a service."""

    kind: Literal["half_space_trees"] = "half_space_trees"
    """Chooses this detector."""
    trees: int = Field(default=25, ge=1, le=100)
    """Number of trees. Default 25: fewer miss a fault that shows in one metric of five; 0.5 ms a vector."""
    height: int = Field(default=6, ge=2, le=12)
    """Height of each tree. Default 6: 64 regions per tree, enough for five metrics."""
    window: int = Field(default=250, ge=8)
    """Vectors after which the trees take over what they counted. Default 250 as in River and the paper: 2.6 days of
    15-minute windows, the time until the first score."""
    centre: int = Field(default=48, ge=8, le=2000)
    """Windows of each metric whose mean and deviation place its value in the vector. Default 48: half a day of
    15-minute windows, so that the time of day is not what makes a vector unusual."""
    quantile: float = Field(default=0.99, gt=0.5, lt=1)
    """A score is unusual above this quantile of the scores before it. Default 0.99: once a day of 15-minute windows."""
    margin: float = Field(default=0.02, ge=0)
    """How far above that quantile. Default 0.02: scores of usual vectors lie close together."""
    seed: int = 7
    """Seed of the random trees: the same vectors give the same scores."""


class FusedSettings(Section):
    """Deviation times novelty, calibrated per series (docs/detection.md): a score of 1 means an alert at every step."""

    kind: Literal["fused"] = "fused"
    """Chooses this detector."""
    level: float = Field(default=5.3, gt=0)
    """Fused score that is an alert: about five decades of tail probability, or less together with novelty. Default 5.3,
    on the plateau of all three labelled sets (docs/detection.md)."""
    novelty: float = Field(default=2.0, ge=0)
    """How much novelty multiplies deviation. Default 2; 0 where the same faults repeat, 4 for what was never seen."""
    theta: float = Field(default=0.08, gt=0)
    """Break of an envelope, as a share of its width, that is news with probability one half. Default 0.08."""
    floor: float = Field(default=0.001, ge=0)
    """Smallest deviation, as a share of the mean size of the series. Default 0.001."""
    persistence: float = Field(default=300.0, ge=0)
    """Seconds over which a score must last to count in full. Default 300: five one-minute windows, one of five minutes."""
    refractory: float = Field(default=4 * 3600.0, ge=0)
    """Seconds after an alert in which only a clearly worse score is one again. Default four hours."""
    refractory_windows: float = Field(default=50.0, ge=0)
    """The same in windows, where that is less. Default 50: fifty minutes of one-minute windows."""
    gain: float = Field(default=1.5, ge=1)
    """How many times as bad is clearly worse. Default 1.5."""
    habituation: float = Field(default=0.75, ge=0, le=2)
    """How far the score of a restless series is divided by what is usual for it: 0 not at all, 1 in full. Default 0.75."""
    penalty: float = Field(default=0.06, ge=0)
    """Share by which each alert beyond the rule's budget raises the bar. Default 0.06."""


DetectorSettings = Annotated[
    ZScoreSettings | IqrSettings | SeasonalSettings | FusedSettings | HalfSpaceTreesSettings,
    Field(discriminator="kind"),
]
"""Settings of any detector."""

PointSettings = ZScoreSettings | IqrSettings | SeasonalSettings | FusedSettings
"""Settings of the detectors that look at one series."""


def _check_warm(min_windows: int, window: int) -> None:
    if min_windows > window:
        raise ValueError(f"min_windows ({min_windows}) is more than the window of {window} can ever hold")
