"""Configuration of detection: named detectors, and rules that say which series they watch and what follows."""

from __future__ import annotations

import re
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from operators.detectors.settings import (
    DetectorSettings,
    FusedSettings,
    HalfSpaceTreesSettings,
    IqrSettings,
    SeasonalSettings,
    ZScoreSettings,
)
from sentinel.alerts import FaultKind, Severity
from sentinel.config import Section
from sentinel.series import Series

RANGE = "range"
"""Stands for the data range of a rule where a detector's name is expected."""


class Aggregate(StrEnum):
    """How the events of one window become one value."""

    MEAN = "mean"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    LAST = "last"
    COUNT = "count"


class Direction(StrEnum):
    """Which way a value must leave its band to be unusual."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


def _n_of_m(text: str) -> str:
    found = re.fullmatch(r"\s*(\d+)\s+of\s+(\d+)\s*", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= 100:
        raise ValueError(f"{text!r} is not `n of m` with 1 <= n <= m <= 100, such as `2 of 3`")
    return f"{int(found[1])} of {int(found[2])}"


NOfM = Annotated[str, AfterValidator(_n_of_m)]
"""Text such as `2 of 3`."""


_WEEKS = {"hour": 168.0, "day": 7.0, "week": 1.0}
"""How many of each there are in a week."""


def _per_time(text: str) -> str:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s+per\s+(hour|day|week)\s*", text)
    if not found:
        raise ValueError(f"{text!r} is not a number of alerts per hour, day or week, such as `2 per week`")
    return f"{found[1]} per {found[2]}"


Budget = Annotated[str, AfterValidator(_per_time)]
"""Text such as `2 per week`."""


class Match(Section):
    """Which series a rule is for; all conditions must hold. Patterns are globs (`*`, `?`, `[abc]`), case matters."""

    names: tuple[str, ...] = ("*",)
    """Patterns for the metric's name; one must fit. Default: any name."""
    labels: dict[str, str] = {}
    """Label to a pattern for its value; a missing label has the empty value. Default: any labels."""

    def covers(self, series: Series) -> bool:
        """Whether the series fits."""
        if not any(fnmatchcase(series.name, pattern) for pattern in self.names):
            return False
        return all(fnmatchcase(series.label(key), pattern) for key, pattern in self.labels.items())


