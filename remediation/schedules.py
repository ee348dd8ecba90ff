"""When actions may run: change freezes between two moments, and hours of the day in a time zone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sentinel.config import Section
from sentinel.plans import Action


class Day(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Instead(StrEnum):
    """What policy does at a time that is not free."""

    ASK = "ask"
    DENY = "deny"


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # KeyError: its ZoneInfoNotFoundError
        near = get_close_matches(name, available_timezones(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; give an IANA name such as Europe/Berlin"
        raise ValueError(f"there is no time zone {name!r}{hint}") from error
    return name


def _minutes(value: object) -> object:
    """YAML 1.1 reads 17:30 without quotes as the number 1050: minutes of the day."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    if not 0 <= value < 24 * 60:
        raise ValueError(f"there is no time {value // 60:02d}:{value % 60:02d}; the day ends at 00:00")
    return time(value // 60, value % 60)


Zone = Annotated[str, AfterValidator(_known_zone)]
"""An IANA time zone, such as `Europe/Berlin`; daylight saving time is its business."""

TimeOfDay = Annotated[time, BeforeValidator(_minutes)]
"""A time on the clock of the zone, such as `"09:00"`."""


class ChangeFreeze(Section):
    """From `start` until `end` actions do not run, or only after a question."""

    reason: str = Field(min_length=1)
    """What it is for; shown wherever it stops something. No default."""
    start: datetime
    """First moment, such as `2026-12-20T18:00`, on the zone's clock unless it has an offset of its own."""
    end: datetime
    """First moment after it, likewise."""
    zone: Zone = "UTC"
    """IANA time zone of the two. Default UTC."""
    services: tuple[str, ...] = ("*",)
    """Patterns of the targets' names that it holds for. Default all."""
    instead: Instead = Instead.DENY
    """`deny` (default) or `ask`: a person may still approve."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.until <= self.since:
            raise ValueError(f"the freeze {self.reason!r} ends before it starts")
        return self

    @property
    def since(self) -> float:
        """Epoch seconds of the first moment."""
        return _instant(self.start, self.zone)

    @property
    def until(self) -> float:
        """Epoch seconds of the first moment after it."""
        return _instant(self.end, self.zone)


class Hours(Section):
    """Hours in which actions run as usual. Where several entries fit a target, being inside one of them is enough."""

    days: tuple[Day, ...] = Field(default=tuple(Day), min_length=1)
    """Days of the week on which they begin. Default every day."""
    start: TimeOfDay
    """When they begin, on the zone's clock. No default."""
    end: TimeOfDay
    """When they end; at or before `start` it is the next day's. No default."""
    zone: Zone = "UTC"
    """IANA time zone. Default UTC."""
    services: tuple[str, ...] = ("*",)
    """Patterns of the targets' names. Default all."""
    outside: Instead = Instead.ASK
    """What policy does outside: `ask` (default, nothing runs by itself) or `deny`."""

    def hold(self, now: float) -> bool:
        """Whether `now` (epoch seconds) is inside: by the clock on the wall, so it follows daylight saving time."""
        local = datetime.fromtimestamp(now, ZoneInfo(self.zone))
        clock, days = local.time(), list(Day)
        today, yesterday = days[local.weekday()], days[local.weekday() - 1]
        if self.start < self.end:
            return today in self.days and self.start <= clock < self.end
        return (today in self.days and clock >= self.start) or (yesterday in self.days and clock < self.end)


def untimely(
    action: Action, freezes: Sequence[ChangeFreeze], hours: Sequence[Hours], now: float
) -> dict[Instead, list[str]]:
    """Reasons to ask, and reasons to deny, because of the time."""
    found: dict[Instead, list[str]] = {Instead.ASK: [], Instead.DENY: []}
    for freeze in freezes:
        if _holds_for(action, freeze.services) and freeze.since <= now < freeze.until:
            until = datetime.fromtimestamp(freeze.until, UTC)
            found[freeze.instead].append(f"change freeze: {freeze.reason}, until {until:%Y-%m-%d %H:%M} UTC")
    mine = [one for one in hours if _holds_for(action, one.services)]
    if mine and not any(one.hold(now) for one in mine):
        strictest = Instead.DENY if any(one.outside is Instead.DENY for one in mine) else Instead.ASK
        spans = ", ".join(f"{'/'.join(one.days)} {one.start:%H:%M}-{one.end:%H:%M} {one.zone}" for one in mine)
        found[strictest].append(f"hours: {action.target.serves} is outside of {spans}")
    return found


def _instant(moment: datetime, zone: str) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp()


def _holds_for(action: Action, services: Sequence[str]) -> bool:
    return any(fnmatchcase(action.target.serves, pattern) for pattern in services)
