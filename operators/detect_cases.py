"""Cases for rules: series in, alerts expected, each at its own time. `sentinel test` tries them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, AwareDatetime, Field

from operators.backtesting import PastAlert, Recorded, backtest
from operators.blocks import Floats
from operators.rules import DetectionSettings
from sentinel.alerts import Resolution
from sentinel.config import Section
from sentinel.series import SERVICE_LABEL, Series

_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_PART = re.compile(rf"(?P<first>{_NUMBER})(?:\.\.(?P<last>{_NUMBER}))?x(?P<times>\d+)|(?P<gap>_)x(?P<missing>\d+)")


def _readable(text: str) -> str:
    values_of(text)
    return text


class RecordedSeries(Section):
    """One series of a case."""

    name: str = Field(min_length=1)
    """Name of the metric. No default."""
    service: str = Field(min_length=1)
    """The service. No default."""
    labels: dict[str, str] = {}
    """More labels. Default none."""
    values: Annotated[str, AfterValidator(_readable)]
    """Parts with a blank between them: `0.1x300` is 0.1 for 300 steps, `0.1..0.9x10` climbs in ten, `_x5` is nothing for
    five. No default."""
    noise: float = Field(default=0.0, ge=0.0)
    """Amplitude of a fixed ripple on the values, because a real series is never quite constant. Default 0."""

    @property
    def series(self) -> Series:
        """The series that is meant."""
        return Series.of(self.name, {**self.labels, SERVICE_LABEL: self.service})


class ExpectedAlert(Section):
    """One alert that a case expects."""

    rule: str
    """Pattern for the rule's name. No default."""
    service: str = "*"
    """Pattern for the service. Default any."""
    after: float = 0.0
    """Earliest moment to fire, seconds after the case's start. Default 0."""
    before: float | None = None
    """Latest moment to fire, seconds after the case's start. Default none."""
    ends: Resolution | None = None
    """How it ends. Default: that is not looked at."""

    def fits(self, alert: PastAlert, start: float) -> bool:
        """Whether this is the alert that was expected."""
        at = alert.fired_at - start
        return (
            fnmatchcase(alert.rule, self.rule)
            and fnmatchcase(alert.series.service, self.service)
            and self.after <= at <= (np.inf if self.before is None else self.before)
            and self.ends in (None, alert.resolution)
        )


class DetectCase(Section):
    """Series over time, and the alerts that the rules must give: these, and no other."""

    name: str
    """What is tried. No default."""
    start: AwareDatetime = datetime.fromisoformat("2026-11-16T00:00:00+00:00")
    """Time of the first step, with its zone. Default a Monday's midnight, UTC."""
    every: float = Field(default=60.0, gt=0)
    """Seconds from step to step. Default 60."""
    series: tuple[RecordedSeries, ...] = Field(min_length=1)
    """The series. No default."""
    expect: tuple[ExpectedAlert, ...]
    """The alerts; `[]` for none. No default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedDetection:
    """A case and what the rules said; `differences` is empty when it is what was expected."""

    name: str
    alerts: tuple[PastAlert, ...]
    differences: tuple[str, ...]


def try_detection(case: DetectCase, settings: DetectionSettings) -> TriedDetection:
    """Run the rules over the case's series. Rules in shadow count as well."""
    found = backtest(settings, [_recorded(one, case) for one in case.series])
    return TriedDetection(
        name=case.name, alerts=found.alerts, differences=tuple(_differences(case, found.alerts, found.rules))
    )


def values_of(text: str) -> Floats:
    """The steps of a text such as `0.1x3 0.2..0.4x2 _x1`; NaN where there is nothing. Raises `ValueError`.

    >>> values_of("1x2 1..2x2 _x1").tolist()
    [1.0, 1.0, 1.5, 2.0, nan]
    """
    parts: list[Floats] = []
    for word in text.split():
        found = _PART.fullmatch(word)
        if not found:
            raise ValueError(f"{word!r} is not a part such as `0.1x300`, `0.1..0.9x10` or `_x5`")
        if found["gap"]:
            parts.append(np.full(int(found["missing"]), np.nan))
            continue
        first, last, times = float(found["first"]), float(found["last"] or found["first"]), int(found["times"])
        parts.append(first + (last - first) * np.arange(1, times + 1) / max(times, 1))
    if not parts:
        raise ValueError("there are no values")
    joined: Floats = np.concatenate(parts)
    return joined


def _recorded(one: RecordedSeries, case: DetectCase) -> Recorded:
    values = values_of(one.values)
    steps = np.arange(len(values))
    times: Floats = np.asarray(case.start.timestamp() + case.every * steps, np.float64)
    there = ~np.isnan(values)
    return one.series, times[there], (values + one.noise * np.sin(2.4 * steps))[there]


def _differences(case: DetectCase, alerts: Sequence[PastAlert], rules: dict[Series, str]) -> Iterator[str]:
    start, left = case.start.timestamp(), list(alerts)
    for expected in case.expect:
        fitting = next((alert for alert in left if expected.fits(alert, start)), None)
        if fitting is not None:
            left.remove(fitting)
            continue
        yield f"expected an alert of {_shown(expected)}, and there is none"
    for alert in left:
        ended = alert.resolution or "still firing at the end"
        yield (
            f"not expected: {alert.rule} on {alert.series.key} after {alert.fired_at - start:.0f} s ({ended}): {alert.reason}"
        )
    uncovered = [series.key for series, rule in rules.items() if not rule]
    if uncovered and case.expect and not alerts:
        yield f"no rule covers {', '.join(uncovered)}"


def _shown(expected: ExpectedAlert) -> str:
    until = "" if expected.before is None else f" to {expected.before:.0f} s"
    ends = f", {expected.ends}" if expected.ends else ""
    return f"rule {expected.rule} on {expected.service} from {expected.after:.0f} s{until}{ends}"