class Rule(Section):
    """One rule: the series it matches, how they are watched, and when an alert fires and clears.

    A window is a *candidate* when one of `detectors` finds the value outside its band, in `direction`, by at least the
    minimum deviations; it counts towards `for` unless one of `unless` finds the value inside its own band.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    match: Match = Match()
    """Which series. The first rule in the file that matches a series has it."""
    window: float = Field(default=60.0, ge=1.0, le=86400.0)
    """Length of the tumbling event-time window in seconds. Default 60."""
    aggregate: Aggregate = Aggregate.MEAN
    """What becomes of the events of a window. Default mean."""
    detectors: tuple[str, ...] = ("zscore", "iqr")
    """Detectors of which any may propose a candidate. Default z-score and IQR fences."""
    unless: tuple[str, ...] = ("seasonal",)
    """Detectors that hold a candidate back when the value lies inside *their* band. Default the seasonal baseline, so
    that the usual Monday morning makes no alert. One that is not warm yet holds nothing back."""
    budget: Budget = "2 per week"
    """Alerts of one series, per hour, day or week, up to which the fused detector keeps its bar; each one beyond raises
    it. Other detectors do not look at it. Default `2 per week`."""
    kind: FaultKind = FaultKind.DATA
    """Kind of fault that an alert of this rule means. Default `data`: unknown."""
    severity: Severity = Severity.WARNING
    """How urgent an alert of this rule is. Default warning."""
    direction: Direction = Direction.BOTH
    """Which way is bad. Default both."""
    min_absolute: float = Field(default=0.0, ge=0.0)
    """Smallest distance from the expected value that matters, in the metric's unit. Default 0."""
    min_relative: float = Field(default=0.0, ge=0.0)
    """Smallest distance from the expected value that matters, as a share of it (0.5 is half). Default 0."""
    range: tuple[float, float] | None = None
    """Values that the metric can have at all, lowest and highest; a value outside is always a candidate. Default none."""
    for_: NOfM = Field(default="2 of 3", alias="for")
    """Candidates among the last windows with data before an alert fires, as `n of m`. Default `2 of 3`: a single odd
    window is nobody's problem, and a fault is known after two."""
    clear_for: int = Field(default=4, ge=1)
    """Normal windows in a row, judged by the parameters frozen at firing, before the alert resolves. Default 4: one more
    than verification wants, because the window in which a fix falls may be normal and does not count."""
    clear_within: float = Field(default=0.7, gt=0, le=1)
    """A window of a firing alert is normal when its value lies within this share of the frozen band, measured from what was
    expected. Default 0.7: a fault that hovers at the edge is not over, and must not verify a fix."""
    warm_up: float = Field(default=6 * 3600.0, ge=0.0)
    """Seconds of a series' own history before it may alert. Default six hours."""
    stale_after: int = Field(default=10, ge=1)
    """Windows in a row without data before a firing alert resolves as stale. Default 10."""
    max_firing: float = Field(default=6 * 3600.0, gt=0.0)
    """Seconds after which a firing alert accepts the new level and resolves as rebaselined. Default six hours."""
    refire: bool = False
    """A candidate while the alert fires is a new alert that takes over. Only for the fused detector, which says a thing once
    and again only when it is clearly worse or its refractory time is over. Default false."""
    shadow: bool = False
    """Decide and write decision rows, but send no alert. For a rule that is being tried out. Default false."""

    @property
    def confirm(self) -> tuple[int, int]:
        """`for` as numbers (n, m)."""
        n, _, m = self.for_.split()
        return int(n), int(m)

    @property
    def alerts_per_week(self) -> float:
        """`budget` as a number."""
        count, _, unit = self.budget.split()
        return float(count) * _WEEKS[unit]

    def warming_up(self, age: float) -> str:
        """Why a series of this age (seconds of its own history) may not alert yet; empty when it may."""
        if age >= self.warm_up:
            return ""
        return f"warming up: {age / 3600:.1f} of {self.warm_up / 3600:.1f} hours of the series' own history seen"

    @model_validator(mode="after")
    def _usable(self) -> Rule:
        if not self.detectors:
            raise ValueError("a rule needs at least one detector")
        if set(self.detectors) & set(self.unless) or RANGE in (*self.detectors, *self.unless):
            raise ValueError("a detector stands either under `detectors` or under `unless`, and none is called `range`")
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range {list(self.range)}: the lowest value must be below the highest")
        return self


class VectorRule(Rule):
    """A rule for the vector of a service; the settings are those of a rule, with other defaults."""

    window: float = Field(default=900.0, ge=1.0, le=86400.0)
    """Length of the window in seconds. Default 900: half-space trees cost 0.5 ms a vector."""
    detectors: tuple[str, ...] = ("half_space_trees",)
    """The one detector, of kind `half_space_trees`."""
    unless: tuple[str, ...] = ()
    """Nothing can hold a vector back; must stay empty."""
    severity: Severity = Severity.INFO
    """How urgent an alert of this rule is. Default info: it says that something is odd, not what."""
    for_: NOfM = Field(default="2 of 2", alias="for")
    """Candidates among the last windows, as `n of m`. Default `2 of 2`."""
    clear_for: int = Field(default=2, ge=1)
    """Normal windows in a row before the alert resolves. Default 2."""
    stale_after: int = Field(default=3, ge=1)
    """Windows in a row without data before a firing alert resolves as stale. Default 3."""
    max_firing: float = Field(default=7200.0, gt=0.0)
    """Seconds after which a firing alert accepts the new level. Default two hours: the frozen means do not follow the day."""


BUILT_IN_DETECTORS: dict[str, DetectorSettings] = {
    "zscore": ZScoreSettings(),
    "iqr": IqrSettings(),
    "seasonal": SeasonalSettings(),
    "fused": FusedSettings(),
    "half_space_trees": HalfSpaceTreesSettings(),
}
"""Detectors that every configuration has under their own names; a `detectors` section adds to them or replaces them."""

WEEK = 7 * 86400.0

BUILT_IN_RULES: dict[str, Rule] = {
    "errors": Rule(
        match=Match(names=("*error*",)), kind=FaultKind.ERRORS, severity=Severity.ERROR, direction=Direction.UP,
        min_absolute=0.02, min_relative=1.0,
    ),
    "latency": Rule(
        match=Match(names=("*latency*", "*duration*")), kind=FaultKind.LATENCY, severity=Severity.WARNING,
        direction=Direction.UP, min_relative=0.5,
    ),
    "memory": Rule(
        match=Match(names=("*memory*",)), kind=FaultKind.SATURATION, severity=Severity.WARNING,
        direction=Direction.UP, min_absolute=0.05, min_relative=0.1,
    ),
    "cpu": Rule(
        match=Match(names=("*cpu*",)), kind=FaultKind.SATURATION, severity=Severity.WARNING,
        direction=Direction.UP, min_absolute=0.1, min_relative=0.3, warm_up=WEEK,
    ),
    "traffic": Rule(
        match=Match(names=("*requests*",)), kind=FaultKind.TRAFFIC, severity=Severity.WARNING,
        min_relative=0.4, for_="3 of 5", warm_up=WEEK,
    ),
    "anything": Rule(
        detectors=("fused",), unless=(), for_="1 of 1", refire=True, max_firing=4 * 3600.0, stale_after=120,
    ),
}  # fmt: skip
"""The rules of a configuration that names none. Traffic and CPU follow the week, so they wait for a whole one. `anything`
takes every other series: the fused detector needs no knowledge of what it looks at."""

BUILT_IN_VECTORS: dict[str, VectorRule] = {"service_vector": VectorRule(warm_up=WEEK, shadow=True)}
"""The vector rules of a configuration that names none: in shadow, because a vector's alert has no single cause."""


class DetectionSettings(Section):
    """The `detection` section.

    Empty, it watches errors, latency, memory, CPU and requests with rules of their own, and every other series with the
    fused detector.
    """

    detectors: dict[str, DetectorSettings] = BUILT_IN_DETECTORS
    """Detectors by name, beside the built-in `zscore`, `iqr`, `seasonal`, `fused` and `half_space_trees`; the same name
    replaces one."""
    rules: dict[str, Rule] = BUILT_IN_RULES
    """Rules by name, for single series; the first that matches wins. Given at all, they replace the built-in ones."""
    vectors: dict[str, VectorRule] = BUILT_IN_VECTORS
    """Rules for the vector of a service: every series of a service that `match` covers is one component, by metric
    name. Their detectors are half-space trees. Default one rule in shadow; `{}` switches it off."""
    lateness: float = Field(default=5.0, ge=0.0)
    """Seconds that an event may come after a later one and still count. Windows close this much after their end.
    Default 5: producers' batches; more delays every alert by as much."""
    max_series: int = Field(default=100_000, ge=1)
    """Series that one sub-shard keeps; more are refused and counted. Default 100,000, about 0.6 GB."""
    idle_after: float = Field(default=2 * WEEK, ge=12 * 3600.0)
    """Seconds of event time without an event after which a series is forgotten. Default two weeks. At least twelve
    hours: `decode` announces a quiet series again only after six."""

    @field_validator("detectors", mode="before")
    @classmethod
    def _with_built_in(cls, given: Any) -> Any:
        return {**BUILT_IN_DETECTORS, **given} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _references_exist(self) -> DetectionSettings:
        both = set(self.rules) & set(self.vectors)
        if both:
            raise ValueError(f"rule name {min(both)!r} is used in `rules` and in `vectors`")
        for name, rule in self.rules.items():
            self._check_rule(f"rules.{name}", rule, trees=False)
        for name, vector in self.vectors.items():
            self._check_rule(f"vectors.{name}", vector, trees=True)
        return self

    def _check_rule(self, place: str, rule: Rule, *, trees: bool) -> None:
        for detector in (*rule.detectors, *rule.unless):
            settings = self.detectors.get(detector)
            if settings is None:
                raise ValueError(f"{place}: no detector {detector!r}; there are {', '.join(sorted(self.detectors))}")
            if isinstance(settings, HalfSpaceTreesSettings) is not trees:
                wanted = "half-space trees" if trees else "a detector of single series"
                raise ValueError(
                    f"{place}: detector {detector!r} is of kind {settings.kind}, but {place} needs {wanted}"
                )
        if trees and (len(rule.detectors) != 1 or rule.unless):
            raise ValueError(f"{place}: a vector rule has one detector and no `unless`")

    def rule(self, name: str) -> Rule | None:
        """The rule or vector rule of that name."""
        return self.rules.get(name) or self.vectors.get(name)

    def rule_for(self, series: Series) -> tuple[str, Rule] | None:
        """The first rule that matches the series, with its name."""
        return next(((name, rule) for name, rule in self.rules.items() if rule.match.covers(series)), None)

    def vectors_for(self, series: Series) -> list[tuple[str, VectorRule]]:
        """Every vector rule that takes the series as a component."""
        return [(name, rule) for name, rule in self.vectors.items() if rule.match.covers(series)]
